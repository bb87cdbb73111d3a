# SPDX-License-Identifier: Apache-2.0
"""The network's rules while jobs run: what is allowed arrives, and they outlive who changes or leaves them.

The world is a network namespace of the test's own, with a web server; the resolver is the host itself.
"""

import os
import re
import subprocess
import sys
import threading
import unittest

import hub
from outside import flow, make, sh

SPACE, OUT, IN = "rh-net-test", "rhnt0", "rhnt1"
HOST, WORLD = "203.0.113.1", "203.0.113.2"
CONFIG = f"""
timeouts:
  drain: 5s
  job_start: 60s
default_profile: open
profiles:
  open:
    image: runnerhub-debian
    warm: 2
    egress: audit
    dns: ["{HOST}"]
"""

# Answers every question with the world's address (RFC 1035).
RESOLVER = f"""
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("{HOST}", 53))
print("listens", flush=True)
while True:
    asked, peer = server.recvfrom(512)
    end = asked.index(b"\\0", 12) + 5
    kind = asked[end - 4:end - 2]
    answer = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\0\\0\\4" + socket.inet_aton("{WORLD}")
    has = kind == b"\\0\\1"
    server.sendto(asked[:2] + b"\\x81\\x80\\0\\1" + (b"\\0\\1" if has else b"\\0\\0") + b"\\0" * 4 +
                  asked[12:end] + (answer if has else b""), peer)
"""
SERVER = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"the answer\\n")
server = http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Answer)
print("listens", flush=True)
server.serve_forever()
"""


class Network(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        make(cls, SPACE, OUT, IN, f"{HOST}/24", [f"{WORLD}/24"])
        cls.start([], RESOLVER)
        cls.start(["ip", "netns", "exec", SPACE], SERVER, WORLD, "8080")
        cls.start([], SERVER, HOST, "8081")
        cls.hub = hub.Instance(CONFIG)
        cls.hub.start()
        cls.name = "runnerhub-" + os.path.basename(cls.hub.dir)
        cls.addClassCleanup(cls.stop)

    @classmethod
    def start(cls, before, text, *arguments):
        process = subprocess.Popen([*before, sys.executable, "-c", text, *arguments], stdout=subprocess.PIPE, text=True)
        cls.addClassCleanup(process.stdout.close)
        cls.addClassCleanup(process.wait)
        cls.addClassCleanup(process.kill)
        assert process.stdout.readline() == "listens\n"

    @classmethod
    def stop(cls):
        cls.hub.stop()
        assert cls.name not in sh("nft", "list", "tables").stdout, "its tables are left"

    def listed(self, *what):
        return sh("nft", "-s", "list", *what, check=False).stdout

    def port(self):
        """The port and the address of the one container that runs a job."""
        instance = [c for c in self.hub.cli("containers") if c["state"] == "leased"][0]["instance"]
        with open(os.path.join(self.hub.dir, "state/containers", instance, "network"), encoding="utf-8") as f:
            facts = dict(line.rstrip("\n").split("=", 1) for line in f)
        return facts["name"], facts["ip4"]

    def in_force(self, port, guard):
        name, address = port
        return f'"{name}"' in self.listed("set", "bridge", self.name, "ports") and \
            f"{address} : goto egress-" in self.listed("map", "inet", self.name, "policy4") and \
            self.listed("chain", "inet", self.name, "guard") == guard

    def test_two_jobs_at_once(self):
        text = flow("getent hosts place.example.com\ncurl -sS http://place.example.com:8080/\n"
                    f"curl -sS --max-time 5 http://{HOST}:8081/ || echo \"host: no $((6 * 7))\"")
        done = [None, None]

        def go(i):
            done[i] = self.hub.workflow(text, "--runner", self.hub.runner(i + 1))

        threads = [threading.Thread(target=go, args=(i,)) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for one in done:
            self.assertEqual(one.returncode, 0, one.stdout)
            self.assertIn("the answer", one.stdout)
            self.assertIn("host: no 42", one.stdout)
        for job in self.hub.cli("jobs", "--limit", "2"):
            for what in (rf"network\.seen +tcp {WORLD}:8080", rf"network\.refused +tcp {HOST}:8081"):
                # Told beside what the job does, so perhaps after its end.
                hub.wait_until(lambda: re.search(what, self.hub.run("runnerhub", "jobs", "show", job["id"]).stdout), what=what)

    def test_rules_outlive_flush_and_broker(self):
        go = os.path.join(self.hub.runner(1), "_work", "_temp", "go")
        text = flow("echo here > \"$RUNNER_TEMP/here\"\nfor i in $(seq 600); do\n"
                    "  test ! -e \"$RUNNER_TEMP/go\" || break\n  sleep 0.1\ndone\n"
                    "curl -sS http://place.example.com:8080/\n"
                    f"curl -sS --max-time 5 http://{HOST}:8081/ || echo \"host: no $((6 * 7))\"")
        done = []
        thread = threading.Thread(target=lambda: done.append(
            self.hub.workflow(text, "--runner", self.hub.runner(1))))
        thread.start()
        hub.wait_until(lambda: os.path.exists(os.path.join(os.path.dirname(go), "here")), 60, "the job's first step")
        try:
            port, guard = self.port(), self.listed("chain", "inet", self.name, "guard")
            self.assertTrue(self.in_force(port, guard))
            for change in (["delete", "table", "inet", self.name], ["flush", "set", "bridge", self.name, "ports"],
                           ["delete", "table", "bridge", self.name],
                           ["insert", "rule", "inet", self.name, "guard", "accept"]):
                sh("nft", *change)
                hub.wait_until(lambda: self.in_force(port, guard), 10, f"after {change}")
            self.hub.broker("kill")
            # Nobody watches them, and they hold.
            self.assertTrue(self.in_force(port, guard))
            self.hub.broker("start")
            hub.wait_until(lambda: self.hub.cli("status")["network"]["inForce"], 10, "the new broker's rules")
            self.assertTrue(self.in_force(port, guard))
        finally:
            with open(go, "w", encoding="utf-8"):
                pass
            thread.join()
        self.assertEqual(done[0].returncode, 0, done[0].stdout)
        self.assertIn("the answer", done[0].stdout)
        self.assertIn("host: no 42", done[0].stdout)
