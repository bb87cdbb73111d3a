# SPDX-License-Identifier: Apache-2.0
"""A Worker killed with -9 in each phase of its job: its container goes, nothing stays, the next job runs.

A phase is held by what makes it last: the administrator's own hooks, a stopped mount helper, a
stopped Worker. The helpers themselves are killed, too.
"""

import contextlib
import os
import signal
import subprocess
import time
import unittest

import hub
from trouble import WAIT, Run, Trouble, below, command, flow, processes

CONFIG = """
timeouts:
  broker_wait: 5s
  announce_keep: 2s
  drain: 5s
default_profile: debian
profiles:
  debian:
    image: runnerhub-debian
    warm: 0
"""


class Phases(Trouble):
    CONFIG = CONFIG

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        root = cls.hub.runner(1)
        for when in ("started", "completed"):
            path = os.path.join(root, when + ".sh")
            with open(path, "w", encoding="utf-8") as file:
                file.write(f"echo {when}-hook; (pwd; ls -A) > {root}/{when}; while [ -e {root}/hold-{when} ]; do sleep 0.05; done\n")
        with open(os.path.join(cls.hub.dir, "etc/runners.d/r1.yaml"), "a", encoding="utf-8") as file:
            file.write(f"started_hook: {root}/started.sh\ncompleted_hook: {root}/completed.sh\n")
        cls.hub.broker("restart")

    def place(self, name):
        return os.path.join(self.hub.runner(1), name)

    @contextlib.contextmanager
    def held(self, when):
        """The administrator's hook does not end."""
        with open(self.place("hold-" + when), "w", encoding="utf-8"):
            pass
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.place(when))
        try:
            yield
        finally:
            os.unlink(self.place("hold-" + when))

    def helper(self, name):
        broker = int(self.hub.broker("pid"))
        return next(pid for pid in below(processes(), broker) if command(pid) == name)

    @contextlib.contextmanager
    def stopped(self, pid):
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def worker(self):
        """The Worker that runs."""
        program = self.place("bin/Runner.Worker")
        return hub.wait_until(lambda: [pid for pid, (exe, _, _) in processes().items() if exe == program], 20, "a Worker")[0]

    def phase(self, *phases):
        return hub.wait_until(lambda: [j for j in self.hub.cli("status")["jobs"] if j["phase"] in phases], 20,
                              " or ".join(phases))[0]

    def job(self, *steps):
        return Run(self.hub, flow(*(steps or [{"run": "sleep 600"}])))

    def kill(self, run):
        worker = self.worker()
        os.kill(worker, signal.SIGKILL)
        self.assertEqual(run.result().returncode, 1)

    def over(self, result="abandoned"):
        """Nothing is left, the record says so, and the next job runs."""
        self.check_clean()
        if result:
            self.assertEqual(self.last_job()["result"], result)
        self.assert_green(self.hub.workflow(flow({"run": "test ! -e left; echo next"})), "next")

    def test_before_the_started_hook(self):
        n = len(self.hub.cli("jobs"))
        with open(self.place(".env"), "r+", encoding="utf-8") as env:
            text = env.read()
            env.write("\nRUNNERHUB_STANDIN_START_MS=30000\n")
        try:
            self.kill(self.job())
        finally:
            with open(self.place(".env"), "w", encoding="utf-8") as env:
                env.write(text)
        self.assertEqual(len(self.hub.cli("jobs")), n)
        self.over(None)

    def test_in_the_administrators_started_hook(self):
        with self.held("started"):
            run = self.job()
            self.phase("host-hook")
            hub.wait_until(lambda: os.path.exists(self.place("started")), what="the hook runs")
            self.kill(run)
        self.over()

    def test_while_its_container_is_made(self):
        run = self.job()
        self.phase("acquiring", "leasing", "running")
        self.kill(run)
        self.over(None)

    def test_while_its_directories_are_mounted(self):
        with self.stopped(self.helper("rh-mount")):
            run = self.job()
            # It makes the container's directory, too: without it there is none.
            self.phase("acquiring", "leasing")
            time.sleep(0.3)
            self.kill(run)
        self.over()

    def test_during_a_step(self):
        run = self.job({"run": "touch left; (trap '' TERM HUP; setsid sleep 300) & sleep 600"})
        self.wait_step()
        self.kill(run)
        self.over()

    def test_between_steps(self):
        run = self.job({"run": f"touch left; {WAIT}"}, {"run": "sleep 600"})
        self.wait_step()
        with self.stopped(self.worker()):
            self.go()
            hub.wait_until(lambda: not self.hub.cli("status")["jobs"][0]["stepsRunning"], 20, "the step's end")
            self.kill(run)
        self.over()

    def test_while_it_is_completed(self):
        run = self.job({"run": f"touch left; {WAIT}"})
        self.wait_step()
        with self.stopped(self.helper("rh-mount")):
            self.go()
            self.phase("ending")
            self.kill(run)
        self.over("completed")

    def test_in_the_administrators_completed_hook(self):
        with self.held("completed"):
            run = self.job({"run": "touch left"})
            hub.wait_until(lambda: os.path.exists(self.place("completed")), 30, "the hook runs")
            self.kill(run)
        self.over("completed")

    def test_where_the_administrators_hooks_run(self):
        """Where nothing of a job's is: in "/" before it, in the fresh workspace after it."""
        self.assert_green(self.hub.workflow(flow({"run": "pwd; touch left Makefile"})))
        with open(self.place("started"), encoding="utf-8") as file:
            self.assertEqual(file.readline(), "/\n")
        with open(self.place("completed"), encoding="utf-8") as file:
            self.assertEqual(file.read().splitlines(), [self.place("_work/demo/demo")])

    def test_a_temp_that_another_worker_held(self):
        """A spoilt _temp is made fresh once no Worker uses it, whoever that was, also by a new broker."""
        temp = self.place("_work/_temp")
        for restart in (False, True):
            with self.subTest(restart=restart):
                read, write = os.pipe()
                # It has announced nothing, and waits for its Listener.
                other = subprocess.Popen([self.place("bin/Runner.Worker"), "spawnclient", str(read), str(write)],
                                         pass_fds=(read, write))
                try:
                    time.sleep(0.3)
                    self.assert_green(self.hub.workflow(flow({"run": "chmod 000 \"$RUNNER_TEMP\""})))
                    if restart:
                        self.hub.broker("restart")
                    time.sleep(1.5)
                    self.assertEqual(os.stat(temp).st_mode & 0o777, 0)
                finally:
                    other.kill()
                    other.wait()
                    os.close(read)
                    os.close(write)
                hub.wait_until(lambda: os.stat(temp).st_mode & 0o777 == 0o755, 20, "a fresh _temp")
                self.over(None)

    def test_helpers_that_are_killed(self):
        """The mount helper, the sweeper, their parent; with and without a job that needs them just then."""
        for name in ("rh-mount", "rh-sweep", "rh-zygote"):
            with self.subTest(name):
                os.kill(self.helper(name), signal.SIGKILL)
                self.assert_green(self.hub.workflow(flow({"run": "echo next"})), "next")
        for name in ("rh-mount", "rh-zygote"):
            with self.subTest(name, busy=True):
                with self.stopped(self.helper("rh-mount")) if name == "rh-zygote" else contextlib.nullcontext():
                    mount = self.helper("rh-mount")
                    if name == "rh-mount":
                        os.kill(mount, signal.SIGSTOP)
                    run = self.job({"run": "echo ran"})
                    self.phase("acquiring", "leasing")
                    time.sleep(0.3)
                    os.kill(self.helper(name), signal.SIGKILL)
                    done = run.result()
                if done.returncode != 0:
                    self.assert_failed(done, "runnerhub: ", "mount helper died")
                self.over(None)


del Trouble

if __name__ == "__main__":
    unittest.main()
