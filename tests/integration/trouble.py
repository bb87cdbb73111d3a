# SPDX-License-Identifier: Apache-2.0
"""What the tests of trouble share: a class on one instance, jobs in the background, a look at what is left.

One instance serves a class; each test leaves it clean, which check_clean() looks at.
"""

import contextlib
import json
import os
import subprocess
import threading
import unittest

import hub

CONFIG = """
timeouts:
  broker_wait: 6s
  drain: 5s
default_profile: debian
profiles:
  debian:
    image: runnerhub-debian
    warm: 1
    memory: 256M
  missing:
    image: runnerhub-not-there
    warm: 0
"""


# A step that lasts until go() is called.
WAIT = "while [ ! -e go ]; do sleep 0.1; done"


def flow(*steps):
    return json.dumps({"name": "trouble", "jobs": {"job": {"runs-on": "self-hosted", "steps": list(steps)}}})


class Run(threading.Thread):
    """A workflow that runs in the background."""

    def __init__(self, instance, text, *arguments):
        super().__init__()
        self.instance, self.text, self.arguments, self.done = instance, text, arguments, None
        self.start()

    def run(self):
        self.done = self.instance.workflow(self.text, *self.arguments)

    def result(self):
        self.join(180)
        return self.done


def docker(*arguments):
    """Lines that docker prints."""
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True,
                          timeout=60).stdout.splitlines()


def processes():
    """pid → (program, parent, state) of all that can be seen."""
    found = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                state, parent = file.read().rsplit(")", 1)[1].split()[:2]
            exe = os.readlink(f"/proc/{entry}/exe") if state != "Z" else ""
            found[int(entry)] = (exe.removesuffix(" (deleted)"), int(parent), state)
    return found


def command(pid):
    """The name that a process has given itself."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", encoding="utf-8") as file:
        return file.read().strip()
    return f"gone {pid}"


def below(found, top):
    """The pids of top and all its descendants."""
    family, grown = {top}, True
    while grown:
        more = {pid for pid, (_, parent, _) in found.items() if parent in family} - family
        family, grown = family | more, bool(more)
    return family


class Leftovers:
    """What an instance has that no job of it needs, in words; nothing if it is clean."""

    def __init__(self, instance):
        self.hub, self.ghosts = instance, None

    def all(self):
        status = self.hub.cli("status")
        known = [c for c in self.hub.cli("containers") if c["state"] not in ("stopping", "failed")]
        yield from (f"job {j['id']} is {j['phase']}" for j in status["jobs"])
        yield from self.containers({c["engineId"] for c in known}, status["network"]["name"])
        yield from self.files({c["instance"] for c in known})
        yield from self.work_directories(status)
        yield from self.mounts()
        yield from self.processes(status["broker"]["pid"])

    def containers(self, known, network):
        label = f"label=runnerhub.hub={self.hub.dir}/state"
        for container in set(docker("ps", "-aq", "--no-trunc", "--filter", label)) - known:
            yield f"container {container[:12]}"
        # The network is every instance's, and others remove theirs just now: what is seen twice stays.
        try:
            attached = docker("network", "inspect", network, "--format", "{{range $id, $c := .Containers}}{{println $id}}{{end}}")
        except subprocess.CalledProcessError:
            yield f"network {network} cannot be looked at"
            return
        ghosts = set(filter(None, attached)) - set(docker("ps", "-aq", "--no-trunc"))
        if ghosts and self.ghosts is None:
            yield f"network {network} is to be looked at once more"
        for container in ghosts & (self.ghosts or set()):
            yield f"container {container[:12]} is still in network {network}"
        self.ghosts = ghosts

    def files(self, instances):
        expected = {"run": {"broker.sock", "control.sock", "client.conf"}, "state/containers": instances,
                    "state": {"containers", "lock", "runnerhub.db", "runnerhub.db-wal", "runnerhub.db-shm"}}
        for directory, names in expected.items():
            for name in set(os.listdir(os.path.join(self.hub.dir, directory))) - names:
                yield f"file {directory}/{name}"

    def work_directories(self, status):
        for runner in status["runners"]:
            ledger = os.path.join(runner["work"], "_runnerhub")
            for base, _, names in os.walk(ledger):
                yield from (os.path.join(base, name) for name in names if name != "marker")
            with contextlib.suppress(FileNotFoundError):
                yield from (f"trash {name}" for name in os.listdir(os.path.join(ledger, "trash")))

    def mounts(self):
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            yield from (f"mount {line.split()[4]}" for line in file if self.hub.dir in line)

    def processes(self, broker):
        """Of the broker there are itself and its helpers, one of each; of jobs there is nobody."""
        found = processes()
        family = below(found, broker)
        names = [command(pid) for pid in family]
        if len(names) != len(set(names)):
            yield f"processes of the broker: {sorted(names)}"
        roots = [self.hub.dir] + [self.hub.runner(n + 1) for n in range(int(self.hub.env["RUNNERHUB_RUNNERS"]))]
        for pid, (exe, _, _) in found.items():
            if pid not in family and any(exe.startswith(root + "/") for root in roots):
                yield f"process {pid} {exe}"


class Trouble(unittest.TestCase):
    CONFIG = CONFIG

    @classmethod
    def setUpClass(cls):
        cls.hub = cls.make_hub().start()
        cls.addClassCleanup(cls.hub.stop)

    @classmethod
    def make_hub(cls):
        return hub.Instance(cls.CONFIG)

    def tearDown(self):
        self.check_clean()

    def check_clean(self):
        """Nothing of any job is left."""
        left, looker = [], Leftovers(self.hub)

        def clean():
            left[:] = looker.all()
            return not left
        try:
            hub.wait_until(clean, 20, "nothing left behind")
        except AssertionError as e:
            raise AssertionError(f"{e}: {left}") from None

    def wait_step(self, n=1):
        return hub.wait_until(lambda: [j for j in self.hub.cli("status")["jobs"] if j["stepsRunning"] >= n],
                              30, "a running step")[0]

    def go(self, n=1):
        """A step that waits may end: written into its workspace from outside."""
        with open(f"{self.hub.runner(n)}/_work/demo/demo/go", "w", encoding="utf-8"):
            pass

    def last_job(self):
        return self.hub.cli("jobs", "show", self.hub.cli("jobs")[0]["id"])

    def assert_failed(self, done, *words):
        text = done.stdout + done.stderr
        self.assertEqual(done.returncode, 1, text)
        for word in words:
            self.assertIn(word, text)

    def assert_green(self, done, *words):
        text = done.stdout + done.stderr
        self.assertEqual(done.returncode, 0, text[-8000:])
        for word in words:
            self.assertIn(word, text)
