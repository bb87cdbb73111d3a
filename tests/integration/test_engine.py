# SPDX-License-Identifier: Apache-2.0
"""The container engine absent, hanging, answering errors or half a body, restarted in the middle.

A proxy stands in front of it. Jobs that have their container go on; a job that needs one fails with
the reason in its own log, in time; when the engine is back, jobs run again and nothing is left.
"""

import json
import math
import subprocess
import time
import unittest

import hub
from proxy import Proxy
from trouble import WAIT, Run, Trouble, docker, flow

CONFIG = """
timeouts:
  broker_wait: 6s
  job_start: {1}s
  agent: 5s
  drain: 5s
docker:
  socket: {0}
  request_timeout: {2}s
default_profile: debian
profiles:
  debian:
    image: runnerhub-debian
    warm: 0
"""


class Engine(Trouble):
    @classmethod
    def make_hub(cls):
        cls.proxy = Proxy()
        cls.addClassCleanup(cls.proxy.close)
        # A start of a container must not take longer where the engine works, beside what else runs here.
        cls.patience = math.ceil(max(10, hub.allowed(4)))
        return hub.Instance(CONFIG.format(cls.proxy.path, 6 * cls.patience, cls.patience))

    def in_trouble(self, mode, *words):
        """A step runs while the engine fails, and a second job wants a container; afterwards all is well."""
        run = Run(self.hub, flow({"run": f"echo before; {WAIT}; echo after"},
                                 {"run": "echo next step"}), "--runner", self.hub.runner(1))
        self.wait_step()
        self.proxy.set(mode)
        began = time.monotonic()
        try:
            second = self.hub.workflow(flow({"run": "touch /tmp/rh-on-the-host"}), "--runner", self.hub.runner(2))
            self.assertLess(time.monotonic() - began, self.patience + hub.allowed(6 + 5 + 3))
            self.assert_failed(second, "runnerhub: no container", *words)
            self.go()
            self.assert_green(run.result(), "after", "next step")
        finally:
            self.proxy.set("pass")
        self.check_clean()
        self.assert_green(self.hub.workflow(flow({"run": "echo again"}), "--runner", self.hub.runner(2)), "again")

    def test_absent(self):
        self.in_trouble("absent")

    def test_hanging(self):
        self.in_trouble("hang")

    def test_answering_errors(self):
        self.in_trouble("error", "a bad day")

    def test_answering_half_a_body(self):
        self.in_trouble("half")

    def test_restarted_while_steps_run_and_a_job_starts(self):
        runs = [Run(self.hub, flow({"run": "for n in $(seq 60); do sleep 0.1; done; echo through"}), "--runner",
                    self.hub.runner(1))]
        self.wait_step()
        self.proxy.set("absent")
        runs.append(Run(self.hub, flow({"run": "echo waited"}), "--runner", self.hub.runner(2)))
        time.sleep(2)
        self.proxy.set("pass")
        for run in runs:
            self.assert_green(run.result())
        # What the engine did while nobody listened is found by comparing, not by events.
        self.check_clean()

    def test_a_container_that_vanished_while_the_engine_was_away(self):
        run = Run(self.hub, flow({"run": "sleep 600"}, {"if": "always()", "run": "echo on the host"}), "--runner",
                  self.hub.runner(1))
        self.wait_step()
        name = self.hub.cli("status")["jobs"][0]["container"]
        self.proxy.set("absent")
        subprocess.run(["docker", "rm", "-f", name], check=True, stdout=subprocess.DEVNULL)
        began = time.monotonic()
        done = run.result()
        self.proxy.set("pass")
        self.assertLess(time.monotonic() - began, hub.allowed(5 + 3))
        self.assert_failed(done, "runnerhub: ")
        self.assertNotIn("\non the host", done.stdout)

    def test_its_network_removed(self):
        """As "docker network prune" does while no container is on it."""
        self.check_clean()
        docker("network", "rm", self.hub.cli("status")["network"]["name"])
        self.assert_green(self.hub.workflow(flow({"run": "echo again"}), "--runner", self.hub.runner(1)), "again")

    def test_two_networks_of_one_name(self):
        """What is left by a broker that was killed while it asked for one, and the next one."""
        name = self.hub.cli("status")["network"]["name"]
        for owner in (f"{self.hub.dir}/state", "/somebody/else"):
            self.make_network(name, owner)
        self.hub.broker("restart")
        self.assert_green(self.hub.workflow(flow({"run": "echo in one"}), "--runner", self.hub.runner(1)), "in one")
        own = ("network", "ls", "-q", "-f", f"name={name}", "-f", f"label=runnerhub.hub={self.hub.dir}/state")
        hub.wait_until(lambda: len(docker(*own)) == 1, 30, "the second network removed")
        self.assertEqual(len(docker("network", "ls", "-q", "-f", f"name={name}")), 2)
        said = self.hub.run("runnerhub", "doctor", "--config", f"{self.hub.dir}/etc/runnerhub.yaml").stdout
        self.assertIn(f"several networks are called {name}", said)
        docker("network", "rm", *docker("network", "ls", "-q", "-f", f"name={name}", "-f",
                                        "label=runnerhub.hub=/somebody/else"))
        self.check_clean()

    @staticmethod
    def make_network(name, owner):
        """Without "CheckDuplicate", which docker's own command always asks for."""
        body = {"Name": name, "Driver": "bridge", "Options": {"com.docker.network.bridge.enable_icc": "false"},
                "Labels": {"runnerhub.managed": "true", "runnerhub.hub": owner}}
        subprocess.run(["curl", "-fsS", "--unix-socket", hub.ENGINE, "-H", "Content-Type: application/json", "-d",
                        json.dumps(body), "http://engine/v1.41/networks/create"], check=True,
                       stdout=subprocess.DEVNULL, timeout=60)


del Trouble

if __name__ == "__main__":
    unittest.main()
