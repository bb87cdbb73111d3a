# SPDX-License-Identifier: Apache-2.0
"""What the measuring scripts share: workers, the broker's command line, medians."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time

HOOKS = ("ACTIONS_RUNNER_HOOK_JOB_STARTED", "ACTIONS_RUNNER_HOOK_JOB_COMPLETED")


def make_runner(directory, worker):
    """A runner's directory whose Runner.Worker is the measuring one."""
    for name in ("bin", "externals", "_diag", "_work/_temp", "_work/_actions", "_work/_tool"):
        os.makedirs(os.path.join(directory, name), exist_ok=True)
    shutil.copy(worker, os.path.join(directory, "bin/Runner.Worker"))


def read_env(directory):
    with open(os.path.join(directory, ".env"), encoding="utf-8") as file:
        return dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)


def script_of(directory):
    return os.path.join(directory, "_work/_temp/step.sh")


def prepare(directory):
    """The Worker lays out the workspace before it starts anything."""
    os.makedirs(os.path.join(directory, "_work/bench/bench"), exist_ok=True)


def worker(directory, *words, **options):
    """Starts the measuring worker as the Listener would."""
    prepare(directory)
    environment = dict(os.environ, **read_env(directory))
    environment["BENCH_WORK"] = os.path.join(directory, "_work")
    environment.setdefault("BENCH_DOCKER", shutil.which("docker") or "")
    return subprocess.Popen(
        [os.path.join(directory, "bin/Runner.Worker"), *map(str, words)],
        env=environment, stdout=subprocess.PIPE, text=True, **options)


def measure(directory, *words):
    with worker(directory, *words) as process:
        text = process.stdout.read()
    if process.returncode != 0:
        sys.exit(f"bench: Runner.Worker {' '.join(map(str, words))} failed ({process.returncode})")
    return json.loads(text)


def runnerhub(*words):
    out = subprocess.run(["runnerhub", "--json", *words], check=True, stdout=subprocess.PIPE)
    return json.loads(out.stdout)


def wait_warm(profile, n, seconds=600):
    """Until the pool has so many warm containers."""
    end = time.monotonic() + seconds
    while True:
        pool = next(p for p in runnerhub("pools") if p["profile"] == profile)
        if pool["warm"] >= n and pool["creating"] == 0:
            return
        if time.monotonic() > end:
            sys.exit(f"bench: pool {profile} did not fill: {pool}")
        time.sleep(0.05)  # what fills it needs the processors, too


def use_profile(directory, profile):
    """Registers a runner for another profile and reloads."""
    registrations = os.path.join(os.environ["RUNNERHUB_DIR"], "etc/runners.d")
    for name in os.listdir(registrations):
        path = os.path.join(registrations, name)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if f"root: '{directory}'" in text:
            with open(path, "w", encoding="utf-8") as file:
                file.write("".join(l for l in text.splitlines(True) if not l.startswith("profile:")))
                file.write(f"profile: '{profile}'\n")
    runnerhub("reload")
    end = time.monotonic() + 10
    while True:
        runner = next(r for r in runnerhub("status")["runners"] if r["root"] == directory)
        if runner["profile"] == profile:
            return
        if time.monotonic() > end:
            sys.exit("bench: the broker did not reload")
        time.sleep(0.01)


def median(values):
    return statistics.median(values)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def tick(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def put(path, figures):
    """Adds figures to a JSON file that several scripts fill."""
    known = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            known = json.load(file)
    known.update(figures)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(known, file, indent=2)
