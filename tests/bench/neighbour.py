# SPDX-License-Identifier: Apache-2.0
"""What a job keeps of its speed beside one that takes all it can get. Runs inside with-runnerhub; see scripts/bench.

A job of the first runner measures itself all the time: hashing, starting programs, writing files, ten times
a second. On the second runner one bomb after the other goes off. Each is held against the seconds before it.

What a machine leaves beside anything at all is measured, too: two of its processors may be one core's threads, and
in a virtual machine starting programs may be everybody's bottleneck. No limit of a job gives back more than that.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time

from common import median, put, tick, wait_warm

SELF = """
import hashlib, os, time
data = os.urandom(1 << 16)
with open("samples", "w") as samples:
    while not os.path.exists("stop"):
        began, n = time.monotonic(), 0
        while time.monotonic() - began < 0.1:
            hashlib.sha256(data).digest()
            os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
            with open("new", "wb") as file:
                file.write(data)
            os.rename("new", "old")
            n += 1
        now = time.monotonic()
        samples.write(f"{began} {now} {n / (now - began)}\\n")
        samples.flush()
"""

# Each until its limit ends it, or for a few seconds where its limit only stops it.
BOMBS = {
    "fork": "for n in $(seq 20); do (while :; do sleep 60 & done) 2>/dev/null & done; sleep 6",
    "memory": "python3 -c 'a = []\nwhile True: a.append(b\"x\" * (16 << 20))'",
    "disk": "cat /dev/zero > /var/tmp/fill",
    "log": "yes 'a line of output like any other, only that there is no end of them' & sleep 6; kill $!",
    "inode": "python3 -c 'import os\nos.mkdir(\"/var/tmp/many\")\nn = 0\nwhile True: os.mknod(f\"/var/tmp/many/{n}\"); n += 1'",
    "zombie": "python3 -c 'import os, time\nuntil = time.time() + 6\nwhile time.time() < until:\n"
              "    try:\n        os.fork() or os._exit(0)\n    except OSError:\n        time.sleep(0.01)'",
    "descriptor": "python3 -c 'import os, time\nuntil = time.time() + 6\na = []\nwhile time.time() < until:\n"
                  "    try:\n        a += os.pipe()\n    except OSError:\n        time.sleep(0.001)'",
}

# On the host, without RunnerHub, with one processor at most: what the machine itself leaves a neighbour.
PLAIN = {
    "spin": "while :; do :; done",
    "spawn": "while :; do /bin/true; done",
}


def workflow(directory, name, script, shell):
    path = os.path.join(directory, name + ".yml")
    body = "".join(f"          {line}\n" for line in script.splitlines())
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"jobs:\n  {name}:\n    runs-on: self-hosted\n    steps:\n      - shell: {shell}\n        run: |\n{body}")
    return path


def start(path, runner):
    return subprocess.Popen(["run-workflow", path, "--runner", runner], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def await_file(path, process=None):
    end = time.monotonic() + 60
    while not os.path.exists(path):
        if time.monotonic() > end or (process and process.poll() is not None):
            sys.exit(f"bench: {path} did not appear")
        time.sleep(0.005)


class Neighbour:
    """The job that measures itself."""

    def __init__(self, directory, runner):
        self.place = os.path.join(runner, "_work/demo/demo")
        self.process = start(workflow(directory, "neighbour", SELF, "python3 {0}"), runner)
        await_file(os.path.join(self.place, "samples"), self.process)

    def between(self, begin, end):
        """Its speeds that were measured wholly in this time."""
        if self.process.poll() is not None:
            sys.exit("bench: the neighbour ended")
        with open(os.path.join(self.place, "samples"), encoding="utf-8") as file:
            rows = [tuple(map(float, line.split())) for line in file if line.endswith("\n")]
        return [speed for from_, to, speed in rows if begin <= from_ and to <= end]

    def stop(self):
        with contextlib.suppress(OSError), open(os.path.join(self.place, "stop"), "w", encoding="utf-8"):
            pass
        self.process.wait()


def measure_plain(neighbour, script, rounds):
    """(alone, beside): speeds."""
    alone, beside = [], []
    for _ in range(rounds):
        time.sleep(1)  # what was before is over
        since = time.monotonic()
        time.sleep(2)
        alone += neighbour.between(since, time.monotonic())
        process = subprocess.Popen(["bash", "-c", script], stdin=subprocess.DEVNULL)
        try:
            since = time.monotonic()
            time.sleep(2)
            beside += neighbour.between(since, time.monotonic())
        finally:
            process.kill()
            process.wait()
    return alone, beside


def measure(neighbour, name, path, runner, rounds):
    """(alone, beside): speeds."""
    alone, beside = [], []
    begun = os.path.join(runner, "_work/demo/demo/begun")
    for _ in range(rounds):
        wait_warm("bench", 1)
        time.sleep(1)  # what its predecessor left is being cleaned up
        since = time.monotonic()
        time.sleep(2)
        alone += neighbour.between(since, time.monotonic())
        bomb = start(path, runner)
        await_file(begun, bomb)
        since = time.monotonic()
        # What comes after its end is cleaning up, and no bomb any more.
        while bomb.poll() is None and os.path.exists(begun):
            time.sleep(0.005)
        until = time.monotonic()
        bomb.wait()
        beside += neighbour.between(since, until)
    if not beside:
        sys.exit(f"bench: the {name} bomb was over before anything was measured")
    return alone, beside


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", required=True)
    o = parser.parse_args()
    runners = os.environ["RUNNERHUB_RUNNER_1"], os.environ["RUNNERHUB_RUNNER_2"]
    wait_warm("bench", 2)
    with tempfile.TemporaryDirectory() as directory:
        neighbour = Neighbour(directory, runners[0])
        for name, script in PLAIN.items():
            tick(f"a neighbour of a plain process that does nothing but {name}")
            alone, beside = measure_plain(neighbour, script, 1 if o.quick else 6)
            put(o.out, {f"neighbour_plain_{name}": median(beside) / median(alone)})
        for name, script in BOMBS.items():
            tick(f"a neighbour of a {name} bomb")
            path = workflow(directory, name, "touch begun\n" + script, "bash {0}")
            alone, beside = measure(neighbour, name, path, runners[1], 1 if o.quick else 6)
            put(o.out, {f"neighbour_{name}": median(beside) / median(alone),
                        f"neighbour_{name}_samples": len(beside)})
        neighbour.stop()


if __name__ == "__main__":
    main()
