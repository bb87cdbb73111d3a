# SPDX-License-Identifier: Apache-2.0
"""A kernel before 5.12, made of this one by a filter that answers ENOSYS: jobs run, and stay inside."""

import os
import subprocess
import unittest

import hub

# All that came after Linux 5.3, and mounts that follow no links (5.10).
WITHOUT = ("open_tree", "move_mount", "mount_setattr", "fsopen", "fsconfig", "fsmount", "openat2", "close_range",
           "landlock_create_ruleset", "nosymfollow")

# Those that the no-follow view of _temp stops elsewhere, those of the plan of mounts, of untar.
ATTACKS = ("deputy/summary-write", "deputy/summary-read", "deputy/output-read", "deputy/event-write",
           "deputy/event-folder", "deputy/commands-folder", "deputy/temp-replaced", "deputy/archive-link",
           "deputy/action-yml", "files/runners-own", "files/left-for-the-next", "files/setuid")

JOB = """
name: old
on: push
jobs:
  old:
    runs-on: self-hosted
    steps:
      - id: one
        run: |
          echo "as=$(id -u):$(id -g)" >> "$GITHUB_OUTPUT"
          test ! -e left && echo clean
          echo file > left; echo temp > "$RUNNER_TEMP/left"; ln -s left link; mkdir -p deep/er
          touch ../../_actions/x 2>/dev/null || echo "actions are read-only"
          test -e "$RUNNER_TOOL_CACHE/tool" && touch "$RUNNER_TOOL_CACHE/new" && echo "tools can be written"
          test -d /.runnerhub/slot && test -z "$(ls -A /.runnerhub/slot)" && ! grep -q " /.runnerhub/slot " /proc/self/mountinfo && echo "no slot"
          echo "# summary" > "$GITHUB_STEP_SUMMARY"
      - run: echo "ran as ${{ steps.one.outputs.as }}"; cat link
        working-directory: deep/..
      - run: exit 7
        continue-on-error: true
"""


class OldKernel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hub = hub.Instance(without=WITHOUT).start()

    @classmethod
    def tearDownClass(cls):
        cls.hub.stop()

    def job(self, n):
        done = self.hub.workflow(JOB, "--runner", self.hub.runner(n))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def check_job(self, n):
        root = self.hub.runner(n)
        owner = os.stat(root)
        tools = os.path.join(root, "_work/_tool")
        os.makedirs(tools, exist_ok=True)
        with open(os.path.join(tools, "tool"), "w", encoding="utf-8"):
            pass
        for path in (tools, os.path.join(tools, "tool")):
            os.chown(path, owner.st_uid, owner.st_gid)
        for _ in range(2):
            said = self.job(n)
            for what in ("clean", "actions are read-only", "tools can be written", "no slot",
                         f"ran as {owner.st_uid}:{owner.st_gid}"):
                self.assertIn(f"    {what}\n", said)
            self.assertNotIn("new", os.listdir(tools))
            self.assertFalse(os.path.exists(os.path.join(root, "_work/_actions/x")))
            found = subprocess.run(["find", os.path.join(root, "_work"), "-path", "*/_runnerhub", "-prune", "-o",
                                    "!", "-uid", str(owner.st_uid), "-print"], capture_output=True, text=True, check=True)
            self.assertEqual(found.stdout, "", "owned by others")
            self.assertFalse(os.path.exists(os.path.join(root, "_work/demo/demo/left")))

    def test_a_job_of_a_plain_user(self):
        self.check_job(2)
        self.assertIn("user: the runner's own", self.job(2))

    def test_a_job_of_root(self):
        self.check_job(1)

    def test_it_is_said(self):
        self.job(2)
        status = self.hub.cli("status")
        self.assertEqual(status["mounts"], {"kind": "slot", "idMaps": False})
        self.assertIn("through slots", self.hub.run("runnerhub", "status").stdout)
        newest = self.hub.cli("jobs")[0]["id"]
        isolation = hub.wait_until(lambda: self.hub.cli("jobs", "show", newest, "--isolation").get("data"),
                                   20, "what was read back")
        self.assertEqual(isolation["files"], {"lateMounts": "slot", "idMapped": False, "tempFollowsNoLinks": False})
        self.assertIn("through a slot", self.hub.run("runnerhub", "jobs", "show", newest, "--isolation").stdout)
        config = os.path.join(self.hub.dir, "etc/runnerhub.yaml")
        said = self.hub.run("runnerhub", "doctor", "--config", config).stdout
        for words in ("no detached mounts", "done by other calls", "no mounts that follow no symbolic links"):
            self.assertIn(words, said)

    def test_nothing_of_a_slot_is_left(self):
        self.job(2)

        def left():
            with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
                slots = [line for line in mounts if f"{self.hub.dir}/state/" in line]
            return len(slots) == self.hub.cli("status")["pools"][0]["warm"] and not self.hub.cli("status")["jobs"]

        hub.wait_until(left, 30, "slots of warm containers alone")
        config = os.path.join(self.hub.dir, "etc/runnerhub.yaml")
        verified = self.hub.run("runnerhub", "doctor", "--verify", "--config", config)
        self.assertEqual(verified.returncode, 0, verified.stdout)

    def test_a_broker_comes_back(self):
        self.job(2)
        self.hub.broker("restart")
        self.job(2)

    def test_attacks_get_nowhere(self):
        suite = os.path.join(hub.TOP, "tests/hostile")
        done = self.hub.run(os.path.join(suite, "run"), "--here", *[os.path.join(suite, name) for name in ATTACKS],
                            timeout=400)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(done.stdout.count("\nok ") + done.stdout.startswith("ok "), len(ATTACKS), done.stdout)
        self.assertNotIn("FAILED", done.stdout)


if __name__ == "__main__":
    unittest.main()
