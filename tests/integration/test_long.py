# SPDX-License-Identifier: Apache-2.0
"""A minute of silence while every deadline is 2 s; 1 GiB of output for a slow reader."""

import math
import os
import time
import unittest

import client
import hub
from trouble import Run, Trouble, docker, flow

# Whatever is a deadline of RunnerHub's own. What a job or step may take is the workflow's to say. On a machine on
# which an engine needs longer for a container they are more than 2 s, and still few of them make a minute.
SILENT = """
timeouts:
  broker_wait: {0}s
  job_start: {0}s
  agent: {0}s
  drain: {0}s
  announce_keep: {0}s
docker:
  request_timeout: {0}s
default_profile: debian
profiles:
  debian:
    image: runnerhub-debian
    warm: 1
"""

GIB = 1 << 30


def silent():
    began = time.monotonic()
    docker("run", "--rm", "--entrypoint", "true", "runnerhub-debian")
    return SILENT.format(min(10, math.ceil(max(hub.allowed(2), 4 * (time.monotonic() - began)))))


class Long(Trouble):
    @classmethod
    def make_hub(cls):
        # What was freed counts as memory as long as AddressSanitizer keeps it back.
        os.environ["RUNNERHUB_ASAN"] = "quarantine_size_mb=1:thread_local_quarantine_size_kb=64:allocator_release_to_os_interval_ms=100"
        cls.runner = client.Runner()
        cls.addClassCleanup(cls.runner.remove)
        return hub.Instance(silent(), runners=[cls.runner.root])

    def test_silence_and_much_output(self):
        """Both at once on two instances of one configuration: the one mostly waits."""
        with hub.Instance(silent()) as other:
            hub.wait_until(lambda: other.cli("status")["pools"][0]["warm"], 30, "a warm container")
            began = time.monotonic()
            run = Run(other, flow({"run": "sleep 60; echo spoke"}), "--runner", other.runner(1))
            hub.wait_until(lambda: self.hub.cli("status")["pools"][0]["warm"], 30, "a warm container")
            got = self.runner.result(self.hub, "raw_worker", "big_output", GIB, 64 << 20)
            self.assertEqual((got["bytes"], got["code"]), (GIB, 0), got)
            # The broker is not in the step's way: what it grew by does not go with the size.
            quarter = len(got["rss"]) // 4
            self.assertGreater(quarter, 1)
            self.assertLess(max(got["rss"]) - max(got["rss"][:quarter]), 8 << 20, got)
            done = run.result()
            self.assert_green(done, "spoke")
            self.assertGreater(time.monotonic() - began, 60)


del Trouble

if __name__ == "__main__":
    unittest.main()
