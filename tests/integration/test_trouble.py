# SPDX-License-Identifier: Apache-2.0
"""Trouble and bad input: each ends with a failed step and a word that says why, and with nothing left.

Each class has an instance; each test leaves it clean (see trouble.py).
"""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import struct
import subprocess
import time
import unittest

import hub
from trouble import CONFIG, WAIT, Run, Trouble, flow


def worker_pid(instance):
    """The Worker of the only running job, as the broker knows it."""
    return instance.cli("status")["jobs"][0]["workerPid"]


def stop_after_its_step(test):
    """The only running job, whose Worker is stopped before it sees that its step, which waited, has ended."""
    job = test.wait_step()
    os.kill(job["workerPid"], signal.SIGSTOP)
    test.go()
    hub.wait_until(lambda: not test.hub.cli("status")["jobs"][0]["stepsRunning"], 20, "the end of the step")
    return job


class WithoutBroker(Trouble):
    CONFIG = CONFIG.replace("  drain:", "  job_start: 20s\n  drain:")

    def test_absent(self):
        self.hub.broker("kill")
        try:
            began = time.monotonic()
            done = self.hub.workflow(flow({"run": "touch /tmp/rh-on-the-host"},
                                          {"if": "always()", "run": "touch /tmp/rh-on-the-host"}))
            self.assertLess(time.monotonic() - began, hub.allowed(25))
        finally:
            self.hub.broker("start")
        self.assert_failed(done, "runnerhub: the broker")
        self.assertFalse(os.path.exists("/tmp/rh-on-the-host"))

    def test_hanging(self):
        pid = int(self.hub.broker("pid"))
        os.kill(pid, signal.SIGSTOP)
        try:
            done = self.hub.workflow(flow({"run": "true"}))
        finally:
            os.kill(pid, signal.SIGCONT)
        self.assert_failed(done, "runnerhub: the broker")

    def test_killed_during_a_step(self):
        run = Run(self.hub, flow({"run": f"echo tick; {WAIT}; echo tock"}, {"run": "echo after"}))
        self.wait_step()
        began = time.monotonic()
        self.hub.broker("restart")
        self.assertLess(time.monotonic() - began, hub.allowed(10))
        self.go()
        self.assert_green(run.result(), "tick", "tock", "after")
        kinds = [e["kind"] for e in self.last_job()["events"]]
        self.assertIn("job.adopted", kinds)
        self.assertEqual([s["exitCode"] for s in self.last_job()["steps"]], [0, 0])

    def test_killed_while_a_job_starts(self):
        run = Run(self.hub, flow({"run": "sleep 3; echo ran"}))
        hub.wait_until(lambda: self.hub.cli("status")["jobs"], 20, "a job")
        self.hub.broker("restart")
        done = run.result()
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("ran", done.stdout)

    def end_with_a_locked_store(self):
        """A job comes to its end, the broker is killed; how long after it was seen running."""
        run = Run(self.hub, flow({"run": f"{WAIT}; echo the last one"}))
        worker, broker = stop_after_its_step(self)["workerPid"], int(self.hub.broker("pid"))
        with contextlib.closing(sqlite3.connect(os.path.join(self.hub.dir, "state/runnerhub.db"), isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            os.kill(worker, signal.SIGCONT)
            phases = ["running"]
            while phases == ["running"]:
                seen = time.monotonic()
                phases = [job["phase"] for job in self.hub.cli("status")["jobs"]]
            os.kill(broker, signal.SIGKILL)
            took = time.monotonic() - seen
        self.hub.broker("start")
        self.assert_green(run.result(), "the last one")
        return took

    def test_killed_while_a_job_ends(self):
        """A container goes once it is stored that its job ends: the next broker knows it from a lost one."""
        while self.end_with_a_locked_store() > 0.8:  # so long the container waits for the store
            pass
        self.assertEqual(self.last_job()["result"], "completed")


class Containers(Trouble):
    def test_killed_during_a_step(self):
        run = Run(self.hub, flow({"run": "sleep 600"}))
        self.wait_step()
        name = self.hub.cli("status")["jobs"][0]["container"]
        subprocess.run(["docker", "kill", name], check=True, stdout=subprocess.DEVNULL)
        began = time.monotonic()
        done = run.result()
        self.assertLess(time.monotonic() - began, hub.allowed(5))
        self.assert_failed(done, "runnerhub: ")
        self.assertIn("container", self.last_job()["reason"])

    def lose_container_after_a_step(self):
        job = stop_after_its_step(self)
        subprocess.run(["docker", "kill", job["container"]], check=True, stdout=subprocess.DEVNULL)
        hub.wait_until(lambda: self.hub.cli("status")["jobs"][0]["reason"], 20, "a lost container")
        os.kill(job["workerPid"], signal.SIGCONT)

    def test_killed_after_the_last_step(self):
        """Nothing was lost with it: the job is green, and its record says so, and what happened."""
        run = Run(self.hub, flow({"run": f"{WAIT}; echo the last one"}))
        self.lose_container_after_a_step()
        self.assert_green(run.result(), "the last one")
        record = self.last_job()
        self.assertEqual((record["result"], record["reason"]), ("completed", ""))
        self.assertIn("job.container_lost", [e["kind"] for e in record["events"]])

    def test_killed_between_steps(self):
        """The next step is refused, and the record says what the log says."""
        run = Run(self.hub, flow({"run": WAIT}, {"run": "echo never"}))
        self.lose_container_after_a_step()
        self.assert_failed(run.result(), "the step is refused")
        self.assertEqual(self.last_job()["result"], "failed")

    def test_out_of_memory(self):
        done = self.hub.workflow(flow({"run": "python3 -c 'x = bytearray(1 << 30)'"}))
        self.assert_failed(done, "OOM", "256 MiB", "memory")
        self.assertTrue(self.last_job()["steps"][0]["flags"] & 2)

    def test_image_missing(self):
        registration = next(os.scandir(os.path.join(self.hub.dir, "etc/runners.d"))).path
        with open(registration, encoding="utf-8") as file:
            text = file.read()
        root = text.split("root: '", 1)[1].split("'", 1)[0]
        with open(registration, "a", encoding="utf-8") as file:
            file.write("profile: missing\n")
        self.hub.cli("reload")
        time.sleep(0.5)
        try:
            done = self.hub.workflow(flow({"run": "true"}), "--runner", root)
        finally:
            with open(registration, "w", encoding="utf-8") as file:
                file.write(text)
            self.hub.cli("reload")
            time.sleep(0.5)
        self.assert_failed(done, "runnerhub-not-there")

    def test_odd_steps(self):
        done = self.hub.workflow(flow(
            {"name": "closed", "run": "exec 0<&- 1>&- 2>&-; true"},
            {"name": "detached", "run": "setsid sleep 300 >/dev/null 2>&1 </dev/null & "
                                        "until pgrep -x sleep; do :; done; echo left"},
            {"name": "alive", "run": "pgrep -x sleep >/dev/null && echo lives"},
            {"name": "deaf", "timeout-minutes": 0.05, "continue-on-error": True, "run": "trap '' TERM INT; sleep 300"},
            {"name": "status", "run": "exit 9"}))
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("lives", done.stdout)
        self.assertIn("exit code 9", done.stdout)
        codes = [step["exitCode"] for step in self.last_job()["steps"]]
        self.assertEqual(codes[:3] + codes[4:], [0, 0, 0, 9])


class Workers(Trouble):
    def kill_at(self, steps, when):
        run = Run(self.hub, flow(*steps))
        hub.wait_until(lambda: self.hub.cli("status")["jobs"], 20, "a job")
        when()
        os.kill(worker_pid(self.hub), signal.SIGKILL)
        run.result()
        self.check_clean()
        self.assertIn(self.last_job()["result"], ("abandoned", "failed"))

    def test_killed_at_once(self):
        self.kill_at([{"run": "sleep 600"}], lambda: None)

    def test_killed_during_a_step(self):
        self.kill_at([{"run": "sleep 600"}], self.wait_step)

    def test_the_next_job_runs(self):
        self.kill_at([{"run": "touch leftover; sleep 600"}], self.wait_step)
        done = self.hub.workflow(flow({"run": "ls -A; test ! -e leftover"}))
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_two_jobs_of_the_same_names(self):
        runs = [Run(self.hub, flow({"run": "hostname; sleep 2; touch mine; ls | wc -l"}), "--runner", f"r{n}")
                for n in (1, 2)]
        done = [r.result() for r in runs]
        self.assertEqual([d.returncode for d in done], [0, 0], [d.stdout for d in done])
        ids = {j["id"] for j in self.hub.cli("jobs", "--limit", "2")}
        self.assertEqual(len(ids), 2)

    def test_cancelled(self):
        done = self.hub.workflow(flow({"run": "sleep 600"}), "--cancel-after", "3")
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertEqual(self.last_job()["result"], "completed")


class Sockets(Trouble):
    def dial(self, name, kind):
        s = socket.socket(socket.AF_UNIX, kind)
        s.settimeout(10)
        s.connect(os.path.join(self.hub.dir, "run", name))
        return s

    @staticmethod
    def packet(kind, body=b"", magic=0x31424852, version=1, size=None):
        return struct.pack("=IHHII", magic, version, kind, 0, len(body) if size is None else size) + body

    def test_strangers_and_malformed_packets(self):
        rows = [self.packet(2), self.packet(4), self.packet(3), self.packet(1), self.packet(999),
                self.packet(2, magic=1), self.packet(2, size=4000), self.packet(2, b"x" * 4080),
                b"", b"x", b"\0" * 15, b"\xff" * 4096, b"z" * 60000]
        for row in rows:
            with self.subTest(row=row[:20]), self.dial("broker.sock", socket.SOCK_SEQPACKET) as s:
                s.send(row)
                answer = s.recv(8192)
                # Cut, or refused with a reason.
                self.assertTrue(answer == b"" or struct.unpack("=IHHII", answer[:16])[2] == 19, answer)
        self.assertEqual(self.hub.cli("status")["jobs"], [])

    def test_a_silent_peer_is_cut(self):
        with self.dial("broker.sock", socket.SOCK_SEQPACKET) as s:
            self.assertIn(b"in time", s.recv(8192))

    def test_control_lines(self):
        rows = [(b"{}\n", "op"), (b"nonsense\n", "not JSON"), (b'{"op":"no-such"}\n', "unknown operation"),
                (b'{"op":"jobs","args":{"limit":"x"}}\n', "jobs"), (b'{"op":"job","args":{"id":"zz"}}\n', "job")]
        for line, word in rows:
            with self.subTest(line=line), self.dial("control.sock", socket.SOCK_STREAM) as s:
                s.sendall(line)
                answer = json.loads(s.makefile().readline())
                self.assertFalse(answer["ok"])
                self.assertIn(word, answer["error"]["message"])
        with self.dial("control.sock", socket.SOCK_STREAM) as s:
            try:
                s.sendall(b"x" * (3 << 20))
                self.assertEqual(s.recv(100), b"")
            except (BrokenPipeError, ConnectionResetError):
                pass

    def test_many_connections(self):
        open_ones = [self.dial("broker.sock", socket.SOCK_SEQPACKET) for _ in range(300)]
        done = self.hub.workflow(flow({"run": "echo served"}))
        for s in open_ones:
            s.close()
        self.assertEqual(done.returncode, 0, done.stdout)


class Places(unittest.TestCase):
    def test_another_file_system_with_blanks_and_umlauts(self):
        place = f"/tmp/rh test ä {os.getpid()}"
        os.mkdir(place)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
        try:
            runner = os.path.join(place, "läufer eins")
            subprocess.run([os.path.join(hub.TOP, "tests/worker/make-runner"), "--build", hub.build_dir(), runner],
                           check=True, stdout=subprocess.DEVNULL)
            with hub.Instance(CONFIG, runners=[runner]) as instance:
                done = instance.workflow(flow(
                    # As on a plain runner, only a quoted script path survives a blank.
                    {"run": "pwd; echo x > y", "shell": 'bash -e "{0}"'},
                    {"run": "cat y", "shell": 'bash -e "{0}"'}), "--runner", runner)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertIn("läufer eins", done.stdout)
        finally:
            subprocess.run(["umount", place], check=True)
            os.rmdir(place)


del Trouble  # a base, no test of its own

if __name__ == "__main__":
    unittest.main()
