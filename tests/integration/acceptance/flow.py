# SPDX-License-Identifier: Apache-2.0
"""Workflows as Python writes them, runners as a test needs them, and what a run has come to."""

import concurrent.futures
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import hub

# Warm containers make the tests quick; a job takes whichever is there.
CONFIG = """
timeouts:
  drain: 5s
default_profile: debian
profiles:
  debian:
    image: runnerhub-debian
    warm: 2
  user:
    image: runnerhub-debian
    user: 1001:1001
    warm: 0
  runner:
    image: runnerhub-debian
    user: runner
    warm: 0
  musl:
    image: runnerhub-musl
    warm: 0
  empty:
    image: runnerhub-empty
    warm: 0
"""


def run(name, script, **more):
    """A run: step."""
    return {"name": name, "run": script, **more}


def flow(*steps, files=None, **top):
    """The text of a workflow of one job. JSON is YAML."""
    workflow = {"name": "acceptance", "on": "push", **top}
    if files:
        workflow["files"] = files
    workflow["jobs"] = {"job": {"runs-on": "self-hosted", "steps": list(steps)}}
    return json.dumps(workflow)


def ran(done):
    return Ran(done.returncode, done.stdout + done.stderr, done.report)


class Ran:
    """One run of a workflow: its exit code, and the report's only job."""

    def __init__(self, code, text, report):
        self.code, self.text = code, text
        if report is None or not report["jobs"]:
            raise AssertionError(f"run-workflow {code}: {text}")
        self.job = report["jobs"][0]
        self.conclusion = self.job["conclusion"]
        self.steps = self.job["steps"]

    def names(self):
        return [step["name"] for step in self.steps]

    def step(self, name):
        for step in self.steps:
            if step["name"] == name:
                return step
        raise AssertionError(f"no step {name} in: {self.text}")

    def lines(self, name):
        """What a step printed, without the header that the runner puts above it."""
        log = self.step(name)["log"]
        return log[log.index("##[endgroup]") + 1:] if "##[endgroup]" in log else log

    def out(self, name):
        return "\n".join(self.lines(name))

    def values(self, name):
        """A step's lines of the form KEY=VALUE."""
        return dict(line.split("=", 1) for line in self.lines(name) if "=" in line)

    def results(self):
        """What a plain run and one in a container have in common."""
        return [(step["name"], step["outcome"], step["conclusion"], step["exit_code"]) for step in self.steps
                if step["kind"] != "hook"]


def make_runner(root, name, uid=0, *more):
    subprocess.run([os.path.join(hub.TOP, "tests/worker/make-runner"), "--build", hub.build_dir(), root,
                    "--name", name, "--uid", str(uid), *more], check=True, timeout=60)
    return root


class Rig(hub.Instance):
    """An instance with named runners: name → uid, or (uid, profile)."""

    def __init__(self, runners, config=CONFIG, more=()):
        self.wanted = {k: v if isinstance(v, tuple) else (v, None) for k, v in runners.items()}
        self.place = tempfile.mkdtemp(prefix="rh-accept-", dir="/var/tmp")
        os.chmod(self.place, 0o755)
        self.roots = {}
        for name, (uid, _) in self.wanted.items():
            self.roots[name] = make_runner(os.path.join(self.place, name), name, uid, *more)
        self.pool = concurrent.futures.ThreadPoolExecutor(8)
        super().__init__(config, list(self.roots.values()))

    def start(self):
        super().start()
        profiles = {name: profile for name, (_, profile) in self.wanted.items() if profile}
        for name, profile in profiles.items():
            self.register(name, f"profile: {profile}")
        if profiles:
            self.broker("reload")
            hub.wait_until(lambda: all(self.cli_runner(k)["profile"] == v for k, v in profiles.items()),
                           what="the runners' profiles")
        return self

    def register(self, name, line):
        with open(os.path.join(self.dir, "etc/runners.d", name + ".yaml"), "a", encoding="utf-8") as f:
            f.write(line + "\n")

    def cli_runner(self, name):
        return next(r for r in self.cli("status")["runners"] if r["name"] == name)

    def stop(self):
        self.pool.shutdown()
        try:
            super().stop()
        finally:
            shutil.rmtree(self.place)

    def go(self, text, runner, *arguments, **more):
        """Runs a workflow on a runner."""
        return ran(self.workflow(text, "--runner", self.roots[runner], *arguments, **more))

    def plain(self, text, *arguments, **more):
        """The same without RunnerHub, on a runner as it comes."""
        env = {k: v for k, v in self.env.items() if not k.startswith("RUNNERHUB_")}
        # The instance's own run-workflow has no stand-in beside it to make a runner of.
        env["PATH"] = os.path.join(hub.build_dir(), "tests/worker") + ":" + env["PATH"]
        return ran(self.workflow(text, *arguments, env=env, **more))

    def wait_running(self, runner, seconds=60):
        """Until the runner's job runs a step, which is given a moment; the job."""
        def running():
            jobs = [j for j in self.cli("status")["jobs"] if j["runner"] == runner and j["stepsRunning"]]
            return jobs and jobs[0]
        job = hub.wait_until(running, seconds, f"a running step on {runner}")
        time.sleep(1)
        return job

    def signal(self, runner, program, number):
        """Sends a signal to Runner.Worker or Runner.Listener of a runner, and to nobody else's."""
        for pid in self.pids(runner, program):
            os.kill(pid, number)

    def pids(self, runner, program):
        """Processes whose program is bin/PROGRAM of a runner."""
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{entry}/exe") == os.path.join(self.roots[runner], "bin", program):
                    found.append(int(entry))
        return found

    def cancel(self, text, runner):
        """Runs a workflow and cancels it, as GitHub does, once a step of it runs."""
        with tempfile.TemporaryDirectory(dir=self.scratch) as place:
            path, report = os.path.join(place, "workflow.yml"), os.path.join(place, "report.json")
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            with subprocess.Popen(["run-workflow", path, "--json", report, "--runner", self.roots[runner]],
                                  env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True) as process:
                self.wait_running(runner)
                process.send_signal(signal.SIGINT)
                output = process.communicate(timeout=120)[0]
            with open(report, encoding="utf-8") as f:
                return Ran(process.returncode, output, json.load(f))

    def soon(self, method, *arguments, **more):
        """Starts it now, beside others; .result() is what it returns."""
        return self.pool.submit(method, *arguments, **more)

    def job(self, runner):
        """What runnerhub says of a runner's last job."""
        return self.cli("jobs", "show", self.cli("jobs", "--runner", runner, "--limit", "1")[0]["id"])

    def containers(self):
        """Names of the containers that the engine has of this instance's jobs."""
        done = subprocess.run(["docker", "ps", "-a", "--filter", f"label=runnerhub.hub={self.dir}/state",
                               "--format", "{{.ID}}"], capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.split()


class RigCase(unittest.TestCase):
    """A class of tests on one instance. begin() may start runs; what it sets is the class's."""

    RUNNERS = {"r1": 0}
    CONFIG = CONFIG
    MORE = ()
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.rig = Rig(cls.RUNNERS, cls.CONFIG, cls.MORE).start()
        try:
            cls.begin()
        except BaseException:
            cls.rig.stop()
            raise

    @classmethod
    def begin(cls):
        pass

    def each(self, check, runs):
        """check(name, run) of each future; each failure is one of its own."""
        for name, future in runs.items():
            with self.subTest(name):
                one = future.result()
                try:
                    check(name, one)
                except AssertionError as e:
                    raise AssertionError(f"{e}\n--- the run on {name}:\n{one.text[-6000:]}") from None

    @classmethod
    def tearDownClass(cls):
        cls.rig.stop()
