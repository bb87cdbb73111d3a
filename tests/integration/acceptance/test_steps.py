# SPDX-License-Identifier: Apache-2.0
"""What a step is and sees: container, commands, status, streams, environment, files."""

import os

from flow import RigCase, flow, run

SECRET = "host-only-5f1d"

STATUS = flow(
    run("exit", "exit 37", **{"continue-on-error": True}),
    run("kill", "kill -9 $$", **{"continue-on-error": True}),
    run("term", "kill -TERM $$", **{"continue-on-error": True}),
    run("cat", "cat; echo end"),
    run("missing", "no-such-program-here", **{"continue-on-error": True}),
    # SIGPIPE is ignored in what the Worker starts, so yes fails.
    run("pipe", "yes 2> /dev/null | head -n 1", shell="bash", **{"continue-on-error": True}),
    run("pipefail", "false | true", shell="bash", **{"continue-on-error": True}),
    run("python", "import sys; print(sys.stdin.read() == ''); sys.exit(5)", shell="python",
        **{"continue-on-error": True}),
    run("custom", "print 6*7, qq(\\n)", shell="perl {0}"),
    run("tty", "test ! -t 0 && test ! -t 1 && test ! -t 2"),
    run("folder", "pwd", **{"working-directory": "sub"}),
    run("last", "false"),
    run("skipped", "echo never"),
    run("always", "echo always", **{"if": "always()"}),
    run("failure", "echo failure", **{"if": "failure()"}),
    files={"sub/x": ""})

COMMANDS = flow(
    run("set", """
echo "one=1" >> "$GITHUB_OUTPUT"
printf 'two<<EOF\\na\\nb\\nEOF\\n' >> "$GITHUB_OUTPUT"
echo "COLOUR=green" >> "$GITHUB_ENV"
mkdir -p tools; printf '#!/bin/sh\\necho tool ran\\n' > tools/tool; chmod +x tools/tool
echo "$PWD/tools" >> "$GITHUB_PATH"
echo "# Summary" >> "$GITHUB_STEP_SUMMARY"
echo "::add-mask::hide-me-please"
echo "::notice::noted"
""", id="set"),
    run("seen", """
echo "one=$ONE"
echo "two=$(echo "$TWO" | tr '\\n' ,)"
echo "colour=$COLOUR"
tool
echo "said hide-me-please"
""", env={"ONE": "${{ steps.set.outputs.one }}", "TWO": "${{ steps.set.outputs.two }}"}),
    run("git", """
git init -q . && git -c user.email=a@b -c user.name=n commit -q --allow-empty -m first
git log --format=%s
mkdir -p deep/er; echo text > deep/er/file; mknod deep/fifo p; ln -s /etc/passwd deep/link
[ "$(id -u)" != 0 ] || chown 33:44 deep/er/file
umask
"""),
    run("owners", "stat -c '%n=%u:%g' deep/er deep/er/file \"$RUNNER_TEMP\" ."))

BYTES = flow(
    run("long", "head -c 67108864 /dev/zero | tr '\\0' x"),
    run("lines", "seq 1000000"),
    run("binary", "head -c 256 /dev/urandom > b; "
                  "perl -e 'print map { chr } 1..9, 11, 12, 14..126' ; echo; printf 'a\\0b\\n'"),
    run("no newline", "printf 'no newline'"),
    run("both", "for i in 1 2 3; do echo out$i; echo err$i >&2; done"))

STDOUT = """
echo one | tee /dev/stdout | sort | uniq -c | sed 's/^ *//'
echo two > /dev/stdout
echo three >> /proc/self/fd/1
echo four | tee /dev/stderr > /dev/null
echo five > /dev/stderr
id -u
"""

INSIDE = flow(
    run("who", """
echo "host=$(hostname)"
echo "init=$(tr '\\0' ' ' < /proc/1/cmdline)"
echo "uid=$(id -u)"
echo "processes=$(ls -d /proc/[0-9]* | wc -l)"
echo "oom=$(cat /proc/self/oom_score_adj)"
echo "init_oom=$(cat /proc/1/oom_score_adj)"
echo "pipe=$(grep -h SigIgn /proc/self/status | cut -f 2)"
echo "nnp=$(grep NoNewPrivs /proc/self/status | cut -f 2)"
echo "core=$(ulimit -Hc)"
echo "caps=$(grep CapBnd /proc/self/status | cut -f 2)"
"""),
    run("fds", "for i in 0 1 2; do readlink /proc/self/fd/$i; done; ls /proc/self/fd"),
    run("environment", "env"),
    run("files", """
root=$(readlink -f "$GITHUB_WORKSPACE/../../..")
can() {
  if ( : > "$1/try" ) 2>/dev/null; then rm -f "$1/try"; echo "$2=rw"
  elif [ -e "$1" ]; then echo "$2=ro"; else echo "$2=no"; fi
}
can "$GITHUB_WORKSPACE" workspace
can "$RUNNER_WORKSPACE" repo
can "$RUNNER_TEMP" temp
can "$root/_work/_actions" actions
can "$root/externals" externals
can "$root/bin/hashFiles" hashFiles
can "$RUNNER_TEMP/_github_workflow" event
can "$RUNNER_TOOL_CACHE" tools
can "$root/_diag" diag
can "$root/_work/other" other
echo "root=$(ls -A "$root" | tr '\\n' ' ')"
echo "work=$(ls -A "$root/_work" | tr '\\n' ' ')"
echo "bin=$(ls -A "$root/bin" | tr '\\n' ' ')"
echo "canaries=$(grep -rl runner-can''ary "$root" 2>/dev/null | grep -v '^$' | wc -l)"
echo "socket=$(find / -xdev -name 'docker.sock' 2>/dev/null | wc -l)$(find / -xdev -name 'broker.sock' 2>/dev/null | wc -l)"
grep -q ref "$GITHUB_EVENT_PATH" && echo event_read=yes
"""),
    run("agent", "ls /.runnerhub; cat /proc/1/environ | wc -c; ls /proc/1/fd | wc -l", shell="bash {0}"),
    run("tools", "cat \"$RUNNER_TOOL_CACHE/lower\"; echo mine > \"$RUNNER_TOOL_CACHE/mine\"; "
                 "echo changed > \"$RUNNER_TOOL_CACHE/lower\"; ls \"$RUNNER_TOOL_CACHE\""))

NEXT = flow(run("tools", "ls \"$RUNNER_TOOL_CACHE\"; cat \"$RUNNER_TOOL_CACHE/lower\""),
            run("checkout", "ls -A; touch fresh; rm -rf ../demo/* && ls -A"),
            run("temp", "ls \"$RUNNER_TEMP\"; ls -A /tmp"))


def give(root, uid):
    for base, directories, files in os.walk(root):
        for name in [".", *directories, *files]:
            os.lchown(os.path.join(base, name), uid, uid)


def foreign(root, uid):
    """Files below a runner's work directory that are not its user's; the broker's own folder aside."""
    found = []
    for base, directories, files in os.walk(os.path.join(root, "_work")):
        if "_runnerhub" in directories:
            directories.remove("_runnerhub")
        for name in directories + files:
            path = os.path.join(base, name)
            if os.lstat(path).st_uid != uid:
                found.append(path)
    return found


class Steps(RigCase):
    RUNNERS = {"root": 0, "other": 12345, "bytes": 0, "user": (0, "user"), "runner": (12345, "runner")}

    @classmethod
    def begin(cls):
        rig, soon = cls.rig, cls.rig.soon
        for name in ("root", "other"):
            tools = os.path.join(rig.roots[name], "_work/_tool")
            os.makedirs(tools)
            os.makedirs(os.path.join(rig.roots[name], "_work/other/other"))
            with open(os.path.join(tools, "lower"), "w", encoding="utf-8") as f:
                f.write("lower\n")
            give(os.path.join(rig.roots[name], "_work"), rig.wanted[name][0])
        cls.plain_bytes = soon(rig.plain, BYTES, "--quiet")
        cls.bytes = soon(rig.go, BYTES, "bytes", "--quiet")
        cls.status = {n: soon(rig.go, STATUS, n) for n in ("root", "other", "user", "runner")}
        cls.plain_status = soon(rig.plain, STATUS)
        cls.commands = {n: soon(rig.go, COMMANDS, n) for n in ("root", "other", "user", "runner")}
        cls.plain_commands = soon(rig.plain, COMMANDS)
        cls.stdout = {n: soon(rig.go, flow(run("tee", STDOUT)), n) for n in ("root", "other", "user", "runner")}
        env = {**rig.env, "HOST_SECRET": SECRET, "XDG_RUNTIME_DIR": "/run/xyz", "CI": "yes",
               "PATH": rig.env["PATH"] + ":/host/only"}
        cls.inside = {n: soon(rig.go, INSIDE, n, env=env) for n in ("root", "other")}

    def test_status(self):
        plain = self.plain_status.result()

        def check(name, ran):
            self.assertEqual(ran.results(), plain.results(), ran.text)
            self.assertEqual(ran.code, 1)
            self.assertEqual([ran.step(s)["exit_code"] for s in ("exit", "kill", "term", "cat", "missing", "python")],
                             [37, 137, 143, 0, 127, 5], ran.text)
            self.assertEqual(ran.out("cat"), "end")
            self.assertLess(ran.step("cat")["ms"], 4000)
            self.assertEqual(ran.lines("custom"), ["42"])
            self.assertTrue(ran.out("folder").endswith("/_work/demo/demo/sub"))
            self.assertEqual(ran.step("skipped")["conclusion"], "skipped")
            self.assertEqual(ran.out("always"), "always")

        self.each(check, self.status)

    def test_commands_and_owners(self):
        plain = self.plain_commands.result()

        def check(name, ran):
            self.assertEqual(ran.conclusion, "success", ran.text)
            self.assertEqual(ran.lines("seen"), plain.lines("seen"))
            self.assertEqual(ran.lines("seen"), ["one=1", "two=a,b,", "colour=green", "tool ran", "said ***"])
            self.assertEqual(ran.lines("git"), ["first", "0022"])

        self.each(check, self.commands)

    def test_bytes_are_those_of_a_plain_runner(self):
        plain, ran = self.plain_bytes.result(), self.bytes.result()
        self.assertEqual(ran.results(), plain.results())
        for step in ("long", "lines", "binary", "no newline", "both"):
            a, b = ran.step(step), plain.step(step)
            self.assertEqual((a["stdout_bytes"], a["stderr_bytes"]), (b["stdout_bytes"], b["stderr_bytes"]), step)
            # The two streams of a step have no common order.
            self.assertEqual(sorted(a["log"]), sorted(b["log"]), step)
        self.assertEqual(ran.step("long")["stdout_bytes"], 64 << 20)

    def test_dev_stdout(self):
        def check(name, ran):
            self.assertEqual(ran.conclusion, "success", ran.text)
            uid = {"user": "1001", "runner": "12345"}.get(name, "0")
            self.assertEqual(sorted(ran.lines("tee")), sorted(["2 one", "two", "three", "four", "five", uid]))

        self.each(check, self.stdout)

    def test_inside(self):
        def check(name, ran):
            self.assertEqual(ran.conclusion, "success", ran.text)
            who = ran.values("who")
            self.assertNotEqual(who["host"], os.uname().nodename)
            self.assertEqual(who["init"].strip(), "/.runnerhub/agent")
            self.assertEqual(who["uid"], "0")
            self.assertLess(int(who["processes"]), 12)
            self.assertEqual(who["oom"], "500")
            self.assertLess(int(who["init_oom"]), 500)
            self.assertTrue(int(who["pipe"], 16) & 1 << 12, "SIGPIPE is ignored")
            self.assertEqual(who["nnp"], "1")
            self.assertEqual(who["core"], "0")
            for capability in (13, 18, 21, 27, 29):  # NET_RAW SYS_CHROOT SYS_ADMIN MKNOD AUDIT_WRITE
                self.assertFalse(int(who["caps"], 16) & 1 << capability, capability)

        self.each(check, self.inside)

    def test_descriptors(self):
        def check(name, ran):
            lines = ran.lines("fds")
            self.assertTrue(all(line.startswith("pipe:") for line in lines[:3]), lines)
            # ls has the directory open beside its three.
            self.assertEqual(lines[3:], ["0", "1", "2", "3"])

        self.each(check, self.inside)

    def test_environment(self):
        def check(name, ran):
            env = ran.values("environment")
            self.assertNotIn(SECRET, ran.text)
            for gone in ("HOST_SECRET", "XDG_RUNTIME_DIR", "LD_PRELOAD", "ACTIONS_RUNNER_HOOK_JOB_STARTED",
                         "ACTIONS_RUNNER_HOOK_JOB_COMPLETED", "USER", "LOGNAME"):
                self.assertNotIn(gone, env)
            self.assertFalse([k for k in env if k.startswith("RUNNERHUB_")])
            self.assertEqual(env["HOME"], "/root")
            self.assertEqual(env["PATH"], "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            self.assertEqual(env["CI"], "yes")
            self.assertEqual(env["GITHUB_ACTIONS"], "true")
            self.assertEqual(env["GITHUB_REPOSITORY"], "octo/demo")
            self.assertEqual(env["RUNNER_NAME"], name)
            self.assertEqual(env["LANG"], "C.UTF-8")
            self.assertTrue(env["RUNNER_TRACKING_ID"].startswith("github_"))

        self.each(check, self.inside)

    def test_files(self):
        def check(name, ran):
            files = ran.values("files")
            for place in ("workspace", "repo", "temp", "tools"):
                self.assertEqual(files[place], "rw", place)
            for place in ("actions", "externals", "hashFiles", "event"):
                self.assertEqual(files[place], "ro", place)
            for place in ("diag", "other"):
                self.assertEqual(files[place], "no", place)
            self.assertEqual(files["root"].split(), ["_work", "bin", "externals"])
            self.assertEqual(files["work"].split(), ["_actions", "_temp", "_tool", "demo"])
            self.assertEqual(files["bin"].split(), ["hashFiles"])
            self.assertEqual(files["canaries"], "0")
            self.assertEqual(files["socket"], "00")
            self.assertEqual(files["event_read"], "yes")

        self.each(check, self.inside)

    def test_next_job_finds_nothing_of_the_last(self):
        def check(name, ran):
            self.assertEqual(ran.lines("tools"), ["lower", "lower", "mine"])
            again = self.rig.go(NEXT, name)
            self.assertEqual(again.conclusion, "success", again.text)
            self.assertEqual(again.lines("tools"), ["lower", "lower"])
            self.assertEqual(again.lines("checkout"), [])
            self.assertEqual([x for x in again.lines("temp") if not x.endswith(".sh")],
                             ["_github_workflow", "_runner_file_commands"])
            self.assertEqual(os.listdir(os.path.join(self.rig.roots[name], "_work/_tool")), ["lower"])

        self.each(check, self.inside)

    def test_no_foreign_file_is_left(self):
        for runs in (self.commands, self.status, self.stdout):
            for future in runs.values():
                future.result()
        for name, (uid, _) in self.rig.wanted.items():
            self.assertEqual(foreign(self.rig.roots[name], uid), [])
