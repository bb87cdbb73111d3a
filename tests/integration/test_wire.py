# SPDX-License-Identifier: Apache-2.0
"""Raw clients of broker.sock, children of a registered runner's Worker among them."""

import os
import unittest

import client
import hub
import raw_worker
from trouble import Trouble

CONFIG = """
timeouts:
  broker_wait: 5s
  drain: 5s
default_profile: debian
profiles:
  debian:
    image: runnerhub-debian
    warm: 1
"""


class Wire(Trouble):
    @classmethod
    def make_hub(cls):
        cls.runner = client.Runner()
        cls.addClassCleanup(cls.runner.remove)
        return hub.Instance(CONFIG, runners=[cls.runner.root])

    def act(self, function, *arguments):
        return self.runner.result(self.hub, "raw_worker", function, *arguments)

    def assert_ran(self, step, output):
        self.assertEqual(step, [raw_worker.RAN, 0, output])

    def test_versions_of_the_same_major_one(self):
        for version in {client.constant("RH_WIRE_VERSION_OLDEST"), client.VERSION, client.VERSION + 1, 0x00FF}:
            with self.subTest(version=version):
                job = self.act("whole_job", version)
                self.assertEqual(job["started"][0], raw_worker.TEXT_AND_DONE, job)
                self.assertEqual(job["step"][:2], [raw_worker.RAN, 7], job)
                self.assertTrue(job["step"][2].startswith("from\n"))
                self.assertEqual(job["completed"], [[client.DONE], [client.VERSION], "[0]"])

    def test_other_versions_are_refused_in_words(self):
        for version in (0, 0x0100, 0x0201, 0xFFFF):
            with self.subTest(version=version):
                for kinds, versions, text in self.act("refused", version):
                    self.assertEqual((kinds, versions), ([client.REFUSED], [version]))
                    self.assertIn("install both from one release", text)
        self.assertIn("another protocol version", self.hub.log())

    def test_badly_spoken(self):
        said = self.act("badly_spoken")
        for name, (kind, text) in said["before"] + said["during"]:
            with self.subTest(name):
                # Cut, or refused with a reason; nothing is accepted.
                self.assertIn(kind, (None, client.REFUSED))
                self.assertEqual(bool(text), kind == client.REFUSED)
        self.assertEqual(said["started"][0], raw_worker.TEXT_AND_DONE, said["started"])
        self.assertEqual(said["twice"][0], [client.REFUSED])
        self.assertIn("started once", said["twice"][2])
        self.assert_ran(said["alive"], "alive\n")
        self.assertEqual([answer[2] for answer in said["done"]], ["[0]", "[0]"])
        self.assertEqual(said["after"][:2], [[client.REFUSED], None])
        self.assertFalse(os.path.exists(f"{self.runner.root}/_work/demo/demo/ran-after"))

    def test_untimely_on_a_steps_channel(self):
        said = self.act("untimely_channels")
        found = said["found"]
        self.assertEqual(found["early-go"], [[client.READY, client.EXIT], 0])
        self.assertEqual(found["twice"], [[client.READY, client.EXIT], 0])
        # A signal of no meaning is left out, and the step still waits for GO.
        self.assertEqual(found["signal-first"], [[client.READY, "silence"], None])
        for what in ("foreign", "garbage"):
            self.assertNotEqual(found[what][1], 0, found)
        self.assertEqual(said["ran"], ["ran-early-go", "ran-twice"])
        self.assert_ran(said["last"], "still here\n")

    def test_silent_and_deaf_peers(self):
        said = self.act("silent_and_deaf")
        self.assert_ran(said["ran"], "beside\n")
        self.assertEqual(set(said["said"]), {client.REFUSED})

    def test_worker_that_is_gone_while_peers_hold_on(self):
        with self.runner.worker(self.hub, "raw_worker", "begun_job") as worker:
            hub.wait_until(lambda: self.hub.cli("status")["jobs"], 20, "a job")
            worker.kill()
        self.check_clean()
        self.assertEqual(self.act("whole_job", client.VERSION)["step"][1], 7)


del Trouble

if __name__ == "__main__":
    unittest.main()
