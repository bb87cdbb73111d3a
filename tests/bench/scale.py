# SPDX-License-Identifier: Apache-2.0
"""How the broker itself scales, over the stand-in engine. Runs inside with-runnerhub; see scripts/bench.

Job starts with few and with many containers tracked, in one instance: the pool is grown by a reload.
Memory and idle CPU are the broker's with 50 warm containers and 10 000 jobs in its store.
"""

import argparse
import os
import time

from common import measure, median, put, runnerhub, tick, wait_warm


def set_warm(n):
    path = os.path.join(os.environ["RUNNERHUB_DIR"], "etc/runnerhub.yaml")
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(f"    warm: {n}" if l.startswith("    warm:") else l for l in lines) + "\n")
    runnerhub("reload")
    time.sleep(0.2)
    wait_warm("bench", n)


def starts(runner, n, rounds):
    times = []
    for _ in range(rounds):
        wait_warm("bench", n)
        times.append(measure(runner, "hook", 0)["hook"])
    return median(times)


def broker_cpu_ticks():
    with open(f"/proc/{os.environ['RUNNERHUB_PID']}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def broker_rss_mib():
    with open(f"/proc/{os.environ['RUNNERHUB_PID']}/status", encoding="utf-8") as file:
        line = next(l for l in file if l.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", required=True)
    parser.add_argument("runner")
    o = parser.parse_args()
    rounds = 15 if o.quick else 100

    tick("job starts with 5 containers tracked")
    set_warm(5)
    few = starts(o.runner, 5, rounds)
    tick("memory and idle CPU with 50 warm containers and 10 000 jobs in the store")
    set_warm(50)
    runnerhub("jobs", "--limit", "1000")
    seconds = 4 if o.quick else 30
    time.sleep(1)
    before = broker_cpu_ticks()
    time.sleep(seconds)
    cpu = (broker_cpu_ticks() - before) / os.sysconf("SC_CLK_TCK") / seconds * 100
    rss = broker_rss_mib()
    tick("job starts with 500 containers tracked")
    set_warm(500)
    many = starts(o.runner, 500, rounds)
    put(o.out, {
        "lease_5_ms": few / 1000, "lease_500_ms": many / 1000, "lease_500_vs_5": many / few,
        "rss_mib": rss, "idle_cpu_percent": cpu,
    })


if __name__ == "__main__":
    main()
