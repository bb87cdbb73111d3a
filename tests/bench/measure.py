# SPDX-License-Identifier: Apache-2.0
"""Figures with the real engine. Runs inside with-runnerhub; see scripts/bench."""

import argparse
import json
import os
import subprocess
import sys
import tempfile

from common import (measure, median, percentile, put, runnerhub, script_of, tick, use_profile,
                    wait_warm, worker)
from raw_engine import RawEngine


def steps(runner, o):
    tick("steps: bash -e script and /bin/true, on the host and relayed")
    r = measure(runner, "steps", 60 if o.quick else 400, script_of(runner))
    return {
        "plain_us": r["plain"], "relay_us": r["relay"],
        "true_plain_us": r["truePlain"], "true_relay_us": r["trueRelay"],
        "relay_vs_plain": r["relay"] / r["plain"],
        "relay_true_vs_plain": r["trueRelay"] / r["truePlain"],
    }


def docker_exec(runner, o):
    tick("docker exec beside relayed steps")
    r = measure(runner, "exec", 6 if o.quick else 30, script_of(runner))
    return {"docker_exec_us": r["dockerExec"], "relay_vs_docker_exec": r["dockerExec"] / r["relay"]}


def stream(runner, o):
    tick("1 GiB through a step's stdout and through a plain pipe")
    r = measure(runner, "stream", 2 if o.quick else 7, 1 << 30)
    return {"stdout_mib_per_s": (1 << 30) / r["relay"] / 1.048576, "stdout_vs_pipe": r["plain"] / r["relay"]}


def job_start(runner, cold_runner, o):
    """Warm, cold, announced and the raw engine, in turn."""
    tick("job starts: warm, cold, announced, and create+start through the API")
    engine = RawEngine(o.engine)
    spec = None
    warm, cold, announced, raw = [], [], [], []
    use_profile(cold_runner, "cold")
    for i in range(8 if o.quick else 100):
        wait_warm("bench", 2)
        if spec is None:
            name = next(c for c in runnerhub("containers") if c["state"] == "warm")["engineId"]
            spec = engine.spec_of(name, os.path.dirname(o.out))
        warm.append(measure(runner, "hook", 0)["hook"])
        if i < (4 if o.quick else 20):
            wait_warm("bench", 2)
            raw.append(engine.create_start_us(spec))
            cold.append(measure(cold_runner, "hook", 0)["sinceStart"])
            announced.append(measure(cold_runner, "hook", 480)["hook"])
            raw.append(engine.create_start_us(spec))
    return {
        "job_start_p50_ms": median(warm) / 1000,
        "job_start_p99_ms": percentile(warm, 0.99) / 1000,
        "create_start_ms": median(raw) / 1000,
        "job_start_vs_create_start": median(raw) / median(warm),
        "cold_vs_create_start": median(cold) / median(raw),
        "cold_announced_vs_create_start": median(announced) / median(raw),
        "cold_announced_ms": median(announced) / 1000,
    }


def tell(workers, line):
    for w in workers:
        w.stdin.write(line + "\n")
        w.stdin.flush()


def run_rate(workers, rounds, how):
    """Steps per second of all together, until the last has made its own."""
    tell(workers, how)
    times = [json.loads(w.stdout.readline())["us"] for w in workers]
    return len(workers) * rounds / (max(times) / 1e6)


def rate64(runners, o):
    tick(f"{len(runners)} runners stepping at once, on the host and relayed")
    rounds = 6 if o.quick else 40
    plain, relay = [], []
    workers = [worker(r, "rate", rounds, script_of(r), stdin=subprocess.PIPE) for r in runners]
    for w in workers:
        if w.stdout.readline() != "ready\n":
            sys.exit("bench: a runner's job did not start")
    for _ in range(3):
        plain.append(run_rate(workers, rounds, "plain"))
        relay.append(run_rate(workers, rounds, "relay"))
    tell(workers, "end")
    if any(w.wait() != 0 for w in workers):
        sys.exit("bench: a runner's job failed")
    return {"steps64_host_per_s": median(plain), "steps64_per_s": median(relay),
            "steps64_vs_host": median(relay) / median(plain)}


WORKFLOW = "jobs:\n  bench:\n    runs-on: self-hosted\n    steps:\n" + "      - run: sleep 0.03\n" * 60


def end_to_end(o):
    """A whole job of 60 steps through the stand-in, with and without RunnerHub."""
    tick("a job of 60 steps of 30 ms, with and without RunnerHub")
    inside, outside = [], []
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "bench.yml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(WORKFLOW)

        def run(runner, times):
            report = os.path.join(directory, "report.json")
            subprocess.run(["run-workflow", path, "--runner", runner, "--json", report],
                           check=True, stdout=subprocess.DEVNULL)
            with open(report, encoding="utf-8") as file:
                times.append(json.load(file)["ms"])

        for _ in range(1 if o.quick else 5):
            run(o.plain_stand_in, outside)
            wait_warm("bench", 2)
            run(o.stand_in, inside)
    return {"end_to_end_host_ms": median(outside), "end_to_end_ms": median(inside),
            "end_to_end_vs_host": median(inside) / median(outside)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--engine", required=True, help="the engine's socket")
    parser.add_argument("--out", required=True)
    parser.add_argument("--stand-in", required=True)
    parser.add_argument("--plain-stand-in", required=True)
    parser.add_argument("runners", nargs="+")
    o = parser.parse_args()
    parts = {
        "steps": lambda: steps(o.runners[0], o),
        "exec": lambda: docker_exec(o.runners[0], o),
        "stream": lambda: stream(o.runners[0], o),
        "start": lambda: job_start(o.runners[0], o.runners[1], o),
        "job": lambda: end_to_end(o),
        "rate": lambda: rate64(o.runners, o),
    }
    wait_warm("bench", 2)
    for name, part in parts.items():
        if not o.only or name in o.only.split(","):
            put(o.out, part())


if __name__ == "__main__":
    main()
