# SPDX-License-Identifier: Apache-2.0
"""JavaScript and composite actions, local and from archives, hashFiles; after an update, too."""

import hashlib
import json
import os

from flow import RigCase, flow, run

HELPER = """
const fs = require("fs"), os = require("os");
exports.say = what => console.log(what + " in " + (os.hostname() === process.env.HERE ? "container" : "other") + " " +
    (process.env.STATE_mark || "-") + " " + (process.env.INPUT_WORD || ""));
exports.save = () => fs.appendFileSync(process.env.GITHUB_STATE, "mark=kept\\n");
exports.output = (k, v) => fs.appendFileSync(process.env.GITHUB_OUTPUT, `${k}=${v}\\n`);
"""


def javascript(using="node20"):
    """The files of an action with pre, main and post."""
    manifest = {"name": "js", "inputs": {"word": {"default": "none"}}, "outputs": {"said": {"description": "x"}},
                "runs": {"using": using, "pre": "pre.js", "main": "main.js", "post": "post.js"}}
    return {"action.yml": json.dumps(manifest), "h.js": HELPER,
            "pre.js": 'require("./h").say("pre"); require("./h").save()',
            "main.js": 'const h = require("./h"); h.say("main"); h.output("said", process.env.INPUT_WORD.toUpperCase())',
            "post.js": 'require("./h").say("post")'}


COMPOSITE = {"action.yml": json.dumps({
    "name": "composite", "inputs": {"who": {"required": True}},
    "outputs": {"greeting": {"value": "${{ steps.greet.outputs.greeting }}"}},
    "runs": {"using": "composite", "steps": [
        {"id": "greet", "shell": "bash", "run": 'echo "greeting=hello ${{ inputs.who }}" >> "$GITHUB_OUTPUT"'},
        {"shell": "bash", "run": "\"$GITHUB_ACTION_PATH/script.sh\""},
        {"uses": "octo/tool@v2", "with": {"word": "inner"}}]}}),
    "script.sh": {"mode": "755", "content": "#!/bin/sh\necho script on $(hostname)\n"}}

FILES = {**{"js/" + k: v for k, v in javascript().items()}, **{"comp/" + k: v for k, v in COMPOSITE.items()},
         "a/lock": "one", "b/lock": "two"}

STEPS = (
    run("here", 'echo "HERE=$(hostname)" >> "$GITHUB_ENV"; hostname'),
    {"name": "local", "id": "local", "uses": "./js", "with": {"word": "loud"}},
    {"name": "remote", "id": "remote", "uses": "octo/tool@v1", "with": {"word": "far"}},
    {"name": "composite", "id": "composite", "uses": "./comp", "with": {"who": "world"}},
    run("outputs", 'echo "${{ steps.local.outputs.said }} ${{ steps.remote.outputs.said }} '
                   '${{ steps.composite.outputs.greeting }}"'),
    run("hash", "echo ${{ hashFiles('**/lock') }}"))
PLAIN = flow(*STEPS, files=FILES)
# What differs inside: a link leads to the container's file, and nobody writes to _actions.
ACTIONS = flow(*STEPS,
               run("link", "ln -s /etc/hostname host-lock; sha256sum < /etc/hostname"),
               run("hash link", "echo ${{ hashFiles('host-lock') }}"),
               run("actions", "ls \"$RUNNER_TEMP/../_actions/octo/tool\"; "
                              "! touch \"$RUNNER_TEMP/../_actions/x\" 2> /dev/null"),
               files=FILES)


def lay(place, files):
    for name, value in files.items():
        path = os.path.join(place, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(value if isinstance(value, str) else value["content"])
        os.chmod(path, 0o755 if not isinstance(value, str) else 0o644)


class Actions(RigCase):
    RUNNERS = {"root": 0, "other": 12345, "user": (0, "user"), "versioned": 12345}

    @classmethod
    def begin(cls):
        rig = cls.rig
        store = os.path.join(rig.place, "store")
        for ref in ("v1", "v2"):
            lay(os.path.join(store, "octo/tool", ref), javascript())
        cls.runs = {n: rig.soon(rig.go, ACTIONS, n, "--actions", store) for n in ("root", "other", "user")}
        cls.plain = rig.soon(rig.plain, PLAIN, "--actions", store)
        # As after an update: bin and externals are links to the new version's.
        root = rig.roots["versioned"]
        for name in ("bin", "externals"):
            os.rename(os.path.join(root, name), os.path.join(root, name + ".9.9.9"))
            os.symlink(name + ".9.9.9", os.path.join(root, name))
        cls.runs["versioned"] = rig.soon(rig.go, ACTIONS, "versioned", "--actions", store)

    def test_like_on_a_runner_as_it_comes(self):
        plain = self.plain.result()
        self.assertEqual(plain.conclusion, "success", plain.text)

        def check(_, ran):
            inside = [row for row in ran.results() if row[0] not in ("link", "hash link", "actions")]
            self.assertEqual(inside, plain.results())

        self.each(check, self.runs)

    def test_pre_main_post_in_the_container(self):
        def check(_, ran):
            self.assertEqual(ran.conclusion, "success")
            self.assertNotEqual(ran.out("here"), os.uname().nodename)
            self.assertEqual(ran.lines("local")[-1], "main in container - loud")
            self.assertEqual(ran.lines("remote")[-1], "main in container kept far")
            self.assertEqual(ran.lines("outputs"), ["LOUD FAR hello world"])
            self.assertIn("script on " + ran.out("here"), ran.text)
            # A local action has no pre, nor has what a composite one uses once the job runs.
            self.assertEqual(ran.text.count("post in container"), 3)
            self.assertEqual(ran.text.count("pre in "), 1)
            self.assertEqual(ran.lines("actions")[:2], ["v1", "v1.completed"])

        self.each(check, self.runs)

    def test_hash_files(self):
        digests = b"".join(hashlib.sha256(x).digest() for x in (b"one", b"two"))
        expected = hashlib.sha256(digests).hexdigest()

        def check(_, ran):
            self.assertEqual(ran.lines("hash"), [expected])
            # A link is followed inside: the container's own file, not the host's.
            inside = bytes.fromhex(ran.out("link").split()[0])
            self.assertEqual(ran.out("hash link"), hashlib.sha256(inside).hexdigest())

        self.each(check, self.runs)
