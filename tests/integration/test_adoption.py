# SPDX-License-Identifier: Apache-2.0
"""A broker that was killed and started again takes over 50 containers and a running job."""

import re
import unittest

import hub
from trouble import WAIT, Run, Trouble, docker, flow

MANY = """
timeouts:
  drain: 5s
docker:
  parallel_creates: 2
default_profile: busybox
profiles:
  busybox:
    image: runnerhub-busybox
    warm: 50
    max: 64
    memory: 64M
"""


class Adoption(Trouble):
    CONFIG = MANY

    def test_fifty_containers_and_a_running_job(self):
        hub.wait_until(lambda: self.hub.cli("status")["pools"][0]["warm"] >= 49, 300, "50 containers")
        label = f"label=runnerhub.hub={self.hub.dir}/state"
        run = Run(self.hub, flow({"run": f"{WAIT}; echo through", "shell": "sh -e {0}"},
                                 {"run": "echo next", "shell": "sh -e {0}"}))
        self.wait_step()
        hub.wait_until(lambda: self.hub.cli("status")["pools"][0]["warm"] >= 49, 300, "50 containers")
        before = set(docker("ps", "-q", "--no-trunc", "--filter", label))
        self.hub.broker("kill")
        self.hub.broker("start")
        status = self.hub.cli("status")
        took = int(re.findall(r"notice serving ms=(\d+)", self.hub.log())[-1])
        print(f"adopted {len(before)} containers in {took} ms")  # scripts/bench has a bar for it
        self.assertGreaterEqual(len(before), 50)
        self.assertEqual((status["pools"][0]["leased"], len(status["jobs"])), (1, 1))
        self.assertGreaterEqual(status["pools"][0]["warm"], 49)
        self.go()
        self.assert_green(run.result(), "through", "next")
        # They are the same ones, and nobody made others in their place.
        self.assertGreaterEqual(len(before & set(docker("ps", "-q", "--no-trunc", "--filter", label))), 49)


del Trouble

if __name__ == "__main__":
    unittest.main()
