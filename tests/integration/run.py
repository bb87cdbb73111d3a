#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs tests/integration/test_*.py against real programs and a real engine; prints TAP.

  run.py --build DIR [--json FILE] [--match TEXT] [--file-timeout SECONDS] [--jobs N] PATH...

PATH is a test file or a directory of them. Each file runs in a process of its own, so that one
that hangs or crashes costs only itself; N of them at once (usually 1), since tests of trouble mostly
wait. A test that is skipped has failed. --json keeps one line a test: name, result, ms, detail (why
it failed).
"""

import argparse
import concurrent.futures
import contextlib
import glob
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
import unittest


class Reporter(unittest.TestResult):
    """Writes one JSON line for each test as soon as it has ended."""

    def __init__(self, out):
        super().__init__()
        self.out, self.began = out, time.monotonic()

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()

    def say(self, test, good, detail=""):
        ms = round((time.monotonic() - self.began) * 1000)
        entry = {"name": test.id(), "result": good, "ms": ms, "detail": detail}
        print(json.dumps(entry), file=self.out, flush=True)

    def addSuccess(self, test):
        self.say(test, True)

    def addError(self, test, err):
        self.say(test, False, "".join(traceback.format_exception(*err)))

    addFailure = addError

    def addSubTest(self, test, subtest, err):
        if err:
            self.addError(subtest, err)

    def addSkip(self, test, reason):
        self.say(test, False, "skipped: " + reason)

    def addExpectedFailure(self, test, err):
        self.say(test, False, "marked as an expected failure")

    def addUnexpectedSuccess(self, test):
        self.say(test, False, "marked as an expected failure, but passed")


def matching(suite, text):
    """The same suite, class by class (for setUpClass), with only the tests whose name holds text."""
    kept = unittest.TestSuite()
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            kept.addTest(matching(test, text))
        elif text in test.id() or test.id().startswith("unittest.loader."):
            kept.addTest(test)
    return kept


def run_one(path, match):
    """In the child: the tests of one file, reports on the original stdout."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)  # whatever a test prints goes where errors go
        sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), os.path.dirname(path)]
        name = os.path.basename(path)[:-3]
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        matching(unittest.defaultTestLoader.loadTestsFromModule(module), match).run(Reporter(out))


def files_of(paths):
    for path in paths:
        yield from sorted(glob.glob(os.path.join(path, "test_*.py"))) if os.path.isdir(path) else [path]


class Printer:
    """Numbers what the files report."""

    def __init__(self, log):
        self.log, self.n, self.failed, self.lock = log, 0, 0, threading.Lock()

    def point(self, entry):
        with self.lock:
            self.print(entry)

    def print(self, entry):
        self.n += 1
        self.failed += not entry["result"]
        word = "ok" if entry["result"] else "not ok"
        print(f"{word} {self.n} - {entry['name']} # {entry['ms']} ms", flush=True)
        for line in entry["detail"].splitlines():
            print("# " + line, flush=True)
        if self.log:
            print(json.dumps(entry), file=self.log, flush=True)


def end(child, number, late):
    late.set()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)


def run_file(path, options, printer):
    child = subprocess.Popen([sys.executable, __file__, "--one", path, "--match", options.match],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True)
    late = threading.Event()
    ends = [threading.Timer(options.file_timeout + 20 * n, end, (child, number, late))
            for n, number in enumerate((signal.SIGTERM, signal.SIGKILL))]
    for timer in ends:
        timer.start()
    for line in child.stdout:
        printer.point(json.loads(line))
    for timer in ends:
        timer.cancel()
    status = child.wait()
    if status != 0:
        what = f"did not end within {options.file_timeout} s" if late.is_set() else f"ended with status {status}"
        printer.point({"name": os.path.basename(path)[:-3], "result": False, "ms": 0, "detail": f"{path} {what}"})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", metavar="DIR", help="build directory that the programs come from")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--match", metavar="TEXT", default="", help="only tests whose name holds it")
    parser.add_argument("--file-timeout", metavar="SECONDS", type=int, default=600)
    parser.add_argument("--jobs", metavar="N", type=int, default=1, help="files at once")
    parser.add_argument("--one", metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("paths", metavar="PATH", nargs="*")
    options = parser.parse_args()
    if options.one:
        run_one(os.path.abspath(options.one), options.match)
        return 0
    if options.build:
        os.environ["RUNNERHUB_TEST_BUILD"] = os.path.abspath(options.build)
    with open(options.json, "w", encoding="utf-8") if options.json else contextlib.nullcontext() as log:
        printer = Printer(log)
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for run in [pool.submit(run_file, path, options, printer) for path in files_of(options.paths)]:
                run.result()
    print(f"1..{printer.n}")
    if printer.n == 0:
        print("no test was found", file=sys.stderr)
    return 1 if printer.failed or printer.n == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
