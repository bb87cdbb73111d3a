# SPDX-License-Identifier: Apache-2.0
"""The table of scripts/bench: figures beside their bars."""

import json
import sys

# key, what it is, bar, whether smaller is better
ROWS = (
    ("relay_vs_plain", "relayed step / the same on the host (bash -e script)", 1.6, True),
    ("relay_true_vs_plain", "relayed step / the same on the host (/bin/true)", 2.0, True),
    ("relay_vs_docker_exec", "times faster than docker exec", 30, False),
    ("job_start_p50_ms", "started hook, warm, whole process: median, ms", 5, True),
    ("job_start_p99_ms", "the same: 99th percentile, ms", 20, True),
    ("job_start_vs_create_start", "times faster than the engine's create+start", 100, False),
    ("cold_vs_create_start", "cold job start / create+start", 1.15, True),
    ("cold_announced_vs_create_start", "cold, announced 480 ms ahead / create+start", 0.1, True),
    ("stdout_vs_pipe", "1 GiB of stdout: speed / that of a plain pipe", 0.95, False),
    ("end_to_end_vs_host", "job of 60 steps of 30 ms / without RunnerHub", 1.05, True),
    ("steps64_vs_host", "64 runners at once: steps per second / host", 0.65, False),
    ("lease_500_vs_5", "job start with 500 containers tracked / with 5", 1.5, True),
    ("rss_mib", "broker memory, 50 warm, 10 000 jobs: MiB", 16, True),
    ("adopt_50_ms", "killed and started with 50 containers, until it serves, ms", 1000, True),
    *((f"neighbour_{bomb}", f"a job's speed beside a {bomb} bomb / alone", 0.7, False)
      for bomb in ("fork", "memory", "disk", "log", "inode", "zombie", "descriptor")),
    ("idle_cpu_percent", "broker's idle CPU: % of a core", 0.1, True),
)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        figures = json.load(file)
    print(f"{'figure':<32} {'measured':>10} {'bar':>10}      what")
    for key, what, bar, smaller in ROWS:
        if key not in figures:
            continue
        value = figures[key]
        met = value <= bar if smaller else value >= bar
        sign = "<=" if smaller else ">="
        print(f"{key:<32} {value:>10.3g} {sign + format(bar, 'g'):>10} {'' if met else 'MISSED':<6} {what}".rstrip())
    known = {row[0] for row in ROWS}
    print("\n" + ", ".join(f"{key} {value:.4g}" for key, value in figures.items() if key not in known))


if __name__ == "__main__":
    main()
