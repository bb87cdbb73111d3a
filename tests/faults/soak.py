# SPDX-License-Identifier: Apache-2.0
"""What scripts/soak runs: see there.

A runner of the soak works as long as it lasts: a job after the other, each of a few steps. What a job
does outside is a line in a file of its own, so that "green" can be held against what has really run.
"""

import argparse
import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "integration"))

import hub  # noqa: E402
from client import dial  # noqa: E402
from trouble import below, command, docker, processes  # noqa: E402

CONFIG = """
log:
  level: warning
timeouts:
  broker_wait: 20s
  job_start: 120s
  agent: 30s
  drain: 10s
docker:
  request_timeout: 60s
default_profile: busybox
profiles:
  busybox:
    image: runnerhub-busybox
    warm: {warm}
    max: 96
    memory: 64M
    cpus: none
"""

STEPS = [{"run": "echo one > one; cat one", "shell": "sh -e {0}"}, {"run": "sleep 0.2", "shell": "sh -e {0}"},
         {"run": "test -s one && echo the last step has run", "shell": "sh -e {0}"}]
KILLS = ("worker", "client", "agent", "rh-mount", "rh-sweep", "broker")


class Soak:
    def __init__(self, options):
        self.options, self.random = options, random.Random(options.seed)
        self.place = tempfile.mkdtemp(prefix="rh-soak-", dir="/var/tmp")
        os.chmod(self.place, 0o755)
        self.roots = [os.path.join(self.place, f"s{n}") for n in range(options.runners)]
        self.hub, self.lock = None, threading.Lock()
        self.until, self.stopping = 0, False
        self.counts = {"jobs": 0, "green": 0, "red": 0}
        self.told = {}  # id of a job as its own log tells it → whether it was green
        self.kills = dict.fromkeys(KILLS, 0)
        self.samples, self.wrong = [], []

    # -- jobs --

    def make_runners(self):
        for root in self.roots:
            subprocess.run([os.path.join(hub.TOP, "tests/worker/make-runner"), "--build", hub.build_dir(), root, "--name",
                            os.path.basename(root)], check=True, stdout=subprocess.DEVNULL)

    def work(self, root):
        text = os.path.join(root, "soak.yml")
        with open(text, "w", encoding="utf-8") as file:
            json.dump({"name": "soak", "jobs": {"job": {"runs-on": "self-hosted", "steps": STEPS}}}, file)
        while time.monotonic() < self.until:
            done = self.hub.run("run-workflow", text, "--runner", root, timeout=300)
            self.count(done)

    def count(self, done):
        green = done.returncode == 0
        spoken = re.search(r"^ *the last step has run$", done.stdout, re.M)
        told = re.search(r"^ *job: ([0-9a-f]{32})$", done.stdout, re.M)
        with self.lock:
            self.counts["jobs"] += 1
            self.counts["green" if green else "red"] += 1
            if told:
                self.told[told[1]] = green
            if green and not (spoken and told):
                self.wrong.append("green without its last step:\n" + done.stdout[-2000:])

    # -- kills --

    def kill_broker(self):
        self.hub.broker("kill")
        self.hub.broker("start")

    def is_ours(self, agent):
        """Is it the first process of a container of this instance? The engine is slower than these containers live."""
        with contextlib.suppress(OSError), open(f"/proc/{agent}/mountinfo", encoding="utf-8") as mounts, \
                open(f"/proc/{agent}/status", encoding="utf-8") as status:
            return f"/{os.path.basename(self.hub.dir)}/state/containers/" in mounts.read() and \
                re.search(r"^NSpid:.*\t1$", status.read(), re.M)
        return False

    def victims(self, what):
        found = processes()
        if what == "worker":
            return [p for p, (exe, _, _) in found.items() if exe.startswith(self.place) and exe.endswith("/Runner.Worker")]
        if what == "client":
            path = os.path.join(self.hub.env["RUNNERHUB_LIBEXEC"], "runnerhub-hook")
            return [p for p, (exe, _, _) in found.items() if exe == path]
        if what == "agent":
            return [pid for pid, (exe, _, _) in found.items() if exe == "/.runnerhub/agent" and self.is_ours(pid)]
        return [pid for pid in below(found, int(self.hub.broker("pid"))) if command(pid) == what]

    def kill_one(self):
        what = self.random.choices(KILLS, weights=(4, 4, 3, 2, 1, 1))[0]
        if what == "broker":
            self.kill_broker()
        else:
            # Some live for moments.
            victims, until = [], min(self.until, time.monotonic() + 1.5)
            while not victims and time.monotonic() < until:
                time.sleep(0.05)
                victims = [pid for pid in self.victims(what) if pid > 1]
            if not victims:
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.random.choice(victims), signal.SIGKILL)
        self.kills[what] += 1

    def trouble(self):
        while time.monotonic() < self.until:
            time.sleep(self.random.uniform(0.3, 1.2))
            with contextlib.suppress(subprocess.SubprocessError):
                self.kill_one()

    # -- numbers --

    def sample(self):
        pid = int(self.hub.broker("pid"))
        with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
            private = sum(int(line.split()[1]) for line in file if line.startswith("Private_"))
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            rss = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
        label = f"label=runnerhub.hub={self.hub.dir}/state"
        return {"rss_kib": rss, "private_kib": private, "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
                "processes": len(below(processes(), pid)), "containers": len(docker("ps", "-aq", "--filter", label))}

    def settle(self):
        """Nothing runs, and the pool is as full as it is to be."""
        def quiet():
            status = self.hub.cli("status")
            pool = status["pools"][0]
            return not status["jobs"] and pool["warm"] == pool["want"] and not pool["creating"] and not pool["stopping"]
        hub.wait_until(quiet, 120, "the end of all jobs, and a full pool")

    def records(self):
        """id → record of every job."""
        found, page = {}, True
        while page:
            page = ask(self.hub, "jobs", {"limit": 500, "offset": len(found)})
            found.update((job["id"], job) for job in page)
        return found

    # -- what must hold --

    def judge(self, before, after):
        if not self.counts["green"]:
            self.wrong.append("no job was green")
        records = self.records()
        self.counts["records"] = len(records)
        for job, green in self.told.items():
            record = records.get(job)
            if record is None:
                self.wrong.append(f"job {job} has no record")
            elif green and record["result"] != "completed":
                self.wrong.append(f"job {job} was green, and its record says {record['result']}")
        # The firewall's program is the broker's child for a moment after the last container is gone.
        with contextlib.suppress(AssertionError):
            hub.wait_until(lambda: self.sample()["processes"] <= before["processes"], 20)
            after["processes"] = before["processes"]
        still = [job for job, record in records.items() if record["state"] != "ended"]
        if still:
            self.wrong.append(f"records that are still open: {still}")
        for key, more in (("private_kib", 4096), ("descriptors", 8), ("processes", 0), ("containers", 0)):
            if after[key] > before[key] + more:
                self.wrong.append(f"{key} grew from {before[key]} to {after[key]}")
        verify = self.hub.run("runnerhub", "doctor", "--verify")
        if verify.returncode != 0:
            self.wrong.append("doctor --verify: " + verify.stdout + verify.stderr)

    def run(self):
        self.make_runners()
        with hub.Instance(CONFIG.format(warm=min(8, self.options.runners)), runners=self.roots) as self.hub:
            self.settle()
            before = self.sample()
            self.until = time.monotonic() + self.options.seconds
            threads = [threading.Thread(target=self.work, args=(root,)) for root in self.roots]
            threads.append(threading.Thread(target=self.trouble))
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.settle()
            after = self.sample()
            self.judge(before, after)
        return before, after


def ask(instance, op, arguments):
    """An operation of the control socket, with what no command can say."""
    with dial(os.path.join(instance.dir, "run"), "control.sock", socket.SOCK_STREAM) as s:
        s.sendall(json.dumps({"id": 1, "op": op, "args": arguments}).encode() + b"\n")
        return json.loads(s.makefile().readline())["data"]


def table(soak, before, after, seconds):
    print(f"{soak.options.runners} runners, {seconds:.0f} s, seed {soak.options.seed}")
    for title, row in (("jobs", soak.counts), ("killed", soak.kills)):
        print(f"{title:10} " + "  ".join(f"{key} {value}" for key, value in row.items()))
    print(f"{'':16}{'before':>10}{'after':>10}")
    for key in before:
        print(f"{key:16}{before[key]:>10}{after[key]:>10}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--runners", type=int, default=64)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--json")
    options = parser.parse_args()
    os.environ["RUNNERHUB_TEST_BUILD"] = os.path.abspath(options.build)
    soak, began = Soak(options), time.monotonic()
    try:
        before, after = soak.run()
    finally:
        subprocess.run(["rm", "-rf", "--one-file-system", soak.place], check=False)
    table(soak, before, after, time.monotonic() - began)
    for what in soak.wrong:
        print("WRONG: " + what)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({**soak.counts, "killed": soak.kills, "before": before, "after": after, "wrong": soak.wrong}, file)
    return 1 if soak.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
