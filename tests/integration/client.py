# SPDX-License-Identifier: Apache-2.0
"""A raw client of broker.sock, and a Worker of a registered runner that starts it.

The Worker is Python itself under the name bin/Runner.Worker: the broker takes its children for a
runner's. What runs in it, and in its children, are functions of a module of the tests.

Source: include/runnerhub/wire.h, include/runnerhub/block.h
"""

import contextlib
import fcntl
import importlib
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))

MAGIC, BLOCK_MAGIC = 0x31424852, 0x314B4252
JOB_STARTED, JOB_COMPLETED, STEP, HOST_HOOK_DONE = 2, 3, 4, 5
TEXT, DONE, REFUSED = 16, 18, 19
READY, GO, SIGNAL, EXIT = 64, 65, 66, 67
HEAD = struct.Struct("=IHHII")


def constant(name):
    """A number of wire.h."""
    with open(os.path.join(TOP, "include/runnerhub/wire.h"), encoding="utf-8") as file:
        return int(re.search(rf"#define {name}\s+(\d+)u", file.read())[1])


VERSION = constant("RH_WIRE_VERSION")


def packet(kind, body=b"", magic=MAGIC, version=VERSION, size=None):
    return HEAD.pack(magic, version, kind, 0, len(body) if size is None else size) + body


def dial(run, name="broker.sock", kind=socket.SOCK_SEQPACKET):
    s = socket.socket(socket.AF_UNIX, kind)
    s.settimeout(30)
    s.connect(os.path.join(run, name))
    return s


def tell(s, kind, body=b"", fds=(), version=VERSION):
    socket.send_fds(s, [packet(kind, body, version=version)], list(fds))


def hear(s):
    """(kind, version, body); kind is None at the end."""
    try:
        data = s.recv(8192)
    except ConnectionResetError:
        data = s.recv(8192)  # told once, of a peer that left something unread
    if not data:
        return None, None, b""
    return HEAD.unpack(data[:16])[2], HEAD.unpack(data[:16])[1], data[16:]


def memfd(data, seals=15):
    fd = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def block(argv=(), env=(), path="", cwd="", **header):
    """The bytes of a block; a header's field can be made wrong by its name."""
    strings = b"".join(s.encode() + b"\0" for s in (path, cwd, *argv, *env))
    fields = {"magic": BLOCK_MAGIC, "flags": 0, "n_args": len(argv), "n_envs": len(env), "umask": 0o22, "oom": 0,
              "stack": 8 << 20, "ignored": 0, "size": len(strings), **header}
    return struct.pack("=IIIIIiQQQ", *fields.values()) + strings


def job_environment(root):
    work = os.path.join(root, "_work")
    return {"GITHUB_WORKSPACE": f"{work}/demo/demo", "RUNNER_TEMP": f"{work}/_temp", "GITHUB_REPOSITORY": "octo/demo",
            "GITHUB_JOB": "raw", "GITHUB_RUN_ID": "7", "RUNNER_TOOL_CACHE": f"{work}/_tool"}


def strings(environment):
    return [f"{k}={v}" for k, v in environment.items()]


class Runner:
    """A runner's directory whose Worker is Python. As root: its steps are checked by what they write."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="rh-raw-", dir="/var/tmp")
        os.chmod(self.root, 0o755)
        os.mkdir(os.path.join(self.root, "bin"))
        for name in ("demo/demo", "_temp", "_actions", "_tool"):
            os.makedirs(os.path.join(self.root, "_work", name))
        shutil.copy(os.path.realpath(sys.executable), os.path.join(self.root, "bin/Runner.Worker"))

    def remove(self):
        shutil.rmtree(self.root)

    def worker(self, instance, module, function, *arguments, **more):
        """Starts a Worker that runs a function of a module; its output is the function's result as JSON."""
        return subprocess.Popen(
            [os.path.join(self.root, "bin/Runner.Worker"), os.path.join(HERE, "client.py"), module, function,
             json.dumps(arguments)], stdout=subprocess.PIPE, text=True, cwd=self.root,
            env={"PATH": os.environ["PATH"], "PYTHONHOME": sys.base_prefix, "PYTHONPATH": HERE,
                 "PYTHONDONTWRITEBYTECODE": "1", "RH_ROOT": self.root, "RH_RUN": os.path.join(instance.dir, "run"),
                 "RH_PYTHON": os.path.realpath(sys.executable), "RH_LIBEXEC": instance.env["RUNNERHUB_LIBEXEC"]}, **more)

    def result(self, *arguments):
        process = self.worker(*arguments)
        output = process.communicate(timeout=120)[0]
        if process.returncode != 0:
            raise AssertionError(f"the Worker ended with {process.returncode}: {output}")
        return json.loads(output)


# -- in the Worker --


def child(function, *arguments):
    """Runs a function in a child, as a hook or a step is; its result."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            os.close(ours)
            try:
                value = function(*arguments)
            except Exception as e:  # pylint: disable=broad-except
                value = {"error": repr(e)}
            os.write(theirs, json.dumps(value).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as file:
        text = file.read()
    os.waitpid(pid, 0)
    return json.loads(text) if text else None


def main():
    module, function, arguments = sys.argv[1:]
    print(json.dumps(getattr(importlib.import_module(module), function)(*json.loads(arguments))))


if __name__ == "__main__":
    main()
