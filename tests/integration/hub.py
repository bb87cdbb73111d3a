# SPDX-License-Identifier: Apache-2.0
"""What the tests against a real engine share: a private instance, runner directories, waiting."""

import json
import os
import shutil
import subprocess
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WITH_RUNNERHUB = os.path.join(TOP, "scripts/with-runnerhub")
# The engine's socket; where none is served in the usual place, scripts/test starts an engine of its own.
ENGINE = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")

ORDINARY_START_S = 0.003

# What CMD of with-runnerhub is here: it hands out its environment and waits to be told to end.
HOLDER = "import json, os, sys; print(json.dumps(dict(os.environ)), flush=True); sys.stdin.read()"


def build_dir():
    return os.environ.get("RUNNERHUB_TEST_BUILD") or os.path.join(TOP, "build/release")


def with_runnerhub(*arguments, config=None, runners=(), strict=True):
    """The command line of scripts/with-runnerhub around another."""
    line = [WITH_RUNNERHUB, "--build", build_dir()]
    line += ["--strict"] if strict else []
    line += ["--config", config] if config else []
    for runner in runners:
        line += ["--runner", runner]
    return [*line, "--", *arguments]


def slowness():
    """How much slower this machine is just now than an idle ordinary one, at least 1: by what starting a program
    takes. Other tests run beside this one, and kernels differ tenfold in what a new process costs."""
    times = []
    for _ in range(7):
        began = time.monotonic()
        subprocess.run(["/bin/true"], check=True)
        times.append(time.monotonic() - began)
    return min(12.0, max(1.0, sorted(times)[3] / ORDINARY_START_S))


def allowed(seconds):
    """What a bound for an idle ordinary machine is on this one."""
    return seconds * slowness()


def wait_until(condition, seconds=10.0, what="a condition"):
    """Returns the first true value of condition(); fails with what after that many seconds, or as many more as this
    machine is slower than an ordinary one, but not before a minute: an engine under load needs many seconds for a call."""
    began, until = time.monotonic(), None
    while True:
        asked = time.monotonic()
        value = condition()
        if value:
            return value
        took, waited = time.monotonic() - asked, time.monotonic() - began
        if waited > seconds:
            until = until or max(60, allowed(seconds))
            if waited > until:
                raise AssertionError(f"{what}: not within {waited:.0f} s")
        # Asking starts a program most of the time; what is waited for needs the processors, too.
        time.sleep(min(0.5, max(0.02, 3 * took)))


class Instance:
    """A private RunnerHub for the time of a with block (or from start() to stop()).

    config is the text of a configuration, None for the default one. hub.env is the environment
    that commands run in; hub.run() runs one of them. A sanitizer report, a crash or a hang of the
    broker fails stop(). without names system calls that everything in it is to lack.
    """

    def __init__(self, config=None, runners=(), strict=True, without=()):
        self.config, self.runners, self.strict = config, runners, strict
        self.older = [os.path.join(build_dir(), "tests/old-kernel/without-calls"), ",".join(without), "--"] if without else []
        self.process = self.env = self.scratch = None

    def start(self):
        self.scratch = tempfile.mkdtemp(prefix="rh-test-")
        path = None
        if self.config is not None:
            path = os.path.join(self.scratch, "runnerhub.yaml")
            with open(path, "w", encoding="utf-8") as f:
                f.write(self.config)
        line = with_runnerhub("python3", "-c", HOLDER, config=path, runners=self.runners, strict=self.strict)
        self.process = subprocess.Popen(self.older + line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait()
            shutil.rmtree(self.scratch)
            raise AssertionError(f"with-runnerhub ended with {status} before its command ran")
        self.env = json.loads(line)
        return self

    def stop(self):
        self.process.stdin.close()
        status = self.process.wait(300)
        self.process.stdout.close()
        shutil.rmtree(self.scratch)
        if status != 0:
            raise AssertionError(f"with-runnerhub ended with {status}")

    __enter__ = start

    def __exit__(self, *_):
        self.stop()

    @property
    def dir(self):
        return self.env["RUNNERHUB_DIR"]

    def runner(self, n=1):
        """The directory of the n-th runner."""
        return self.env[f"RUNNERHUB_RUNNER_{n}"]

    def run(self, *arguments, timeout=120, **more):
        """Runs a command in the instance's environment: a CompletedProcess with text streams."""
        options = {"capture_output": True, "text": True, "env": self.env, "stdin": subprocess.DEVNULL, **more}
        return subprocess.run([*self.older, *arguments], timeout=timeout, check=False, **options)

    def workflow(self, text, *arguments, timeout=180, **more):
        """Runs a workflow (YAML text): a CompletedProcess, its .report being the --json file."""
        with tempfile.TemporaryDirectory(dir=self.scratch) as place:
            path, report = os.path.join(place, "workflow.yml"), os.path.join(place, "report.json")
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            done = self.run("run-workflow", path, "--json", report, *arguments, timeout=timeout, **more)
            done.report = None
            if os.path.exists(report):
                with open(report, encoding="utf-8") as f:
                    done.report = json.load(f)
        return done

    def cli(self, *arguments):
        """runnerhub ARGUMENT... --json, parsed; fails with what it said if it fails."""
        done = self.run("runnerhub", *arguments, "--json")
        if done.returncode != 0:
            raise AssertionError(f"runnerhub {' '.join(arguments)}: {done.returncode}: {done.stderr}{done.stdout}")
        return json.loads(done.stdout)

    def broker(self, verb):
        """hub-broker VERB: start, stop, kill, restart, reload, pid; its output."""
        done = self.run("hub-broker", verb)
        if done.returncode != 0:
            raise AssertionError(f"hub-broker {verb}: {done.stderr}")
        return done.stdout.strip()

    def log(self):
        with open(os.path.join(self.dir, "broker.log"), encoding="utf-8", errors="replace") as f:
            return f.read()
