# SPDX-License-Identifier: Apache-2.0
"""An installed RunnerHub, away from the source tree: its broker, and the attacks on it."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

import hub

CONFIG = """
libexec_dir: {0}/lib/runnerhub
runners_dir: {0}/etc/runners.d
runtime_dir: {0}/run
state_dir: {0}/state
docker:
  socket: {2}
network:
  name: {1}
default_profile: debian
profiles:
  debian:
    image: runnerhub-debian
    warm: 2
"""


class Installed(unittest.TestCase):
    def setUp(self):
        self.prefix = tempfile.mkdtemp(prefix="rh-installed-", dir="/var/tmp")
        self.addCleanup(shutil.rmtree, self.prefix)
        os.chmod(self.prefix, 0o755)
        for name in ("units", "etc", "run", "state"):
            os.mkdir(os.path.join(self.prefix, name))
        self.config = self.prefix + "/etc/runnerhub.yaml"
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(CONFIG.format(self.prefix, f"rhi{os.getpid()}", hub.ENGINE))
        self.places = ["--prefix", self.prefix, "--config-dir", self.prefix + "/etc", "--unit-dir",
                       self.prefix + "/units"]
        self.must(hub.TOP + "/scripts/install", "--build", hub.build_dir(), *self.places)
        self.addCleanup(self.must, hub.TOP + "/scripts/uninstall", *self.places)
        self.log = open(self.prefix + "/log", "w+", encoding="utf-8")  # pylint: disable=consider-using-with
        self.broker = subprocess.Popen(  # pylint: disable=consider-using-with
            [self.prefix + "/sbin/runnerhubd", "--config", self.config], stderr=self.log)
        self.addCleanup(self.stop)

    def stop(self):
        self.broker.terminate()
        self.broker.wait(60)
        self.log.close()

    def must(self, *line):
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)
        self.assertEqual(done.returncode, 0, f"{line}: {done.stdout}{done.stderr}")
        return done

    def said(self):
        with open(self.prefix + "/log", encoding="utf-8") as f:
            return f.read()

    def runnerhub(self, *line):
        return subprocess.run([self.prefix + "/bin/runnerhub", "--socket", self.prefix + "/run/control.sock", *line],
                              capture_output=True, text=True, check=False, timeout=120)

    def check_verify(self):
        """They have left nothing; what nobody knows is named, with the command that ends it."""
        hub.wait_until(lambda: self.runnerhub("doctor", "--verify").returncode == 0, 20, "nothing differs")
        os.mkdir(self.prefix + "/state/containers/left")
        done = self.runnerhub("doctor", "--verify", "--json")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("containers/left", json.loads(done.stdout)["differences"][0]["message"])
        subprocess.run(["sh", "-e"], input=self.runnerhub("doctor", "--verify", "--fix").stdout, text=True, check=True)
        self.assertIn("nothing differs", self.runnerhub("doctor", "--verify").stdout)

    def test_attacks_get_nowhere(self):
        hub.wait_until(lambda: self.runnerhub("status").returncode == 0, 20, "the broker is up")
        done = self.runnerhub("doctor", "--attack", "--config", self.config, "--match", "deputy/summary-*", "--json")
        self.assertEqual(done.returncode, 0, done.stderr + self.said())
        self.assertEqual({a["name"]: a["outcome"] for a in json.loads(done.stdout)},
                         {"deputy/summary-read": "nowhere", "deputy/summary-write": "nowhere"})
        self.assertIn("2 attacks tried: 2 got nowhere", done.stderr)
        self.assertEqual(os.listdir(self.prefix + "/etc/runners.d"), [])
        self.assertEqual(json.loads(self.runnerhub("status", "--json").stdout)["runners"], [])
        self.check_verify()
        done = self.runnerhub("doctor", "--attack", "--config", self.config, "--match", "no/such")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no attack", done.stderr)
        self.assertEqual(self.runnerhub("doctor", "--attack", "--verify").returncode, 2)
        self.broker.terminate()
        self.broker.wait(60)
        done = self.runnerhub("doctor", "--attack", "--config", self.config)
        self.assertEqual(done.returncode, 69, done.stderr)
        self.assertIn("the broker is not running", done.stderr)
