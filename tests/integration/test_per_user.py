# SPDX-License-Identifier: Apache-2.0
"""What the kernel counts for a user over the whole host: a job can take all of it, and jobs go on.

Watches of inotify(7) and pages of pipe(7) are counted for the user that a job's processes have, which the runner, or
the broker where jobs are root's, has too.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import unittest

import hub
from trouble import CONFIG, Trouble, flow

# Goes on in the background until the job ends.
HOLD = """
import ctypes, fcntl, os, time
if os.fork():
    while not os.path.exists("held"):
        time.sleep(0.05)
    print("held:", open("held").read())
    raise SystemExit
os.setsid()
for fd in range(3):
    os.dup2(os.open("/dev/null", os.O_RDWR), fd)
libc, instances, pipes = ctypes.CDLL(None), [], []
while (fd := libc.inotify_init()) >= 0:
    instances.append(fd)
F_SETPIPE_SZ, F_GETPIPE_SZ = 1031, 1032
def fill(size):
    while True:
        ends = os.pipe()
        if fcntl.fcntl(ends[1], F_GETPIPE_SZ) < 65536:
            return [os.close(end) for end in ends]
        pipes.append(ends)
        try:
            fcntl.fcntl(ends[1], F_SETPIPE_SZ, size)
        except PermissionError:
            size = 65536
fill(1 << 20)
with open("new", "w") as file:
    file.write(f"{len(instances)} instances, {len(pipes)} pipes")
os.rename("new", "held")
while True: # others of the same user give theirs back
    fill(65536)
    time.sleep(0.005)
"""

LOOK = """
import ctypes, fcntl, os
print("instance", ctypes.CDLL(None).inotify_init())
print("pipe", fcntl.fcntl(os.pipe()[1], 1032))
"""

LINES = 65536
TALK = f"yes {'x' * 63} | head -n {LINES}"


class PerUser(Trouble):
    CONFIG = CONFIG.replace("warm: 1", "warm: 0")

    @classmethod
    def make_hub(cls):
        """Its runner is a user whom no other test has, since what is counted here is everybody's of that user."""
        place = tempfile.mkdtemp(prefix="rh-per-user-", dir="/var/tmp")
        cls.addClassCleanup(shutil.rmtree, place)
        os.chmod(place, 0o755)
        root = os.path.join(place, "runner")
        subprocess.run([os.path.join(hub.TOP, "tests/worker/make-runner"), "--build", hub.build_dir(), root, "--name", "own",
                        "--uid", "60077"], check=True, stdout=subprocess.DEVNULL)
        return hub.Instance(cls.CONFIG, runners=[root], without=["inotify_init1"])

    def test_a_broker_that_can_watch_nothing_starts_containers(self):
        self.assert_green(self.hub.workflow(flow({"run": "echo ran"})), "ran")
        directory = f"/proc/{self.hub.broker('pid')}/fd"
        open_files = []
        for fd in os.listdir(directory):
            with contextlib.suppress(FileNotFoundError):
                open_files.append(os.readlink(os.path.join(directory, fd)))
        self.assertFalse([name for name in open_files if "inotify" in name], open_files)

    def test_steps_whose_user_has_no_more_watches_and_pipe_pages(self):
        done = self.hub.workflow(flow({"run": HOLD, "shell": "python3 {0}"}, {"run": LOOK, "shell": "python3 {0}"},
                                      {"run": TALK}))
        self.assert_green(done, "held: ", "instance -1", "pipe ")
        size = int(next(line for line in done.stdout.splitlines() if line.strip().startswith("pipe ")).split()[1])
        self.assertLess(size, 65536)
        talk = next(step for step in done.report["jobs"][0]["steps"] if "yes x" in step["name"])
        self.assertEqual(talk["stdout_bytes"], 64 * LINES)


del Trouble

if __name__ == "__main__":
    unittest.main()
