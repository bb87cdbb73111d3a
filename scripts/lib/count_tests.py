# SPDX-License-Identifier: Apache-2.0
"""Prints "PASSED FAILED" for logs of meson (testlog.json) or of tests/integration/run.py.

Both hold one JSON object a line. A test that speaks TAP counts with each of its points, and once
more if it failed although all of them passed (a crash, a leak, a time-out). Skipped is failed.
"""

import json
import re
import sys

POINT = re.compile(r"^(not )?ok\b(.*)$")


def count(entry):
    """Counts one entry of a log as (passed, failed)."""
    good = entry.get("result") in ("OK", "EXPECTEDFAIL", True)
    passed = failed = 0
    for line in (entry.get("stdout") or "").splitlines():
        point = POINT.match(line)
        if point:
            bad = point.group(1) or "# skip" in point.group(2).lower()
            passed, failed = passed + (not bad), failed + bool(bad)
    if passed + failed == 0 or (not good and failed == 0):
        passed, failed = passed + good, failed + (not good)
    return passed, failed


def main():
    passed = failed = 0
    for name in sys.argv[1:]:
        with open(name, encoding="utf-8") as log:
            for line in log:
                p, f = count(json.loads(line))
                passed, failed = passed + p, failed + f
    print(passed, failed)


main()
