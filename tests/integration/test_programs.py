# SPDX-License-Identifier: Apache-2.0
"""Programs at the limits of exec, and node for images that have no glibc."""

import json
import os
import resource
import subprocess
import tempfile
import unittest

import hub
from trouble import Trouble, flow

CONFIG = """
timeouts:
  broker_wait: 5s
  drain: 5s
default_profile: debian
profiles:
  debian:
    image: runnerhub-debian
    warm: 1
  musl:
    image: runnerhub-musl
    warm: 0
"""

# What a kernel takes of one exec: a quarter of the stack's limit, 6 MiB at most; of one string 128 KiB.
LIMIT = min(resource.getrlimit(resource.RLIMIT_STACK)[0] % (1 << 63), 24 << 20) // 4
PIECE = 100000

NODE = """
#include <stdio.h>
int main(int argc, char **argv)
{
	FILE *file = argc > 1 ? fopen(argv[argc - 1], "r") : NULL;
	char line[100] = "";

	printf("%s runs %s", FLAVOUR, file && fgets(line, sizeof(line), file) ? line : "nothing");
	return file ? 0 : 1;
}
"""
ACTION = {"act/action.yml": json.dumps({"name": "a", "runs": {"using": "node20", "main": "main.js"}}),
          "act/main.js": "the-action\n"}


class Programs(Trouble):
    @classmethod
    def make_hub(cls):
        place = tempfile.TemporaryDirectory(prefix="rh-node-", dir="/var/tmp")
        cls.addClassCleanup(place.cleanup)
        os.chmod(place.name, 0o755)
        source, cls.roots = os.path.join(place.name, "node.c"), {}
        with open(source, "w", encoding="utf-8") as file:
            file.write(NODE)
        nodes = {}
        for compiler, flavour in (("gcc", "glibc"), ("musl-gcc", "musl")):
            nodes[flavour] = os.path.join(place.name, flavour)
            # Not static: each needs its own loader, as the real ones do.
            subprocess.run([compiler, f'-DFLAVOUR="{flavour}"', "-o", nodes[flavour], source], check=True)
        for name in ("debian", "musl"):
            root = cls.roots[name] = os.path.join(place.name, name + "-runner")
            subprocess.run([os.path.join(hub.TOP, "tests/worker/make-runner"), "--build", hub.build_dir(), root, "--name",
                            name, "--node", nodes["glibc"], "--node-alpine", nodes["musl"]], check=True)
        return hub.Instance(CONFIG, runners=list(cls.roots.values()))

    def test_node_is_the_images(self):
        with open(os.path.join(self.hub.dir, "etc/runners.d/musl-runner.yaml"), "a", encoding="utf-8") as file:
            file.write("profile: musl\n")
        self.hub.broker("reload")
        hub.wait_until(lambda: {"debian", "musl"} == {r["profile"] for r in self.hub.cli("status")["runners"]})
        text = json.dumps({"name": "node", "files": ACTION, "jobs": {"job": {
            "runs-on": "self-hosted", "steps": [{"uses": "./act"}]}}})
        for name, flavour in (("debian", "glibc"), ("musl", "musl")):
            with self.subTest(name):
                done = self.hub.workflow(text, "--runner", self.roots[name])
                self.assert_green(done, f"{flavour} runs the-action")

    def plain(self, text):
        """On a runner as it comes."""
        env = {k: v for k, v in self.hub.env.items() if not k.startswith("RUNNERHUB_")}
        env["PATH"] = os.path.join(hub.build_dir(), "tests/worker") + ":" + env["PATH"]
        return self.hub.workflow(text, env=env)

    @staticmethod
    def large(n_bytes):
        env = {f"V{n:03}": "x" * (PIECE - 6) for n in range(n_bytes // PIECE)}
        return flow({"run": "env | wc -c", "env": env})

    def test_an_environment_up_to_the_limit(self):
        """The runner's own variables and the pointers count, too: a tenth is left for them."""
        text = self.large(LIMIT * 9 // 10)
        for done in (self.plain(text), self.hub.workflow(text, "--runner", self.roots["debian"])):
            self.assert_green(done)
            size = max(int(line) for line in done.stdout.split() if line.isdigit())
            self.assertGreater(size, LIMIT * 8 // 10)

    def test_an_environment_beyond_it(self):
        text = self.large(LIMIT * 12 // 10)
        for done in (self.plain(text), self.hub.workflow(text, "--runner", self.roots["debian"])):
            self.assert_failed(done, "Argument list too long")

    def test_arguments_within_a_step(self):
        """The step's own children have the limits of a plain runner."""
        script = (f"import os, subprocess\nfor n in ({LIMIT * 9 // 10}, {LIMIT * 12 // 10}):\n"
                  f" argv = ['true'] + ['x' * {PIECE - 1}] * (n // {PIECE})\n"
                  " try: print(subprocess.run(argv, executable='/bin/true').returncode)\n"
                  " except OSError as e: print(e.errno)\n")
        text = flow({"run": f"python3 - <<'E'\n{script}E"})
        for done in (self.plain(text), self.hub.workflow(text, "--runner", self.roots["debian"])):
            self.assert_green(done)
            self.assertIn("    0\n    7\n", done.stdout)


del Trouble

if __name__ == "__main__":
    unittest.main()
