# SPDX-License-Identifier: Apache-2.0
"""Phases of a job. Each brings one into it exactly, holds it there, and lets it go on.

A phase is held by who would end it: the administrator's hook that waits, a helper, an agent or a
Worker that is stopped. Each yields the job.
"""

import contextlib
import os

from rig import LAST, TALK, Job, Wrong, below, processes


@contextlib.contextmanager
def before_lease(rig):
    """In the administrator's started hook: the job is known and has no container."""
    hold = os.path.join(rig.runner(1), "hold")
    with open(hold, "w", encoding="utf-8"):
        pass
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(rig.runner(1), "in-hook"))
    job = Job(rig, LAST)
    try:
        rig.in_phase("host-hook")
        rig.wait(lambda: os.path.exists(os.path.join(rig.runner(1), "in-hook")), "the hook")
        yield job
    finally:
        os.unlink(hold)


@contextlib.contextmanager
def late_mounts(rig):
    """The container is leased, and the mount helper has been asked and is stopped."""
    rig.hold(rig.helper("rh-mount"))
    job = Job(rig, LAST)
    rig.in_phase("leasing")
    yield job


@contextlib.contextmanager
def before_go(rig):
    """The second step has been offered, and the agent, which has not taken it, is stopped."""
    job = Job(rig, TALK, "echo second", LAST)
    rig.in_step()
    worker = rig.program("Runner.Worker")
    rig.hold(worker)
    rig.go()
    rig.wait(lambda: not rig.job()["stepsRunning"], "the first step's end")
    agent = rig.agent()
    rig.let_go_of(worker, after=lambda: rig.hold(agent))
    rig.in_step(2)
    yield job


@contextlib.contextmanager
def output(rig):
    """A step runs and talks."""
    job = Job(rig, TALK, LAST)
    rig.in_step()
    yield job
    if rig.has_worker():  # else the workspace is the next job's
        rig.go()


@contextlib.contextmanager
def at_exit(rig):
    """The step's process has ended, and the agent, which has not seen it, is stopped."""
    job = Job(rig, TALK, LAST)
    rig.in_step()
    agent = rig.agent()
    rig.hold(agent)
    rig.go()

    def ended():
        found = processes()
        family = below(found, agent) - {agent}
        return family and all(found[pid][2] == "Z" for pid in family if pid in found)
    rig.wait(ended, "the step's end")
    yield job


@contextlib.contextmanager
def completion(rig):
    """The completed hook waits for its answer, and the mount helper, which is to release, is stopped."""
    job = Job(rig, TALK, LAST)
    rig.in_step()
    rig.warm()  # what is created meanwhile needs the helper, too
    rig.hold(rig.helper("rh-mount"))
    rig.go()
    rig.in_phase("ending")
    yield job


@contextlib.contextmanager
def scrub(rig):
    """The job has ended, its workspace is set aside, and who deletes it is stopped."""
    rig.hold(rig.helper("rh-sweep"))
    job = Job(rig, "touch left; mkdir -p a/b/c; touch a/b/c/d", LAST)
    if job.result().returncode != 0:
        raise Wrong("red before anything was done to it")
    rig.wait(lambda: os.listdir(os.path.join(rig.runner(1), "_work/_runnerhub/trash")), "trash")
    yield job


@contextlib.contextmanager
def no_job(rig):
    """Nothing runs; a job comes while the fault lasts."""
    yield None
