# SPDX-License-Identifier: Apache-2.0
"""Job hooks: failing closed, the administrator's own ones, install and uninstall around a job."""

import os
import shutil
import signal
import subprocess
import tempfile
import unittest

import hub
from flow import CONFIG, RigCase, flow, make_runner, ran, run

HOST = "/var/tmp/rh-host-touched"
TOUCH = flow(run("normal", f"touch {HOST}"),
             run("always", f"touch {HOST}", **{"if": "always()"}),
             run("failure", f"touch {HOST}", **{"if": "failure()"}))
OWN = """#!/bin/sh
echo "{word}: $(id -u) on $(cat /proc/sys/kernel/hostname), secret $HOST_SECRET, job $GITHUB_JOB"
echo "{word}: preload=$LD_PRELOAD hook=$ACTIONS_RUNNER_HOOK_JOB_STARTED"
echo "{word}: err" >&2
touch "{mark}"
exit {status}
"""


def read_env(root):
    with open(os.path.join(root, ".env"), "rb") as f:
        return f.read()


def untouched(case):
    case.assertFalse(os.path.exists(HOST))


class Refusals(RigCase):
    RUNNERS = {"r": 0, "bare": 0, "crash": 12345}
    # Nothing is waited for that does not come.
    CONFIG = CONFIG.replace("timeouts:\n", "timeouts:\n  broker_wait: 2s\n  job_start: 20s\n")

    def test_broker_stopped(self):
        self.rig.broker("stop")
        self.addCleanup(self.rig.broker, "start")
        done = self.rig.go(TOUCH, "r")
        self.assertEqual(done.conclusion, "failure", done.text)
        self.assertEqual(done.step("Set up runner")["outcome"], "failure")
        self.assertEqual(done.step("normal")["conclusion"], "skipped")
        for name in ("always", "failure"):
            step = done.step(name)
            self.assertEqual((step["outcome"], step["exit_code"]), ("failure", 1))
            said = [line for line in done.lines(name) if line.startswith("runnerhub: ")]
            self.assertEqual(len(said), 1, done.text)
        untouched(self)

    def test_broker_stopped_in_the_middle(self):
        text = flow(run("first", "sleep 5; echo through"), run("second", "echo again"))
        future = self.rig.soon(self.rig.go, text, "r")
        self.rig.wait_running("r")
        self.rig.broker("kill")
        self.rig.broker("start")
        done = future.result()
        self.assertEqual(done.conclusion, "success", done.text + self.rig.log())
        self.assertEqual(done.lines("first") + done.lines("second"), ["through", "again"])
        job = self.rig.job("r")
        self.assertEqual([s["exitCode"] for s in job["steps"]], [0, 0])

    def test_warm_containers_outlive_the_broker(self):
        def warm():
            return {c["instance"] for c in self.rig.cli("containers") if c["state"] == "warm"}
        before = hub.wait_until(lambda: len(warm()) == 2 and warm(), 30, "two warm containers")
        self.rig.broker("restart")
        self.assertEqual(warm(), before, self.rig.log())

    def test_broker_and_worker_killed(self):
        text = flow(run("old", 'touch old "$RUNNER_TEMP/old"; sleep 90'))
        future = self.rig.soon(self.rig.workflow, text, "--runner", self.rig.roots["crash"])
        job = self.rig.wait_running("crash")
        self.rig.broker("kill")
        self.rig.signal("crash", "Runner.Worker", signal.SIGKILL)
        self.assertEqual(future.result().returncode, 1)
        self.rig.broker("start")
        hub.wait_until(lambda: self.rig.cli("jobs", "show", job["id"])["state"] == "ended", what="the job's end")
        record = self.rig.cli("jobs", "show", job["id"])["containerRecord"]
        hub.wait_until(lambda: record["engineId"][:12] not in self.rig.containers(), what="the container is removed")
        done = self.rig.go(flow(run("look", 'ls -A; ls -A "$RUNNER_TEMP"')), "crash")
        self.assertEqual(done.conclusion, "success", done.text)
        self.assertNotIn("old", done.lines("look"))

    def test_no_library(self):
        path = os.path.join(self.rig.roots["bare"], ".env")
        with open(path, encoding="utf-8") as f:
            kept = f.read()
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(line for line in kept.splitlines(True) if not line.startswith("LD_PRELOAD="))
        done = self.rig.go(TOUCH, "bare")
        with open(path, "w", encoding="utf-8") as f:
            f.write(kept)
        self.assertEqual(done.conclusion, "failure", done.text)
        self.assertIn("the preload library is not loaded", done.text)
        self.assertFalse([s for s in done.steps if s["kind"] == "run"], done.text)
        untouched(self)


class Own(unittest.TestCase):
    """The administrator's hooks, through install's way of wiring."""

    def setUp(self):
        self.place = tempfile.mkdtemp(prefix="rh-own-", dir="/var/tmp")
        os.chmod(self.place, 0o755)
        self.addCleanup(shutil.rmtree, self.place)

    def runner(self, name, uid, started=0, completed=0):
        root = make_runner(os.path.join(self.place, name), name, uid)
        marks = os.path.join(self.place, name + ".marks")
        os.mkdir(marks)
        os.chown(marks, uid, uid)
        with open(os.path.join(root, ".env"), "w", encoding="utf-8") as env:
            env.write("LANG=C.UTF-8\n")
            for word, status in (("started", started), ("completed", completed)):
                path = os.path.join(self.place, f"{name}-{word}.sh")
                with open(path, "w", encoding="utf-8") as f:
                    f.write(OWN.format(word=word, mark=os.path.join(marks, word), status=status))
                os.chmod(path, 0o755)
                env.write(f"ACTIONS_RUNNER_HOOK_JOB_{word.upper()}={path}\n")
        os.chown(os.path.join(root, ".env"), uid, uid)
        return root

    def marks(self, name):
        return sorted(os.listdir(os.path.join(self.place, name + ".marks")))

    def test_own_hooks(self):
        roots = [self.runner("good", 12345), self.runner("bad", 0, started=3), self.runner("late", 0, completed=4)]
        before = {root: read_env(root) for root in roots}
        text = flow(run("step", "hostname"))
        with hub.Instance(CONFIG, roots) as instance:
            env = {**instance.env, "HOST_SECRET": "own-secret"}
            runs = {os.path.basename(root): ran(instance.workflow(text, "--runner", root, env=env)) for root in roots}
        good, bad, late = runs["good"], runs["bad"], runs["late"]
        self.assertEqual(good.conclusion, "success", good.text)
        node = os.uname().nodename
        for word, step in (("started", "Set up runner"), ("completed", "Complete runner")):
            self.assertIn(f"{word}: 12345 on {node}, secret own-secret, job job", good.out(step))
            self.assertIn(f"{word}: preload= hook=", good.out(step))
            self.assertIn(f"{word}: err", good.out(step))
        self.assertNotEqual(good.out("step"), node)
        self.assertEqual(self.marks("good"), ["completed", "started"])

        self.assertEqual(bad.conclusion, "failure", bad.text)
        self.assertEqual(bad.step("Set up runner")["outcome"], "failure")
        self.assertEqual(bad.step("step")["conclusion"], "skipped")
        self.assertEqual(late.conclusion, "failure", late.text)
        self.assertEqual(late.step("step")["conclusion"], "success")
        self.assertEqual(late.step("Complete runner")["outcome"], "failure")
        self.assertEqual({root: read_env(root) for root in roots}, before)

    def test_install_a_job_uninstall(self):
        """Installed programs and a wired runner are put in place; uninstalled, the runner runs a job as before."""
        root = self.runner("in", 12345)
        prefix = os.path.join(self.place, "prefix")
        os.makedirs(prefix + "/units")
        places = ["--prefix", prefix, "--config-dir", prefix + "/etc", "--unit-dir", prefix + "/units"]
        kept = read_env(root)

        def script(name, *arguments):
            done = subprocess.run([os.path.join(hub.TOP, "scripts", name), *places, *arguments], timeout=120,
                                  capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
            self.assertEqual(done.returncode, 0, done.stderr + done.stdout)

        script("install", "--build", hub.build_dir(), "--runner", root)
        self.assertIn(prefix + "/lib/runnerhub/librunnerhub-preload.so", read_env(root).decode())
        script("uninstall", "--runner", root)
        self.assertEqual(read_env(root), kept)
        done = subprocess.run([os.path.join(hub.build_dir(), "tests/worker/run-workflow"), "/dev/stdin", "--runner",
                               root], input=flow(run("host", "hostname")), capture_output=True, text=True,
                              timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(os.uname().nodename, done.stdout)
        self.assertEqual(self.marks("in"), ["completed", "started"])
