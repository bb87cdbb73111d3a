# SPDX-License-Identifier: Apache-2.0
"""An instance that is broken on purpose: its processes, a job held in a phase, what must hold afterwards."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "integration"))

import hub  # noqa: E402
from proxy import Proxy  # noqa: E402
from trouble import below, command, docker, flow, processes  # noqa: E402

CONFIG = """
timeouts:
  broker_wait: 20s
  announce_keep: 2s
  agent: 6s
  drain: 5s
docker:
  socket: {}
default_profile: debian
profiles:
  debian:
    image: runnerhub-debian
    warm: 1
"""

# The step that is caught in the act: it talks until it is told to go on, and ends with a word.
TALK = "touch left; echo begun; n=0; while [ ! -e go ]; do n=$((n+1)); echo tick $n; sleep 0.05; done; echo talked"
LAST = "echo the last step has run"


class Wrong(AssertionError):
    """What a cell found."""


class Job(threading.Thread):
    """A workflow on the rig's first runner, or another one: code, text, report."""

    def __init__(self, rig, *scripts, runner=1):
        super().__init__(daemon=True)
        self.rig, self.done, self.runner = rig, None, runner
        self.text = flow(*({"run": script} for script in scripts))
        self.start()

    def run(self):
        self.done = self.rig.workflow(self.text, "--runner", self.rig.runner(self.runner), timeout=150)

    def result(self):
        self.join(160)
        if self.done is None:
            raise Wrong("the job does not end")
        return self.done


class Rig(hub.Instance):
    def __init__(self):
        self.proxy = Proxy()
        super().__init__(CONFIG.format(self.proxy.path))
        self.stopped = []

    def start(self):
        super().start()
        root = self.runner(1)
        path = os.path.join(root, "started.sh")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"touch {root}/in-hook; while [ -e {root}/hold ]; do sleep 0.02; done\n")
        with open(os.path.join(self.dir, "etc/runners.d/r1.yaml"), "a", encoding="utf-8") as file:
            file.write(f"started_hook: {path}\n")
        self.broker("restart")
        return self

    def stop(self):
        try:
            super().stop()
        finally:
            self.proxy.close()

    # -- its processes --

    def broker_pid(self):
        return int(self.broker("pid"))

    def helper(self, name):
        """rh-mount, rh-sweep or rh-zygote."""
        return self.wait(lambda: [pid for pid in below(processes(), self.broker_pid()) if command(pid) == name], name)[0]

    def program(self, name):
        """The process of the first runner whose program is bin/NAME."""
        path = os.path.join(self.runner(1), "bin", name)
        return self.wait(lambda: [pid for pid, (exe, _, _) in processes().items() if exe == path], name)[0]

    def has_worker(self):
        path = os.path.join(self.runner(1), "bin/Runner.Worker")
        return any(exe == path for exe, _, _ in processes().values())

    def client(self):
        """The hook program that stands in the first runner's Worker's place just now."""
        path = os.path.join(self.env["RUNNERHUB_LIBEXEC"], "runnerhub-hook")

        def found():
            all_of_them = processes()
            worker = self.program("Runner.Worker")
            return [pid for pid, (exe, parent, _) in all_of_them.items() if exe == path and parent == worker]
        return self.wait(found, "a hook process")[0]

    def agent(self):
        """The agent of the job's container, or of one that is warm."""
        name = next((j["container"] for j in self.status()["jobs"] if j["container"]), None)
        label = f"label=runnerhub.hub={self.dir}/state"
        names = [name] if name else self.wait(lambda: docker("ps", "-q", "--filter", label), "a container")
        return int(docker("inspect", "--format", "{{.State.Pid}}", names[0])[0])

    def remove_containers(self):
        """All of the instance's, also those that the engine is removing already."""
        def removed():
            names = docker("ps", "-aq", "--filter", f"label=runnerhub.hub={self.dir}/state")
            if names:
                subprocess.run(["docker", "rm", "-f", *names], check=False, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, timeout=60)
            return not names
        self.wait(removed, "the end of all containers", 60)

    def hold(self, pid):
        os.kill(pid, signal.SIGSTOP)
        self.stopped.append(pid)
        return pid

    def let_go_of(self, pid, after):
        """Continues one, after something else was done."""
        after()
        self.stopped.remove(pid)
        os.kill(pid, signal.SIGCONT)

    def let_go(self):
        for pid in self.stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.stopped.clear()

    # -- what can be seen of it --

    def wait(self, condition, what="a condition", seconds=20):
        try:
            return hub.wait_until(condition, seconds, what)
        except AssertionError as e:
            raise Wrong(str(e)) from None

    def status(self):
        return self.cli("status")

    def job(self):
        jobs = [j for j in self.status()["jobs"] if j["runner"] == "r1"]
        return jobs[0] if jobs else {}

    def in_phase(self, *phases):
        self.wait(lambda: self.job().get("phase") in phases, " or ".join(phases))

    def in_step(self, n=1):
        self.wait(lambda: self.job().get("stepsRunning") and self.job()["steps"] >= n, f"step {n}", 40)

    def go(self, n=1):
        """The talking step may end. Written as the job would: from outside into its workspace."""
        with contextlib.suppress(FileNotFoundError), open(f"{self.runner(n)}/_work/demo/demo/go", "w", encoding="utf-8"):
            pass

    def warm(self):
        self.wait(lambda: self.status()["pools"][0]["warm"] >= 1, "a warm container", 60)

    # -- what must hold --

    def check_green(self, done):
        """Green means that every step has run to its end and exited 0: by its words, and by the record."""
        if LAST.removeprefix("echo ") not in done.stdout:
            raise Wrong("green without its last step")
        steps = [s for s in done.report["jobs"][0]["steps"] if s["kind"] != "hook"]
        if any(s["exit_code"] not in (0, None) for s in steps):
            raise Wrong(f"green with {[s['exit_code'] for s in steps]}")

    def check(self):
        """Nothing differs, a next job is green, nothing differs after it."""
        self.verify()
        self.next_job()
        self.verify()

    def next_job(self, n=1):
        # What go() wrote when the job had just been scrubbed is this rig's, and nobody else's to remove.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.runner(n)}/_work/demo/demo/go")
        done = self.workflow(flow({"run": "test ! -e left"}, {"run": LAST}), "--runner", self.runner(n))
        if done.returncode != 0:
            raise Wrong("the next job is red: " + done.stdout[-1500:])
        self.check_green(done)

    def verify(self):
        until = time.monotonic() + 30  # so long an engine under load may need for what it was asked for
        while True:
            done = self.run("runnerhub", "doctor", "--verify", "--json")
            if done.returncode == 0 or time.monotonic() > until:
                break
        if done.returncode != 0:
            try:
                raise Wrong("; ".join(row["message"] for row in json.loads(done.stdout)["differences"]))
            except ValueError:
                raise Wrong(f"doctor --verify: {done.returncode} {done.stderr}") from None
        if os.path.exists(f"{self.dir}/broker.log") and "double free" in self.log():
            raise Wrong("the broker's memory was damaged")


def run_quietly(*arguments, **more):
    return subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60, **more)


def pause(seconds):
    """A fault lasts; nothing is awaited here."""
    time.sleep(seconds)
