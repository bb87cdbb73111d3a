# SPDX-License-Identifier: Apache-2.0
"""The matrix: what is done to whom in which phase, and what must come of the job.

  green   the job succeeds as if nothing had happened
  red     it fails, with a word that says why
  either  the one or the other
  gone    whoever ran it is dead: no result but its record, which is closed

Afterwards, always: doctor --verify is clean, the next job is green, nothing was green without exit 0.
"""

import contextlib
import os
import resource
import signal
import sqlite3
import subprocess

import phases
from rig import LAST, TALK, Job, Wrong, flow, pause, run_quietly

CELLS = []


class Cell:
    def __init__(self, phase, fault, expected, function, words=()):
        self.phase, self.fault, self.expected, self.function, self.words = phase, fault, expected, function, words
        self.name = f"{phase.replace('_', ' ')}: {fault}"

    def run(self, rig):
        """What became of the job: green, red, either, gone; raises Wrong."""
        rig.warm()
        with getattr(phases, self.phase)(rig) as job:
            after = self.function(rig, job)
            rig.let_go()
        rig.let_go()
        outcome = self.outcome(rig, job)
        if callable(after):
            after()
        rig.wait(lambda: not rig.job(), "the job's end", 40)
        rig.check()
        return outcome

    def outcome(self, rig, job):
        if job is None:
            return "green"
        done = job.result()
        if done.returncode == 0:
            rig.check_green(done)
            return "either" if self.expected == "either" else "green"
        if self.expected == "gone":
            return "gone"
        if self.expected == "either" and "runnerhub: " in done.stdout + done.stderr:
            return "either"
        if self.expected != "red":
            raise Wrong("red: " + done.stdout[-3000:])
        for word in ("runnerhub: ", *self.words) if self.words else ():
            if word not in done.stdout + done.stderr:
                raise Wrong(f"red, and its log does not say {word}: {done.stdout[-1500:]}")
        return "red"


def cell(phase, fault, expected, *words):
    """The function below is what is done."""
    def add(function):
        CELLS.append(Cell(phase, fault, expected, function, words))
        return function
    return add


def cells(fault, function, expected, words=()):
    """One fault in several phases: phase → expected."""
    for phase, what in expected.items():
        CELLS.append(Cell(phase, fault, what, function, words if what == "red" else ()))


def kill(who):
    return lambda rig, job: os.kill(who(rig), signal.SIGKILL)


def kill_broker(rig, job):
    """Whoever is stopped goes on before the next one looks."""
    rig.broker("kill")
    rig.let_go()
    rig.broker("start")


def stop_for_a_while(who):
    def stop(rig, job):
        rig.hold(who(rig))
        pause(2.5)
    return stop


WORKER = lambda rig: rig.program("Runner.Worker")  # noqa: E731
LISTENER = lambda rig: rig.program("Runner.Listener")  # noqa: E731

cells("kill -9 of the hook program", kill(lambda rig: rig.client()), {
    "before_lease": "red", "late_mounts": "red", "completion": "red"})
cells("kill -9 of the relay client", kill(lambda rig: rig.client()), {
    "before_go": "red", "output": "red", "at_exit": "red"})
cells("kill -9 of the agent", kill(lambda rig: rig.agent()), {
    "late_mounts": "red", "before_go": "red", "output": "red", "at_exit": "red"}, ["container"])
cells("kill -9 of the mount helper", kill(lambda rig: rig.helper("rh-mount")), {
    "before_lease": "green", "before_go": "green", "output": "green", "at_exit": "green", "completion": "green"})
cells("kill -9 of the mount helper", kill(lambda rig: rig.helper("rh-mount")), {"late_mounts": "red"}, ["mount helper died"])
cells("kill -9 of the sweep helper", kill(lambda rig: rig.helper("rh-sweep")), {"scrub": "green"})
cells("kill -9 of the helpers' parent", kill(lambda rig: rig.helper("rh-zygote")), {
    "output": "green", "completion": "green", "scrub": "green"})
cells("kill -9 of the Worker", kill(WORKER), dict.fromkeys(
    ("before_lease", "late_mounts", "before_go", "output", "at_exit", "completion"), "gone"))
cells("kill -9 of the Listener", kill(LISTENER), dict.fromkeys(
    ("before_lease", "late_mounts", "before_go", "output", "at_exit", "completion"), "gone"))
cells("kill -9 of the broker", kill_broker, dict.fromkeys(
    ("before_lease", "late_mounts", "before_go", "output", "at_exit", "completion", "scrub"), "green"))

CLIENT = lambda rig: rig.client()  # noqa: E731
for name, who, when in (("the broker", lambda rig: rig.broker_pid(), ("before_lease", "before_go", "output", "completion")),
                        ("the mount helper", lambda rig: rig.helper("rh-mount"), ("before_lease", "output", "at_exit")),
                        ("the agent", lambda rig: rig.agent(), ("output", "completion")),
                        ("the hook program", CLIENT, ("before_lease", "late_mounts", "completion")),
                        ("the relay client", CLIENT, ("before_go", "output", "at_exit")),
                        ("the Worker", WORKER, ("before_lease", "output", "at_exit", "completion"))):
    cells(f"SIGSTOP of {name} for a while", stop_for_a_while(who), dict.fromkeys(when, "green"))


def engine(mode):
    """The engine fails while a job runs; and while one wants a container and there is none."""
    def fail(rig, job):
        rig.proxy.set(mode)
        pause(1)
        return lambda: rig.proxy.set("pass")
    return fail


def engine_at_start(mode):
    def fail(rig, job):
        """The warm one is taken away, so that the next job needs the engine."""
        rig.proxy.set(mode)
        rig.remove_containers()
        rig.wait(lambda: not rig.status()["pools"][0]["warm"], "no warm container")
        done = Job(rig, LAST).result()
        rig.proxy.set("pass")
        if done.returncode != 1 or "runnerhub: no container" not in done.stdout:
            raise Wrong("a job without an engine: " + done.stdout[-1500:])
    return fail


for mode, words in (("absent", "engine killed"), ("hang", "engine hangs"), ("error", "engine answers errors"),
                    ("half", "engine answers half a body")):
    for when in ("before_lease", "output", "completion"):
        CELLS.append(Cell(when, words, "green", engine(mode)))
    CELLS.append(Cell("no_job", words, "green", engine_at_start(mode)))


@cell("output", "engine restarted", "green")
def _(rig, job):
    rig.proxy.set("absent")
    pause(1.5)
    rig.proxy.set("pass")


def store(rig):
    return os.path.join(rig.dir, "state/runnerhub.db")


@cell("output", "store damaged", "red", "container")
def _(rig, job):
    """Found at the next start: it is set aside. Of the running job nobody knows any more whose it is; its
    workspace is swapped for a fresh one when the next job of that repository comes."""
    rig.broker("kill")
    # The log beside it, too: it holds good copies of what is damaged.
    for name in (store(rig), store(rig) + "-wal"):
        with open(name, "r+b") as file:
            file.write(b"\xa5" * 16384)
    rig.broker("start")
    if not rig.status()["store"]["damagedSetAside"]:
        raise Wrong("the damage was not noticed")
    return rig.next_job


def swapped(column, table="jobs", key="state!='ended'"):
    """Two jobs run while the store says of each what holds for the other. Neither may see the other's container;
    returns both results."""
    def swap(rig, job):
        # Its own container: what it leaves before the broker's end is there after it, and nothing else.
        scripts = ["hostname > /var/tmp/mine", TALK, "cmp /var/tmp/mine <(hostname); ls /var/tmp", LAST]
        jobs = [Job(rig, *scripts)]
        rig.in_step(2)
        rig.warm()
        jobs.append(Job(rig, *scripts, runner=2))
        rig.wait(lambda: [j["stepsRunning"] and j["steps"] >= 2 for j in rig.status()["jobs"]] == [1, 1], "both", 40)
        rig.broker("kill")
        with contextlib.closing(sqlite3.connect(store(rig))) as db:
            rows = list(db.execute(f"SELECT rowid, {column} FROM {table} WHERE {key}"))
            if len(rows) != 2:
                raise Wrong(f"{len(rows)} rows to swap")
            # An id is unique, so it takes a detour.
            detour = type(rows[0][1])(16) if column != "engine_id" else ""
            db.execute(f"UPDATE {table} SET {column}=? WHERE rowid=?", (detour, rows[0][0]))
            db.execute(f"UPDATE {table} SET {column}=? WHERE rowid=?", (rows[0][1], rows[1][0]))
            db.execute(f"UPDATE {table} SET {column}=? WHERE rowid=?", (rows[1][1], rows[0][0]))
            db.commit()
        rig.broker("start")
        for n in (1, 2):
            rig.go(n)
        return [j.result() for j in jobs]
    return swap


@cell("no_job", "store swaps jobs' containers", "green")
def _(rig, job):
    """The agents know better."""
    for what in (("job", "containers", "state='leased'"), ("engine_id", "containers", "state='leased'")):
        for done in swapped(*what)(rig, job):
            if done.returncode != 0:
                raise Wrong(f"{what}: red: " + done.stdout[-3000:])
            rig.check_green(done)


@cell("no_job", "store swaps jobs' ids", "green")
def _(rig, job):
    """Nobody can say any more which container is whose: both jobs go red, and no step runs anywhere."""
    for done in swapped("id")(rig, job):
        ran = [s for s in done.report["jobs"][0]["steps"] if s["kind"] != "hook" and s["exit_code"] == 0]
        if done.returncode == 0 or len(ran) > 1:
            raise Wrong("a step ran in who knows which container: " + done.stdout[-3000:])
    # The next job of each finds its workspace as it was left, and swaps it.
    return lambda: [rig.next_job(n) for n in (1, 2)]


@cell("no_job", "store locked", "green")
def _(rig, job):
    with contextlib.closing(sqlite3.connect(store(rig), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        done = Job(rig, LAST).result()
        other.execute("ROLLBACK")
    if done.returncode != 0:
        raise Wrong("red for a locked store: " + done.stdout[-1500:])


def on_a_file_system(rig, function):
    """The state directory is a file system of its own for a while."""
    state = os.path.join(rig.dir, "state")
    rig.broker("stop")
    run_quietly("mount", "-t", "tmpfs", "-o", "size=4m,mode=711", "none", state)
    rig.broker("start")
    rig.warm()
    try:
        function(state)
        done = Job(rig, LAST).result()
        if done.returncode != 0:
            raise Wrong("red for a store that takes nothing: " + done.stdout[-1500:])
        if not rig.status()["store"]["lastError"]:
            raise Wrong("a store that takes nothing is not told of")
    finally:
        run_quietly("mount", "-o", "remount,rw,size=64m", "none", state)

    def after():
        rig.check()
        rig.broker("stop")
        run_quietly("umount", "-l", state)
        rig.broker("start")
    return after


@cell("no_job", "store's disk full", "green")
def _(rig, job):
    def fill(state):
        with contextlib.suppress(OSError), open(os.path.join(state, "ballast"), "wb", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass
        rig.ballast = os.path.join(state, "ballast")
    after = on_a_file_system(rig, fill)
    os.unlink(rig.ballast)
    return after


def remove(what):
    """The broker notices within a second, and what connects meanwhile tries again."""
    def gone(rig, job):
        path = os.path.join(rig.dir, "run", what)
        run_quietly("mv", path, path.rstrip("/") + ".away")
        rig.wait(lambda: os.path.exists(os.path.join(rig.dir, "run/broker.sock"))
                 and os.path.exists(os.path.join(rig.dir, "run/control.sock")), "the sockets", 10)
        return lambda: run_quietly("rm", "-rf", path.rstrip("/") + ".away")
    return gone


for name, what in (("run directory removed", ""), ("socket removed", "broker.sock"),
                   ("control socket removed", "control.sock")):
    cells(name, remove(what), dict.fromkeys(("before_lease", "output", "completion"), "green"))


def second_broker(rig, job):
    program = os.path.join(rig.dir, "bin/runnerhubd")
    done = subprocess.run([program, "--config", os.path.join(rig.dir, "etc/runnerhub.yaml")], capture_output=True,
                          text=True, timeout=20, check=False)
    if done.returncode != 1 or "another broker uses this state directory" not in done.stderr:
        raise Wrong(f"a second broker: {done.returncode} {done.stderr[-500:]}")


cells("a second broker", second_broker, dict.fromkeys(("before_lease", "output", "completion", "scrub"), "green"))


def reboot(rig, job):
    """Only what is on disk is left: neither a process, nor a container, nor the run directory."""
    rig.broker("kill")
    for name in ("Runner.Listener", "Runner.Worker"):
        os.kill(rig.program(name), signal.SIGKILL)
    rig.let_go()
    rig.remove_containers()
    run_quietly("rm", "-rf", os.path.join(rig.dir, "run"))
    os.mkdir(os.path.join(rig.dir, "run"))
    rig.broker("start")
    record = rig.cli("jobs", "--limit", "1")[0]
    if (record["state"], record["result"]) == ("ended", "completed"):
        raise Wrong("the job of before counts as completed")


cells("reboot", reboot, dict.fromkeys(("before_lease", "before_go", "output", "at_exit"), "gone"))


@cell("no_job", "store read-only", "green")
def _(rig, job):
    """Found so when the broker starts, as after a file system that the kernel has made read-only: it does not start
    and says why, jobs fail closed and say so, and all is well as soon as it can be written again."""
    rig.broker("stop")
    run_quietly("mount", "--bind", store(rig), store(rig))
    run_quietly("mount", "-o", "remount,bind,ro", store(rig))
    try:
        rig.broker("start")
        raise Wrong("a broker that cannot write its store has started")
    except AssertionError as e:
        if "Read-only file system" not in str(e):
            raise
        done = Job(rig, LAST).result()
        if done.returncode == 0 or "runnerhub: the broker cannot be reached" not in done.stdout:
            raise Wrong("a job without a broker: " + done.stdout[-1500:]) from None
    finally:
        run_quietly("umount", "-l", store(rig))
    rig.broker("start")


def limited(name, value, who=lambda rig: rig.broker_pid()):
    """The broker, or who else, meets a limit for a while. A job then may fail, and must say so; a running one goes on."""
    def limit(rig, job):
        pid, before = who(rig), None
        before = resource.prlimit(pid, getattr(resource, name))
        resource.prlimit(pid, getattr(resource, name), (value(pid), before[1]))
        try:
            done = rig.workflow(flow({"run": LAST}), "--runner", rig.runner(2), timeout=100)
        finally:
            with contextlib.suppress(ProcessLookupError):  # an agent ends with its job
                resource.prlimit(pid, getattr(resource, name), before)
        if done.returncode == 0:
            rig.check_green(done)
        elif "runnerhub: " not in done.stdout:
            raise Wrong("red without a word: " + done.stdout[-1500:])
    return limit


def n_open(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def mapped(pid):
    with open(f"/proc/{pid}/statm", encoding="utf-8") as file:
        return int(file.read().split()[0]) * 4096


for more in (0, 1, 2, 4, 7, 12):
    CELLS.append(Cell("output", f"broker with {more} descriptors more", "green",
                      limited("RLIMIT_NOFILE", lambda pid, more=more: n_open(pid) + more)))
for more in (0, 256 << 10, 1 << 20):
    CELLS.append(Cell("output", f"broker with {more >> 10} KiB more", "green",
                      limited("RLIMIT_AS", lambda pid, more=more: mapped(pid) + more)))
for more in (0, 1, 3, 6):
    CELLS.append(Cell("no_job", f"agent with {more} descriptors more", "green", limited(
        "RLIMIT_NOFILE", lambda pid, more=more: n_open(pid) + more, lambda rig: rig.agent())))


def scarce(name, value):
    """The program that stands in the Worker's place meets a limit from here on."""
    def limit(rig, job):
        pid = rig.client()
        hard = resource.prlimit(pid, getattr(resource, name))[1]
        resource.prlimit(pid, getattr(resource, name), (value(pid), hard))
    return limit


for program, when in (("hook program", ("before_lease", "completion")), ("relay client", ("before_go", "output"))):
    for more in (0, 1, 3):
        cells(f"{program} with {more} descriptors more", scarce(
            "RLIMIT_NOFILE", lambda pid, more=more: n_open(pid) + more), dict.fromkeys(when, "either"))
    for more in (0, 64 << 10):
        cells(f"{program} with {more >> 10} KiB more", scarce(
            "RLIMIT_AS", lambda pid, more=more: mapped(pid) + more), dict.fromkeys(when, "either"))
