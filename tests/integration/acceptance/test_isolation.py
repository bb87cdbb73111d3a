# SPDX-License-Identifier: Apache-2.0
"""Two jobs at once, other images, leftovers, and what runnerhub says of it all."""

import os
import shutil

import hub
from flow import RigCase, flow, run

# Each serves on its address and looks for the other for as long as that one serves.
BESIDE = """
echo "$MARK" > "$RUNNER_TEMP/mine"; echo "$MARK" > mine; echo "$MARK" > /tmp/mine
(exec -a "process-$MARK" sleep 60) > /dev/null 2>&1 &
cd "$RUNNER_TEMP"; python3 -m http.server 8123 > /dev/null 2>&1 &
sleep 5
me=$(hostname -i); net=${me%.*}
echo "address=$me"; echo "host=$(hostname)"
timeout 5 bash -c "exec 3<> /dev/tcp/$me/8123" && echo "self=reached"
for i in $(seq 2 60); do
  [ "$net.$i" = "$me" ] || (timeout 2 bash -c "exec 3<> /dev/tcp/$net.$i/8123" 2> /dev/null && echo "reached=$net.$i") &
  tests="$tests $!"
done
wait $tests || :
sleep 3
echo "mine=$(cat /tmp/mine "$RUNNER_TEMP/mine" "$GITHUB_WORKSPACE/mine" | tr '\\n' ' ')"
echo "processes=$(ps -eo args | grep -o '^process-[a-z]*' | tr '\\n' ' ')"
"""


def beside(mark):
    return flow(run("beside", BESIDE, shell="bash --noprofile --norc {0}"), env={"MARK": mark})


LEAVE = flow(run("leave", """
mkdir -p deep/er && echo x > deep/er/file && chmod 500 deep && ln -s /etc/passwd link && mknod fifo p
echo x > ../beside && echo x > "$RUNNER_TEMP/left" && echo x > /tmp/left && chown 77:88 link
ls -A
"""))
CLEAN = flow(run("clean", 'ls -A . ..; ls -A "$RUNNER_TEMP" | grep -v "[.]sh$"; ls -A /tmp; '
                          'git init -q . && git status --short'))
MUSL = flow(run("shell", "cat /etc/hostname > h; echo \"$0 $(id -u)\"; test -e /lib/ld-musl-x86_64.so.1; "
                         "echo out=1 >> \"$GITHUB_OUTPUT\"", id="shell", shell="sh {0}"),
            run("seen", "echo ${{ steps.shell.outputs.out }}", shell="sh {0}"),
            run("none", "true", shell="python {0}"))
FIVE = flow(run("one", "echo 1", id="one"),
            run("cpu", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; perl -e '$x = \"a\" x 60_000_000'"),
            run("five", "exit 5"))


class Isolation(RigCase):
    RUNNERS = {"a": 0, "b": 12345, "musl": (0, "musl"), "empty": (12345, "empty"), "left": 12345, "swap": 0,
               "cli": 0, "warm": 12345}

    @classmethod
    def begin(cls):
        rig, soon = cls.rig, cls.rig.soon
        cls.beside = {n: soon(rig.go, beside(mark), n) for n, mark in (("a", "left"), ("b", "right"))}
        cls.left = soon(rig.go, LEAVE, "left")
        cls.musl = soon(rig.go, MUSL, "musl")
        cls.workspace = os.path.join(rig.place, "static")
        os.mkdir(cls.workspace)
        shutil.copy("/bin/busybox", os.path.join(cls.workspace, "busybox"))
        box = os.path.join(rig.roots["empty"], "_work/demo/demo/busybox")
        cls.empty = soon(rig.go, flow(
            run("static", "b=$GITHUB_WORKSPACE/busybox; $b id -u; $b ls /; echo out=1 >> \"$GITHUB_OUTPUT\"; exit 9",
                shell=box + " sh {0}", **{"continue-on-error": True}),
            run("none", "true", shell="bash")), "empty", "--workspace", cls.workspace)
        cls.cli = soon(rig.go, FIVE, "cli")

    def test_two_at_once(self):
        """They overlap, have the same names, and neither finds the other."""
        runs = {name: future.result() for name, future in self.beside.items()}
        for name, mark in (("a", "left"), ("b", "right")):
            done = runs[name]
            seen = done.values("beside")
            self.assertEqual(done.conclusion, "success", done.text)
            self.assertEqual(seen["self"], "reached", done.text)
            self.assertNotIn("reached", seen, done.text)
            self.assertEqual(seen["mine"].split(), [mark] * 3)
            self.assertEqual(seen["processes"].split(), ["process-" + mark])
        jobs = [self.rig.job(name) for name in ("a", "b")]
        self.assertLess(jobs[0]["leasedMs"], jobs[1]["endedMs"])
        self.assertLess(jobs[1]["leasedMs"], jobs[0]["endedMs"])
        self.assertNotEqual(jobs[0]["container"], jobs[1]["container"])
        a, b = (runs[n].values("beside")["address"] for n in "ab")
        self.assertNotEqual(a, b)

    def test_musl(self):
        done = self.musl.result()
        self.assertEqual(done.step("shell")["outcome"], "success", done.text)
        self.assertTrue(done.out("shell").endswith(" 0"))
        self.assertEqual(done.out("seen"), "1")
        self.assertEqual(done.step("none")["exit_code"], 127)

    def test_empty(self):
        done = self.empty.result()
        self.assertEqual(done.step("static")["exit_code"], 9, done.text)
        self.assertEqual(done.lines("static")[0], "0")
        self.assertNotIn("bin", done.lines("static"))
        self.assertEqual(done.step("none")["exit_code"], 127)
        self.assertIn("not found", done.out("none"))

    def test_nothing_is_left_for_the_next(self):
        self.assertEqual(self.left.result().conclusion, "success", self.left.result().text)
        root = self.rig.roots["left"]
        self.assertFalse(os.path.exists(os.path.join(root, "_work/demo/beside")))
        done = self.rig.go(CLEAN, "left")
        self.assertEqual(done.conclusion, "success", done.text)
        self.assertEqual(done.lines("clean"), [".:", "", "..:", "demo", "_github_workflow", "_runner_file_commands"])
        # What was set aside is deleted behind the jobs' back.
        trash = os.path.join(root, "_work/_runnerhub/trash")
        hub.wait_until(lambda: not os.path.isdir(trash) or not os.listdir(trash), what="the trash is empty")

    def test_what_nobody_has_scrubbed_is_swapped(self):
        """The marker of a job that no broker saw the end of, and what it has left."""
        work = os.path.join(self.rig.roots["swap"], "_work")
        os.makedirs(os.path.join(work, "demo/demo/old"))
        os.makedirs(os.path.join(work, "_temp/old"))
        os.mkdir(os.path.join(work, "_runnerhub"), 0o700)
        with open(os.path.join(work, "_runnerhub/leased-demo"), "w", encoding="utf-8"):
            pass
        done = self.rig.go(flow(run("look", 'ls -A; ls -A "$RUNNER_TEMP"')), "swap")
        self.assertEqual(done.conclusion, "success", done.text)
        self.assertNotIn("old", done.lines("look"))

    def test_a_trusted_job_fills_the_tool_cache(self):
        """Once, and only the job that root has named."""
        put = flow(run("put", 'mkdir -p "$RUNNER_TOOL_CACHE/t/$NAME"; ls "$RUNNER_TOOL_CACHE/t"'))
        cache = os.path.join(self.rig.roots["warm"], "_work/_tool/t")

        def job(name):
            return self.rig.go(put.replace("$NAME", name), "warm")

        self.assertEqual(job("before").lines("put"), ["before"])
        self.assertFalse(os.path.exists(cache))
        self.rig.cli("toolcache", "warm", "--runner", "warm", "--repository", "octo/demo")
        self.assertEqual(job("trusted").lines("put"), ["trusted"])
        self.assertEqual(os.stat(os.path.join(cache, "trusted")).st_uid, 12345)
        self.assertEqual(job("after").lines("put"), ["after", "trusted"])
        self.assertEqual(os.listdir(cache), ["trusted"])
        self.rig.cli("toolcache", "warm", "--runner", "warm", "--repository", "octo/other")
        self.assertEqual(job("other").lines("put"), ["other", "trusted"])
        self.assertEqual(os.listdir(cache), ["trusted"])
        refused = self.rig.run("runnerhub", "toolcache", "warm", "--runner", "none", "--repository", "octo/demo")
        self.assertEqual(refused.returncode, 1, refused.stderr)

    def test_what_runnerhub_says(self):
        done = self.cli.result()
        self.assertEqual(done.conclusion, "failure", done.text)
        job = self.rig.job("cli")
        for key, value in {"state": "ended", "runner": "cli", "profile": "debian", "repository": "octo/demo",
                           "workflow": "acceptance", "jobKey": "job", "runId": "3000", "runAttempt": "1",
                           "eventName": "push", "actor": "octocat"}.items():
            self.assertEqual(job[key], value, key)
        self.assertLessEqual(job["createdMs"], job["leasedMs"])
        self.assertLess(job["leasedMs"], job["endedMs"])
        self.assertGreater(job["startUs"], 0)
        steps = job["steps"]
        self.assertEqual([(s["program"], s["exitCode"], s["signal"]) for s in steps],
                         [("bash", 0, 0), ("bash", 0, 0), ("bash", 5, 0)])
        self.assertEqual(steps[0]["label"], "one")
        self.assertGreater(steps[1]["userUs"], 50000)
        self.assertGreater(steps[1]["peakRssKib"], 55000)
        self.assertLess(steps[0]["peakRssKib"], 20000)
        for step in steps:
            self.assertGreater(step["wallUs"], 0)
            self.assertLessEqual(step["startedMs"], step["endedMs"])
        self.assertEqual([e["kind"] for e in job["events"]], ["job.coming", "job.started", "job.ended"])
        self.assertEqual([e["job"] for e in job["events"]], [job["id"]] * 3)
        kinds = [e["kind"] for e in self.rig.cli("events", "--job", job["id"])]
        self.assertEqual(kinds, ["job.coming", "job.started", "job.ended"])

        isolation = self.rig.cli("jobs", "show", job["id"], "--isolation")
        self.assertEqual(isolation["verdict"], "")
        forced = isolation["data"]
        self.assertNotIn("NET_RAW", forced["privileges"]["capabilitiesBounding"])
        self.assertTrue(forced["privileges"]["noNewPrivileges"])
        self.assertEqual(forced["privileges"]["seccomp"], "filter")
        self.assertEqual(forced["limits"]["coreBytes"], 0)
        self.assertEqual(forced["limits"]["pids"], 512)
        self.assertEqual({forced["namespaces"][n] for n in ("mount", "pid", "ipc", "uts", "network", "cgroup")},
                         {"own"})
        self.assertIn("ro", {m["target"]: m["options"].split(",")[0] for m in forced["mounts"]}["/proc/sys"])
        self.assertEqual(len(forced["network"]["interfaces"]), 2)

        status = self.rig.cli("status")
        self.assertTrue(status["engine"]["up"])
        self.assertEqual(status["broker"]["pid"], int(self.rig.broker("pid")))
        self.assertEqual({p["profile"] for p in status["pools"]}, {"debian", "user", "runner", "musl", "empty"})
        self.assertEqual({r["name"]: r["profile"] for r in status["runners"]}["musl"], "musl")
        self.assertIn("cli", {j["runner"] for j in self.rig.cli("jobs", "--repository", "octo/demo")})
        hub.wait_until(lambda: job["container"] not in {c["instance"] for c in self.rig.cli("containers")},
                       what="the container is gone")
        for words in (("status",), ("jobs",), ("jobs", "show", job["id"]), ("containers",), ("events",)):
            shown = self.rig.run("runnerhub", *words)
            self.assertEqual(shown.returncode, 0, shown.stderr)
            self.assertTrue(shown.stdout.strip())
            self.assertNotIn("\x1b", shown.stdout)
