# SPDX-License-Identifier: Apache-2.0
"""with-runnerhub, install and uninstall as a user meets them."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import unittest

import hub

ENV = b"# mine\nFOO=bar\r\nLD_PRELOAD=/usr/lib/libmine.so\nACTIONS_RUNNER_HOOK_JOB_STARTED=/opt/it's.sh\nLAST=1"
UID = 65533


def make_runner(root, env=None, uid=0):
    """Enough of a runner's directory for the scripts: they never start its Worker."""
    os.makedirs(os.path.join(root, "bin"))
    shutil.copy("/bin/true", os.path.join(root, "bin/Runner.Worker"))
    if env is not None:
        with open(os.path.join(root, ".env"), "wb") as f:
            f.write(env)
        os.chmod(os.path.join(root, ".env"), 0o600)
    for base, _, files in os.walk(root):
        for name in ["", *files]:
            os.chown(os.path.join(base, name), uid, uid)
    return root


def read_env(root):
    with open(os.path.join(root, ".env"), "rb") as f:
        return f.read()


def end_group(leader):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


class Scratch(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp(prefix="rh scripts é ")
        os.chmod(self.top, 0o755)
        self.addCleanup(shutil.rmtree, self.top)

    def path(self, *names):
        return os.path.join(self.top, *names)

    def call(self, *line, **more):
        return subprocess.run(line, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120,
                              check=False, **more)


class WithRunnerhub(Scratch):
    def around(self, *command, runners=None, strict=True):
        runners = [make_runner(self.path("a"))] if runners is None else runners
        return hub.with_runnerhub(*command, runners=runners, strict=strict)

    def test_exit_status_is_the_commands(self):
        runner = [make_runner(self.path("a"))]
        for script, status in (("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)):
            done = self.call(*self.around("sh", "-c", script, runners=runner))
            self.assertEqual(done.returncode, status, done.stderr)

    def test_what_the_command_finds(self):
        done = self.call(*self.around("sh", "-c", "echo $RUNNERHUB_RUNNER_1; test -S $RUNNERHUB_SOCKET && "
                                                  "kill -0 $RUNNERHUB_PID && command -v run-workflow runnerhub && "
                                                  "runnerhub status"))
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        self.assertEqual(done.stdout.splitlines()[0], self.path("a"))

    def test_env_is_put_back_byte_for_byte(self):
        a, b = make_runner(self.path("a"), ENV, UID), make_runner(self.path("b"))
        script = 'grep -c "$RUNNERHUB_LIBEXEC" "$RUNNERHUB_RUNNER_1/.env" "$RUNNERHUB_RUNNER_2/.env"; ' \
                 'cat "$RUNNERHUB_DIR"/etc/runners.d/a.yaml'
        done = self.call(*self.around("sh", "-c", script, runners=[a, b]))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"{a}/.env:3", done.stdout)
        self.assertIn(f"{b}/.env:3", done.stdout)
        self.assertIn("started_hook: '/opt/it''s.sh'", done.stdout)
        self.assertIn(f"uid: {UID}", done.stdout)
        self.assertEqual(read_env(a), ENV)
        info = os.stat(os.path.join(a, ".env"))
        self.assertEqual((info.st_uid, info.st_mode & 0o777), (UID, 0o600))
        self.assertFalse(os.path.exists(os.path.join(b, ".env")))

    def test_a_nul_byte_in_env_costs_no_line(self):
        env = b"BEFORE=1\nODD=x\0y\nAFTER=1\n"
        a = make_runner(self.path("a"), env, UID)
        done = self.call(*self.around("sh", "-c", 'cat "$RUNNERHUB_RUNNER_1/.env"', runners=[a]))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("BEFORE=1\n", done.stdout)
        self.assertIn("AFTER=1\n", done.stdout)
        self.assertEqual(read_env(a), env)

    def test_the_user_is_the_one_that_the_command_is_told(self):
        a = make_runner(self.path("a"))
        left = os.path.join(a, "_work", "_temp", "left")
        os.makedirs(left)
        os.symlink("/etc/passwd", os.path.join(left, "link"))
        owner = os.stat("/etc/passwd").st_uid
        for more, uid in ((["--uid", str(UID)], UID), ([], 0), ([f"--reuid={UID}"], UID)):
            done = self.call(*self.around("sh", "-c", 'cat "$RUNNERHUB_DIR"/etc/runners.d/a.yaml', "sh", *more, runners=[a]))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(f"\nuid: {uid}\n", done.stdout)
            self.assertEqual(os.stat(left).st_uid, uid)
            self.assertEqual(os.lstat(os.path.join(left, "link")).st_uid, uid)
            self.assertEqual(os.stat("/etc/passwd").st_uid, owner)

    def test_a_link_for_env_is_refused(self):
        a = make_runner(self.path("a"))
        os.symlink("/etc/passwd", os.path.join(a, ".env"))
        done = self.call(*self.around("true", runners=[a]))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("symbolic link", done.stderr)
        self.assertTrue(os.path.islink(os.path.join(a, ".env")))

    def command(self, script, runner):
        """with-runnerhub around a shell, in a session of its own that does not outlive the test."""
        process = subprocess.Popen(self.around("sh", "-c", script, runners=[runner]), stdout=subprocess.PIPE,
                                   text=True, start_new_session=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait, 60)
        self.addCleanup(end_group, process.pid)
        return process

    def test_signals_reach_the_command(self):
        script = "trap 'echo got TERM; exit 3' TERM; trap 'echo got INT; exit 4' INT; " \
                 "echo $RUNNERHUB_DIR; while :; do sleep 0.1; done"
        runner = make_runner(self.path("a"))
        for number, status in ((signal.SIGTERM, 3), (signal.SIGINT, 4)):
            process = self.command(script, runner)
            place = process.stdout.readline().strip()
            process.send_signal(number)
            self.assertEqual(process.communicate(timeout=60)[0], f"got {number.name[3:]}\n")
            self.assertEqual(process.returncode, status)
            self.assertFalse(os.path.exists(place))

    def test_a_signal_that_the_command_sends_at_once_comes_back(self):
        script = "trap 'echo got TERM; exit 3' TERM; kill -TERM $PPID; while :; do sleep 0.1; done"
        process = self.command(script, make_runner(self.path("a")))
        self.assertEqual(process.communicate(timeout=60)[0], "got TERM\n")
        self.assertEqual(process.returncode, 3)

    def test_the_next_run_removes_what_a_killed_one_left(self):
        a = make_runner(self.path("a"), ENV)
        process = self.command("echo $RUNNERHUB_DIR $RUNNERHUB_PID; exec sleep 60", a)
        place, broker = process.stdout.readline().split()
        process.kill()
        process.wait()
        self.assertNotEqual(read_env(a), ENV)
        done = self.call(*self.around("true", runners=[make_runner(self.path("b"))]))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(read_env(a), ENV)
        self.assertFalse(os.path.exists(place))
        hub.wait_until(lambda: not os.path.exists(f"/proc/{broker}/exe"), what="the left broker is ended")

    def test_strict_tells_when_the_broker_died(self):
        done = self.call(*self.around("sh", "-c", "kill -9 $RUNNERHUB_PID"))
        self.assertEqual(done.returncode, 99, done.stderr)
        done = self.call(*self.around("hub-broker", "restart", runners=[self.path("a")]))
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_wrong_configuration_is_shown(self):
        with open(self.path("c.yaml"), "w", encoding="utf-8") as f:
            f.write("profiles:\n  default:\n    image: runnerhub-debian\n    colour: red\n")
        done = self.call(*hub.with_runnerhub("true", config=self.path("c.yaml"), runners=[make_runner(self.path("a"))]))
        self.assertEqual(done.returncode, 69)
        self.assertIn("runnerhub.yaml:4", done.stderr)
        self.assertIn("colour", done.stderr)
        self.assertFalse(os.path.exists(self.path("a", ".env")))

    def test_two_at_once(self):
        script = "echo $RUNNERHUB_DIR; sleep 1; runnerhub status >/dev/null"
        both = [subprocess.Popen(self.around("sh", "-c", script, runners=[make_runner(self.path(n))]),
                                 stdout=subprocess.PIPE, text=True) for n in "ab"]
        places = [p.communicate(timeout=120)[0] for p in both]
        self.assertEqual([p.returncode for p in both], [0, 0])
        self.assertNotEqual(*places)

    def test_a_wired_runner_is_not_wired_again(self):
        a = make_runner(self.path("a"), ENV)
        inner = self.around("true", runners=[a])
        done = self.call(*self.around(*inner, runners=[a]))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(f"{a} is wired to another with-runnerhub", done.stderr)
        self.assertEqual(read_env(a), ENV)


class Install(Scratch):
    def setUp(self):
        super().setUp()
        self.prefix = tempfile.mkdtemp(prefix="rh-prefix-")
        os.chmod(self.prefix, 0o755)
        self.addCleanup(shutil.rmtree, self.prefix)
        self.places = ["--prefix", self.prefix, "--config-dir", self.prefix + "/etc", "--unit-dir",
                       self.prefix + "/units"]
        os.mkdir(self.prefix + "/units")

    def install(self, *arguments):
        return self.call(hub.TOP + "/scripts/install", "--build", hub.build_dir(), *self.places, *arguments)

    def chains(self, network):
        """Rules in iptables like the broker's; the last one is somebody else's."""
        chains = [f"{network}-{end}" for end in ("fwd", "c0123456789", "others")]
        for chain in chains:
            self.assertEqual(self.call("iptables", "-w", "10", "-N", chain).returncode, 0)
            self.addCleanup(self.call, "iptables", "-w", "10", "-X", chain)
            self.addCleanup(self.call, "iptables", "-w", "10", "-F", chain)
        for rule in (("FORWARD", "-j", chains[0]), (chains[0], "-j", chains[1])):
            self.assertEqual(self.call("iptables", "-w", "10", "-A", *rule).returncode, 0)
        self.addCleanup(self.call, "iptables", "-w", "10", "-D", "FORWARD", "-j", chains[0])
        return chains

    def uninstall(self, *arguments):
        return self.call(hub.TOP + "/scripts/uninstall", *self.places, *arguments)

    def test_installed_twice_and_uninstalled(self):
        a = make_runner(self.path("a"), ENV, UID)
        done = self.install("--runner", a)
        self.assertEqual(done.returncode, 0, done.stderr)
        first, libexec = read_env(a), self.prefix + "/lib/runnerhub"
        self.assertEqual(first, ENV.replace(
            b"LD_PRELOAD=", f"LD_PRELOAD={libexec}/librunnerhub-preload.so:".encode()).replace(
            b"/opt/it's.sh", f"{libexec}/job-started.sh".encode()) +
            f"\nACTIONS_RUNNER_HOOK_JOB_COMPLETED={libexec}/job-completed.sh\n".encode())
        again = self.install("--runner", a)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(read_env(a), first)
        registered = os.listdir(self.prefix + "/etc/runners.d")
        self.assertEqual(registered, ["a.yaml"])
        checked = self.call(self.prefix + "/sbin/runnerhubd", "--check-config", "--config",
                            self.prefix + "/etc/runnerhub.yaml")
        self.assertEqual(checked.returncode, 0, checked.stderr + checked.stdout)
        with open(self.prefix + "/units/runnerhubd.service", encoding="utf-8") as f:
            self.assertIn(f"ExecStart={self.prefix}/sbin/runnerhubd --config {self.prefix}/etc/runnerhub.yaml", f.read())

        done = self.uninstall("--runner", a)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(read_env(a), ENV + b"\n")
        self.assertEqual(os.listdir(self.prefix + "/etc/runners.d"), [])
        self.assertTrue(os.path.exists(libexec))

    def test_uninstall_of_all_leaves_the_configuration_only(self):
        runners = [make_runner(self.path("a")), make_runner(self.path("b"), ENV)]
        self.assertEqual(self.install("--runner", runners[0], "--runner", runners[1]).returncode, 0)
        ledger, outside = self.path("a", "_work", "_runnerhub"), self.path("outside")
        os.makedirs(os.path.join(ledger, "trash", "1"))
        for name in ("repo", "kept", "_tool"):
            os.makedirs(self.path("a", "_work", name, "inner"))
        os.mkdir(outside)
        os.symlink(outside, self.path("a", "_work", "repo", "link"))
        with open(os.path.join(outside, "file"), "w", encoding="utf-8"), \
                open(os.path.join(ledger, "leased-repo"), "w", encoding="utf-8"):
            pass
        network = f"rh-un-{os.getpid()}"
        with open(self.prefix + "/etc/runnerhub.yaml", "r+", encoding="utf-8") as f:
            text = f.read()
            f.seek(0)
            f.write(text.replace("#name: runnerhub\n", f"name: {network}\n"))
        for table in (("inet", network), ("bridge", network), ("inet", network + "-others")):
            self.assertEqual(self.call("nft", "add", "table", *table).returncode, 0)
        self.addCleanup(self.call, "nft", "delete", "table", "inet", network + "-others")
        chains = self.chains(network)
        done = self.uninstall("--dry-run")
        self.assertIn(f"would: remove the network {network}", done.stdout)
        self.assertIn(f"would: remove {ledger}", done.stdout)
        self.assertTrue(os.path.isdir(ledger))
        done = self.uninstall()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse(os.path.exists(self.path("a", ".env")))
        tables = self.call("nft", "list", "tables").stdout
        self.assertEqual([line for line in tables.splitlines() if network in line], [f"table inet {network}-others"])
        saved = self.call("iptables-save", "-t", "filter").stdout
        self.assertEqual([chain for chain in chains if f":{chain} " in saved], chains[-1:])
        # The ledger is gone, and with it the workspace that it says was never scrubbed.
        self.assertEqual(sorted(os.listdir(self.path("a", "_work"))), ["_tool", "kept"])
        self.assertEqual(os.listdir(outside), ["file"])
        self.assertEqual(read_env(self.path("b")), ENV + b"\n")
        left = [os.path.relpath(os.path.join(base, name), self.prefix)
                for base, _, names in os.walk(self.prefix) for name in names]
        self.assertEqual(left, ["etc/runnerhub.yaml"])

    def test_what_a_removed_installation_left_is_replaced(self):
        env = b"".join(b"%s=/gone/%s\n" % (key, name) for key, name in (
            (b"LD_PRELOAD", b"librunnerhub-preload.so"), (b"ACTIONS_RUNNER_HOOK_JOB_STARTED", b"job-started.sh"),
            (b"ACTIONS_RUNNER_HOOK_JOB_COMPLETED", b"job-completed.sh")))
        a = make_runner(self.path("a"), env)
        done = self.install("--runner", a)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn(b"/gone/", read_env(a))
        with open(self.prefix + "/etc/runners.d/a.yaml", encoding="utf-8") as f:
            self.assertNotIn("_hook", f.read())

    def test_dry_run_changes_nothing(self):
        a = make_runner(self.path("a"), ENV)
        done = self.install("--dry-run", "--runner", a)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("would change .env", done.stdout)
        self.assertNotIn("FOO", done.stdout)
        self.assertEqual(read_env(a), ENV)
        self.assertEqual(os.listdir(self.prefix), ["units"])
        self.assertEqual(os.listdir(self.prefix + "/units"), [])

    def test_what_is_refused_changes_nothing(self):
        a = make_runner(self.path("a"), b"ACTIONS_RUNNER_REQUIRE_JOB_CONTAINER=true\n")
        b = make_runner(self.path("b"))
        os.symlink("/etc/passwd", os.path.join(b, ".env"))
        os.mkdir(self.path("c"))
        for name, word in (("a", "REQUIRE_JOB_CONTAINER"), ("b", "symbolic link"), ("c", "bin/Runner.Worker"),
                           ("d", "no such directory")):
            done = self.install("--runner", self.path(name))
            self.assertNotEqual(done.returncode, 0, name)
            self.assertIn(word, done.stderr)
        self.assertEqual(read_env(a), b"ACTIONS_RUNNER_REQUIRE_JOB_CONTAINER=true\n")
        self.assertEqual(os.listdir(self.prefix), ["units"])

    def test_programs_in_the_runners_directory_are_refused(self):
        a = make_runner(self.path("a"))
        done = self.call(hub.TOP + "/scripts/install", "--build", hub.build_dir(), "--prefix", a + "/x", "--runner", a)
        self.assertNotEqual(done.returncode, 0)

    def test_a_foreign_owner_on_the_way_is_refused(self):
        os.chown(self.prefix, UID, UID)
        done = self.install()
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("must be root's", done.stderr)
