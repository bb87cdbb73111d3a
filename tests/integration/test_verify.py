# SPDX-License-Identifier: Apache-2.0
"""runnerhub doctor --verify: clean at rest and at work; every kind of difference, planted, is named and its fix ends it."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import unittest

import hub
from trouble import CONFIG, WAIT, Run, Trouble, docker, flow


class Verify(Trouble):
    CONFIG = CONFIG

    def verify(self, *arguments):
        done = self.hub.run("runnerhub", "doctor", "--verify", *arguments)
        self.assertEqual(done.stderr, "")
        return done

    def differences(self):
        done = self.verify("--json")
        data = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0 if data["ok"] else 1)
        self.assertEqual(data["ok"], not data["differences"])
        return {row["message"]: row for row in data["differences"]}

    def named(self, words, fix=True):
        """Exactly this is named; its fix, run by a shell, ends it."""
        rows = self.differences()
        self.assertEqual(len(rows), len(words), rows)
        for word in words:
            self.assertTrue([message for message in rows if word in message], (word, rows))
        if fix:
            commands = self.verify("--fix").stdout
            subprocess.run(["sh", "-e"], input=commands, text=True, check=True, stdout=subprocess.DEVNULL)
            self.soon_clean()

    def soon_clean(self):
        """Nothing differs, once the engine has done what it was asked for."""
        hub.wait_until(lambda: self.differences() == {}, 30, "nothing differs")

    def test_clean_at_rest_and_at_work(self):
        self.assertIn("nothing differs", self.verify().stdout)
        run = Run(self.hub, flow({"run": WAIT}))
        self.wait_step()
        self.soon_clean()
        self.go()
        self.assert_green(run.result())
        self.soon_clean()

    def test_files_mounts_and_a_container_that_nobody_knows(self):
        state, work = os.path.join(self.hub.dir, "state"), os.path.join(self.hub.runner(1), "_work")
        left = os.path.join(state, "containers", "it's ä left")
        os.makedirs(os.path.join(left, "socket"))
        os.makedirs(os.path.join(work, "_runnerhub/trash/7"), exist_ok=True)
        os.makedirs(os.path.join(work, "demo/old"), exist_ok=True)
        with open(os.path.join(work, "_runnerhub/leased-demo"), "w", encoding="utf-8"):
            pass
        subprocess.run(["mount", "-t", "tmpfs", "none", os.path.join(left, "socket")], check=True)
        docker("run", "-d", "--label", f"runnerhub.hub={self.hub.dir}/state", "--label", "runnerhub.instance=" + "f" * 32,
               "--entrypoint", "sleep", "runnerhub-debian", "600")
        self.named(["the broker has no record of it", "mounted on the host at", "is of no container", "trash/7 was set aside",
                    "workspace demo of runner r1 is leased"])
        self.assertFalse(os.path.exists(left))

    def stopped_hook(self, stack):
        """A hook that no Worker started, stopped before it is refused and ends."""
        while True:
            hook = subprocess.Popen([os.path.join(self.hub.env["RUNNERHUB_LIBEXEC"], "job-started")],
                                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(hook.wait)
            stack.callback(hook.kill)
            hook.send_signal(signal.SIGSTOP)
            if os.waitid(os.P_PID, hook.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT).si_code == os.CLD_STOPPED:
                return hook

    def test_processes(self):
        """A hook that is no Worker's child."""
        with contextlib.ExitStack() as stack:
            hook = self.stopped_hook(stack)
            self.named([f"hook process {hook.pid} is no child of a runner's Worker"], fix=False)
            fix = self.verify("--fix").stdout.splitlines()[-1]
            self.assertEqual(fix, f"kill -KILL {hook.pid}")

    def test_a_broker_that_is_gone(self):
        self.hub.broker("kill")
        try:
            rows = self.differences()
            self.assertTrue([m for m in rows if "no broker answers" in m], rows)
            self.assertIn("systemctl start runnerhubd", self.verify("--fix").stdout)
        finally:
            self.hub.broker("start")
        self.assertEqual(self.differences(), {})

    def test_a_socket_whose_place_is_taken(self):
        path = os.path.join(self.hub.dir, "run/broker.sock")
        # In one step: a socket that is only missing is made again within a second.
        with open(path + ".other", "w", encoding="utf-8"):
            pass
        os.rename(path + ".other", path)
        try:
            self.named(["runners cannot reach the broker"], fix=False)
        finally:
            os.unlink(path)
        hub.wait_until(lambda: self.differences() == {}, 20, "the socket is back")

    def test_who_may_ask(self):
        done = self.hub.run("runnerhub", "doctor", "--fix")
        self.assertEqual(done.returncode, 2, done.stderr)
        done = subprocess.run(["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups",
                               shutil.which("runnerhub", path=self.hub.env["PATH"]), "doctor", "--verify"],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 77, done.stderr)
        self.assertIn("only root", done.stderr)


del Trouble

if __name__ == "__main__":
    unittest.main()
