# SPDX-License-Identifier: Apache-2.0
"""A machine outside the host, for tests of what jobs reach: a network namespace behind a veth pair."""

import subprocess


def sh(*arguments, check=True):
    return subprocess.run(arguments, check=check, capture_output=True, text=True)


def flow(text):
    """A workflow of one step."""
    lines = "".join(f"          {line}\n" for line in text.strip().splitlines())
    return f"name: net\non: push\njobs:\n  net:\n    runs-on: self-hosted\n    steps:\n      - run: |\n{lines}"


def make(case, space, out, inside, host, addresses):
    """Makes it, with these addresses and the host's, all with their prefix; it goes with the test case's class."""
    case.addClassCleanup(lambda: sh("ip", "netns", "delete", space, check=False))
    case.addClassCleanup(lambda: sh("ip", "link", "delete", out, check=False))
    sh("ip", "netns", "add", space)
    sh("ip", "link", "add", out, "type", "veth", "peer", "name", inside, "netns", space)
    sh("ip", "address", "add", host, "dev", out)
    sh("ip", "link", "set", out, "up")
    for address in addresses:
        sh("ip", "-n", space, "address", "add", address, "dev", inside)
    sh("ip", "-n", space, "link", "set", inside, "up")
