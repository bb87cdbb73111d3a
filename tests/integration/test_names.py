# SPDX-License-Identifier: Apache-2.0
"""Names in a profile's egress, with a real engine: what a job looks up is what it reaches, also after a flush of the
rules and with the next broker.

The world is a network namespace of the test's own, with a web server and the resolver behind ours.
"""

import os
import subprocess
import sys
import threading
import unittest

import hub
from outside import flow, make, sh

SPACE, OUT, IN = "rh-names-test", "rhnm0", "rhnm1"
HOST, WORLD, OTHER, RESOLVER = "203.0.113.65", "203.0.113.66", "203.0.113.67", "203.0.113.68"
CONFIG = f"""
timeouts:
  drain: 5s
  job_start: 60s
default_profile: named
profiles:
  named:
    image: runnerhub-debian
    warm: 1
    egress: ["*.example.org:8080"]
    dns: ["{RESOLVER}"]
"""
SERVER = """
import http.server, socketserver, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"the answer\\n")
    def log_message(self, *what):
        pass
server = socketserver.ThreadingTCPServer((sys.argv[1], 8080), Answer)
open(sys.argv[2], "w").close()
server.serve_forever()
"""
LOCAL = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "hostile", "resolver.py")


class Names(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        make(cls, SPACE, OUT, IN, f"{HOST}/28", [f"{a}/28" for a in (WORLD, OTHER, RESOLVER)])
        sh("ip", "-n", SPACE, "route", "add", "default", "via", HOST)
        cls.hub = hub.Instance(CONFIG)
        cls.hub.start()
        cls.addClassCleanup(cls.hub.stop)
        cls.zone = os.path.join(cls.hub.dir, "zone")
        cls.log = os.path.join(cls.hub.dir, "resolver.log")
        with open(cls.zone, "w", encoding="ascii") as file:
            file.write(f"place.example.org {WORLD}\nhost.example.org {HOST}\n")
        ready = os.path.join(cls.hub.dir, "resolver.pid")
        cls.start(LOCAL, cls.log, ready, RESOLVER, cls.zone, "3600")
        for address in (WORLD, OTHER):
            cls.start("-c", SERVER, address, os.path.join(cls.hub.dir, address))
        for file in (ready, os.path.join(cls.hub.dir, WORLD), os.path.join(cls.hub.dir, OTHER)):
            hub.wait_until(lambda f=file: os.path.exists(f), 20, file)
        cls.name = "runnerhub-" + os.path.basename(cls.hub.dir)

    @classmethod
    def start(cls, *arguments):
        process = subprocess.Popen(["ip", "netns", "exec", SPACE, sys.executable, *arguments],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(process.wait)
        cls.addClassCleanup(process.kill)

    def asked(self):
        with open(self.log, encoding="utf-8") as file:
            return {line.split()[2] for line in file}

    def test_a_job(self):
        done = self.hub.workflow(flow(
            f"curl -sS --max-time 5 http://{WORLD}:8080/ || echo \"early: no $((6 * 7))\"\n"
            "curl -sS --retry 3 http://Place.Example.org:8080/\n"
            f"curl -sS --max-time 5 http://{OTHER}:8080/ || echo \"other: no $((6 * 7))\"\n"
            "curl -sS --max-time 5 http://host.example.org:8080/ || echo \"host: no $((6 * 7))\"\n"
            "getent hosts secret.of.evil.net || echo \"evil: no $((6 * 7))\"\n"), "--runner", self.hub.runner(1))
        self.assertEqual(done.returncode, 0, done.stdout)
        for text in ("the answer", "early: no 42", "other: no 42", "host: no 42", "evil: no 42"):
            self.assertIn(text, done.stdout)
        self.assertEqual(self.asked() - {"place.example.org", "host.example.org"}, set())
        job = self.hub.cli("jobs", "--limit", "1")[0]
        said = self.hub.run("runnerhub", "jobs", "show", job["id"]).stdout
        self.assertRegex(said, r"network\.refused +dns \*\.of\.evil\.net")
        self.assertRegex(said, rf"network\.refused +tcp {WORLD}:8080")
        self.assertRegex(said, rf"network\.refused +tcp {HOST}:8080")

    def learned(self):
        return f" . {WORLD} " in sh("nft", "list", "table", "inet", self.name, check=False).stdout

    def test_what_was_learned_outlives_flush_and_broker(self):
        temp = os.path.join(self.hub.runner(1), "_work", "_temp")
        text = flow("curl -sS --retry 3 http://place.example.org:8080/\n: > \"$RUNNER_TEMP/here\"\n"
                    "for i in $(seq 600); do\n  test ! -e \"$RUNNER_TEMP/go\" || break\n  sleep 0.1\ndone\n"
                    "getent hosts place.example.org > /dev/null\n"
                    f"curl -sS --retry 3 http://{WORLD}:8080/ && echo \"still $((6 * 7))\"")
        done = []
        thread = threading.Thread(target=lambda: done.append(
            self.hub.workflow(text, "--runner", self.hub.runner(1))))
        thread.start()
        try:
            hub.wait_until(lambda: os.path.exists(os.path.join(temp, "here")), 60, "the job's first lookup")
            self.assertTrue(self.learned())
            sh("nft", "delete", "table", "inet", self.name)
            hub.wait_until(self.learned, 10, "what was learned, after the flush")
            self.hub.broker("kill")
            self.hub.broker("start")
            hub.wait_until(lambda: self.hub.cli("status")["network"]["inForce"], 10, "the new broker's rules")
            self.assertTrue(self.learned())
        finally:
            with open(os.path.join(temp, "go"), "w", encoding="utf-8"):
                pass
            thread.join()
        self.assertEqual(done[0].returncode, 0, done[0].stdout)
        self.assertIn("still 42", done[0].stdout)
