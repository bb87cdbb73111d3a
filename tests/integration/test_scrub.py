# SPDX-License-Identifier: Apache-2.0
"""A workspace of very many files is gone, and its room is there again, while others go on.

RUNNERHUB_TEST_FILES says how many (50 000 if it says nothing; a million is what is promised).
"""

import os
import re
import subprocess
import threading
import time
import unittest

import hub
from trouble import Trouble, flow

FILES = int(os.environ.get("RUNNERHUB_TEST_FILES") or 50_000)
FULL = FILES // 100  # so many are not empty
SIZE = 64 << 10

# Very wide and very deep; closed, linked to itself and to what is outside; one file stays open.
PLANT = f"""
import os, time
for n in range({FILES}):
    if n % 10000 == 0:
        os.makedirs(f"wide/{{n}}", exist_ok=True)
        here = f"wide/{{n}}"
    path = f"wide/{{n}}" if n % 2 else f"{{here}}/{{n}}"
    with open(path, "wb") as file:
        if n % 100 == 99:
            file.write(os.urandom({SIZE}))
    if n % 1000 == 0:
        os.symlink("/", f"{{here}}/out-{{n}}")
        os.link(path, f"{{here}}/again-{{n}}") if os.path.isfile(path) else None
top = os.getcwd()
for n in range(1000):
    os.mkdir("deep")
    os.chdir("deep")
open("bottom", "w").close()
os.chdir(top)
os.makedirs("closed/inner")
open("closed/inner/file", "w").close()
os.chmod("closed/inner", 0)
os.chmod("closed", 0o500)
os.mkfifo("fifo")
if os.fork() == 0:
    os.setsid()
    held = open("held", "w")
    held.write("x" * 4096)
    held.flush()
    time.sleep(600)
print("planted", flush=True)
os._exit(0)
"""


class Scrub(Trouble):
    def test_a_million_files(self):
        root, other = self.hub.runner(1), self.hub.runner(2)
        trash = f"{root}/_work/_runnerhub/trash"
        done = self.hub.workflow(
            flow({"run": PLANT, "shell": "python3 {0}"}, {"run": "echo second"}), "--runner", root, timeout=900)
        self.assert_green(done, "planted")
        # The end of the job did not wait for it, and neither does the next one, nor anybody else.
        began, n_meanwhile = time.monotonic(), 0
        while n_meanwhile == 0 or os.listdir(trash):
            for runner in (root, other):
                self.assert_green(self.hub.workflow(flow({"run": 'test -z "$(ls -A)"; echo beside'}), "--runner", runner), "beside")
            n_meanwhile += 2
            self.assertLess(time.monotonic() - began, 900)
        seconds = time.monotonic() - began
        job = self.hub.cli("jobs", "--limit", "1000")[-1]["id"]
        event = hub.wait_until(lambda: next((e["message"] for e in self.hub.cli("events", "--job", job)
                                             if e["kind"] == "workspace.scrubbed"), None), 60, "the event")
        files, kib = map(int, re.match(r"(\d+) files, (\d+) KiB", event).groups())
        print(f"{files} files, {kib} KiB, gone in {seconds:.1f} s beside {n_meanwhile} jobs of others")
        self.assertGreaterEqual(files, FILES)
        self.assertGreaterEqual(kib, FULL * (SIZE >> 10))
        self.assertLess(kib, FULL * (SIZE >> 10) + FILES * 8)

    def test_what_only_the_host_can_do(self):
        """Immutable files, and a mount in the workspace: the one goes, the other is not entered."""
        root = self.hub.runner(1)
        place = f"{root}/_work/demo/demo"

        def meddle():
            hub.wait_until(lambda: os.path.exists(f"{place}/ready"), 60, "the job")
            subprocess.run(["chattr", "+i", f"{place}/ready"], check=True)
            os.mkdir(f"{place}/mounted")
            subprocess.run(["mount", "-t", "tmpfs", "none", f"{place}/mounted"], check=True)
            with open(f"{place}/mounted/precious", "w", encoding="utf-8") as file:
                file.write("the host's")
            with open(f"{place}/go", "w", encoding="utf-8"):
                pass

        thread = threading.Thread(target=meddle)
        thread.start()
        done = self.hub.workflow(flow({"run": "touch ready; until [ -e go ]; do sleep 0.05; done; echo planted"}),
                                 "--runner", root)
        thread.join()
        self.assert_green(done, "planted")
        trash = f"{root}/_work/_runnerhub/trash"
        mounted = hub.wait_until(lambda: subprocess.run(["find", root, "-ignore_readdir_race", "-name", "precious"], check=True, capture_output=True,
                                                        text=True).stdout.strip(), 10, "the mount")
        self.assert_green(self.hub.workflow(flow({"run": 'test -z "$(ls -A)"; echo next'}), "--runner", root), "next")
        subprocess.run(["umount", os.path.dirname(mounted)], check=True)
        # What the mount was on is deleted with the next.
        self.assert_green(self.hub.workflow(flow({"run": "echo after"}), "--runner", root), "after")
        hub.wait_until(lambda: not os.listdir(trash), 20, "no trash")


del Trouble

if __name__ == "__main__":
    unittest.main()
