# SPDX-License-Identifier: Apache-2.0
"""How steps and jobs end: cancel, time-out, daemons, a killed Worker, a stopped Listener."""

import signal

import hub
from flow import RigCase, flow, run

# Times are told by the step itself, in milliseconds since the epoch.
STUBBORN = """
now() { date +%s%3N; }
trap 'echo "int=$(now)"' INT
trap 'echo "term=$(now)"' TERM
echo "start=$(now)"
(trap '' INT TERM; exec sleep 97) &
for i in $(seq 400); do sleep 0.1; done
echo "survived=1"
"""
SIGNALS = flow(run("stubborn", STUBBORN),
               run("never", "true"),
               # grep -c prints 0 and fails where there is none, which is what is hoped for.
               run("always", "ps -eo args | grep -c '[s]leep 97' || true", **{"if": "always()"}))
TIMEOUT = flow(run("late", "sleep 98 & sleep 98", **{"timeout-minutes": 0.05, "continue-on-error": True}),
               run("left", "sleep 0.2; ps -eo args"),
               run("done", "true"))
DAEMON = flow(run("start", "sleep 96 & echo $! > pid; echo started"),
              run("next", "kill -0 $(cat pid) && echo alive; ps -eo args | grep '[s]leep 96'"))
SLEEPER = flow(run("sleeper", "echo ready; sleep 95"), run("always", "echo ran", **{"if": "always()"}))


class Ends(RigCase):
    RUNNERS = {"signals": 0, "timeout": 12345, "daemon": 0, "stop": 0, "worker": 0, "listener": 0}

    @classmethod
    def begin(cls):
        rig, soon = cls.rig, cls.rig.soon
        cls.signals = soon(rig.cancel, SIGNALS, "signals")
        cls.timeout = soon(rig.go, TIMEOUT, "timeout")
        cls.daemon = soon(rig.go, DAEMON, "daemon")
        cls.stop = soon(rig.go, SLEEPER, "stop")
        cls.stopper = soon(cls.stop_listener)

    @classmethod
    def stop_listener(cls):
        cls.rig.wait_running("stop")
        cls.rig.signal("stop", "Runner.Listener", signal.SIGINT)

    def gone(self, runner):
        """Nothing of a runner's last job is left: no process, no container."""
        job = self.rig.job(runner)
        self.assertEqual(job["state"], "ended")
        hub.wait_until(lambda: job["containerRecord"]["engineId"][:12] not in self.rig.containers(),
                       what="the container is removed")
        return job

    def test_cancel_sends_int_then_term_then_kill(self):
        ran = self.signals.result()
        self.assertEqual(ran.conclusion, "cancelled", ran.text)
        self.assertEqual(ran.code, 2)
        at = {k: int(v) for k, v in ran.values("stubborn").items()}
        self.assertNotIn("survived", at)
        self.assertAlmostEqual(at["term"] - at["int"], 7500, delta=hub.allowed(1500))
        self.assertEqual(ran.step("stubborn")["outcome"], "cancelled")
        self.assertAlmostEqual(ran.step("stubborn")["ms"], at["int"] - at["start"] + 10000, delta=hub.allowed(3000))
        self.assertEqual(ran.step("never")["conclusion"], "skipped")
        # After a relayed SIGTERM what is left of the step's group is killed with it.
        self.assertEqual(ran.out("always"), "0")
        self.gone("signals")

    def test_timeout(self):
        ran = self.timeout.result()
        self.assertEqual(ran.conclusion, "success", ran.text)
        self.assertEqual(ran.step("late")["outcome"], "failure")
        self.assertIn("has timed out after", "\n".join(ran.step("late")["log"]))
        self.assertLess(ran.step("late")["ms"], 14000)
        self.assertNotIn("sleep 98", ran.out("left"))
        self.assertEqual(ran.step("done")["conclusion"], "success")
        self.gone("timeout")

    def test_a_daemon_that_holds_stdout(self):
        ran = self.daemon.result()
        self.assertEqual(ran.conclusion, "success", ran.text)
        self.assertAlmostEqual(ran.step("start")["ms"], 5000, delta=hub.allowed(1500))
        self.assertEqual(ran.lines("next"), ["alive", "sleep 96"])
        self.gone("daemon")

    def test_stop_of_the_listener(self):
        ran = self.stop.result()
        self.assertEqual(ran.conclusion, "failure", ran.text)
        self.assertEqual(ran.step("always")["conclusion"], "skipped")
        self.assertEqual(ran.step("Complete runner")["conclusion"], "skipped")
        job = self.gone("stop")
        self.assertNotEqual(job["reason"], "")

    def test_a_killed_worker(self):
        future = self.rig.soon(self.rig.workflow, SLEEPER, "--runner", self.rig.roots["worker"])
        first = self.rig.wait_running("worker")
        self.rig.signal("worker", "Runner.Worker", signal.SIGKILL)
        self.assertEqual(future.result().returncode, 1)
        job = hub.wait_until(lambda: [j for j in self.rig.cli("jobs", "--runner", "worker") if j["state"] == "ended"],
                             what="the job has ended")[0]
        self.assertEqual(job["id"], first["id"])
        self.assertNotEqual(job["reason"], "")
        self.gone("worker")
        # The runner's next job is an ordinary one.
        self.assertEqual(self.rig.go(flow(run("next", "true")), "worker").conclusion, "success")

    def test_a_killed_listener(self):
        root = self.rig.roots["listener"]
        slow = flow(run("slow", "sleep 6; echo through"))
        future = self.rig.soon(self.rig.workflow, slow, "--runner", root)
        first = self.rig.wait_running("listener")
        self.rig.signal("listener", "Runner.Listener", signal.SIGKILL)
        future.result()
        # Its Worker still holds the lease, so a second job of the runner gets none.
        self.assertTrue(self.rig.pids("listener", "Runner.Worker"))
        second = self.rig.go(flow(run("host", "hostname > /var/tmp/never"), run("always", "true", **{"if": "always()"})),
                             "listener")
        self.assertEqual(second.conclusion, "failure", second.text)
        self.assertEqual(second.step("host")["conclusion"], "skipped")
        self.assertEqual(second.step("always")["outcome"], "failure")
        hub.wait_until(lambda: not self.rig.pids("listener", "Runner.Worker"), 30, "the first job's end")
        jobs = hub.wait_until(lambda: [j for j in self.rig.cli("jobs", "--runner", "listener") if j["id"] == first["id"]
                                       and j["state"] == "ended"], what="the first job's record")
        steps = self.rig.cli("jobs", "show", jobs[0]["id"])["steps"]
        self.assertEqual([s["exitCode"] for s in steps], [0])
        self.assertEqual(self.rig.go(flow(run("next", "true")), "listener").conclusion, "success")
