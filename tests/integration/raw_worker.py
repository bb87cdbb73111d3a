# SPDX-License-Identifier: Apache-2.0
"""What Workers of tests do (see client.py); each public function is a Worker's whole life."""

import contextlib
import os
import socket
import struct
import subprocess
import time

from client import (DONE, EXIT, GO, HOST_HOOK_DONE, JOB_COMPLETED, JOB_STARTED, READY, SIGNAL, STEP, TEXT, VERSION, block, child, dial, hear, job_environment, memfd, packet, strings, tell)

ROOT, RUN, LIBEXEC = (os.environ.get(name, "") for name in ("RH_ROOT", "RH_RUN", "RH_LIBEXEC"))


def hook(kind, version=VERSION):
    """Both job hooks: [kinds of the answers, versions of the answers, text]."""
    with dial(RUN) as s:
        tell(s, kind, fds=[memfd(block(env=strings(job_environment(ROOT))))], version=version)
        kinds, versions, text = [], set(), ""
        while True:
            answer, of, body = hear(s)
            if answer is None:
                break
            kinds.append(answer)
            versions.add(of)
            text += body.decode() if answer != DONE else f"[{struct.unpack('=i', body)[0]}]"
        return [kinds, sorted(versions), text]


def offer(s, script, version=VERSION, streams=None):
    """Offers a step; our end of its channel, and its output."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(30)
    out, writer = os.pipe()
    null = os.open("/dev/null", os.O_RDWR)
    what = memfd(block(["bash", "-c", script], [f"PATH={os.environ['PATH']}"], "/bin/bash",
                       job_environment(ROOT)["GITHUB_WORKSPACE"]))
    fds = [what, *(streams or [null, writer, writer]), theirs.fileno()]
    tell(s, STEP, fds=fds, version=version)
    for fd in (what, writer, null):
        os.close(fd)
    theirs.close()
    return ours, out


def read_all(fd):
    with os.fdopen(fd, "rb") as file:
        return file.read().decode()


def step(script, version=VERSION):
    """A step as the hook program runs it: [kinds heard, exit code, output]."""
    with dial(RUN) as s:
        channel, out = offer(s, script, version)
        with contextlib.suppress(BrokenPipeError):
            tell(channel, GO, version=version)
        kinds, code = [], None
        while code is None:
            kind, _, body = hear(channel)
            if kind is None:
                kinds.append(hear(s)[0])  # why there is no channel any more
                break
            kinds.append(kind)
            if kind == EXIT:
                code = struct.unpack("=iI", body[:8])[0]
        channel.close()
        return [kinds, code, read_all(out)]


def whole_job(version):
    return {"started": child(hook, JOB_STARTED, version), "step": child(step, "echo from; hostname; exit 7", version),
            "completed": child(hook, JOB_COMPLETED, version)}


def begun_job():
    """A job whose Worker does nothing, while a child that nobody waits for offers a step and hangs."""
    child(hook, JOB_STARTED)
    # A program of its own, as all that Workers start are: a fork would count as a Worker that lives.
    with subprocess.Popen([os.environ["RH_PYTHON"], os.path.join(os.path.dirname(__file__), "client.py"), "raw_worker",
                           "held_step", "[]"]):
        time.sleep(60)


def held_step():
    """A step that is offered and never begun."""
    with dial(RUN) as s:
        channel = offer(s, "touch ran-orphan")
        time.sleep(5)
        return len(channel)


def refused(version):
    return [child(hook, kind, version) for kind in (JOB_STARTED, JOB_COMPLETED, STEP)]


def answer_to(data, fds=()):
    """What one packet is answered with: [kind, text]; [None, ""] if the connection is cut."""
    with dial(RUN) as s:
        try:
            socket.send_fds(s, [data], list(fds))
            kind, _, body = hear(s)
        except (BrokenPipeError, ConnectionResetError):
            return [None, ""]
        return [kind, body.decode(errors="replace") if kind != DONE else ""]


def packets():
    """Malformed and untimely packets with the descriptors that make them so."""
    env = strings(job_environment(ROOT))
    good = block(env=env)
    null, directory = os.open("/dev/null", os.O_RDWR), os.open("/", os.O_RDONLY)
    path, terminal = os.open("/etc/passwd", os.O_PATH), os.open("/dev/zero", os.O_RDWR)
    stream = socket.socketpair()[0].fileno()
    channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)[0].fileno()
    started = packet(JOB_STARTED)
    yield "cut header", packet(STEP)[:8], []
    yield "size too large", packet(JOB_STARTED, size=100), [memfd(good)]
    yield "size too small", packet(JOB_STARTED, b"x" * 50, size=10), [memfd(good)]
    yield "body too large", packet(JOB_STARTED, b"x" * 5000), [memfd(good)]
    yield "unknown type", packet(777), []
    yield "of the broker", packet(DONE, b"\0" * 4), []
    yield "answer to nothing", packet(HOST_HOOK_DONE, b"\0" * 4), []
    yield "no block", started, []
    yield "two blocks", started, [memfd(good), memfd(good)]
    yield "nine descriptors", started, [null] * 9
    yield "no memfd", started, [null]
    yield "a directory", started, [directory]
    yield "unsealed", started, [memfd(good, seals=0)]
    yield "empty block", started, [memfd(b"")]
    yield "magic", started, [memfd(block(env=env, magic=1))]
    yield "counts", started, [memfd(block(env=env, n_envs=70000))]
    yield "counts that wrap", started, [memfd(block(env=env, n_args=0xFFFFFFFF, n_envs=2))]
    yield "strings", started, [memfd(block(env=env, size=1 << 40))]
    yield "no end", started, [memfd(good[:-1] + b"x")]
    yield "beyond the limit", started, [memfd(block(env=["A=" + "x" * (7 << 20)]))]
    yield "a foreign workspace", started, [memfd(block(env=["GITHUB_WORKSPACE=/etc/x/y", "RUNNER_TEMP=/tmp"]))]
    yield "a workspace with dots", started, [
        memfd(block(env=[f"GITHUB_WORKSPACE={ROOT}/_work/../../etc", f"RUNNER_TEMP={ROOT}/_work/_temp"]))]
    for name, streams in (("null", [null, null, null, channel]), ("directory", [directory, null, null, channel]),
                          ("path", [null, path, null, channel]), ("device", [null, null, terminal, channel]),
                          ("channel", [null, null, null, stream])):
        yield f"step, {name}", packet(STEP), [memfd(block(["true"], [], "/bin/true", "/")), *streams]


def badly_spoken():
    """Before a job, while one runs, and after it: [name, answer] each."""
    before = [[name, child(answer_to, data, fds)] for name, data, fds in packets()]
    started = child(hook, JOB_STARTED)
    twice = child(hook, JOB_STARTED)
    during = [[name, child(answer_to, data, fds)] for name, data, fds in packets()
              if name != "step, null"]
    alive = child(step, "echo alive")
    done = [child(hook, JOB_COMPLETED), child(hook, JOB_COMPLETED)]
    after = child(step, "touch ran-after")
    return {"before": before, "started": started, "twice": twice, "during": during, "alive": alive, "done": done,
            "after": after}


def untimely_channel(what):
    """A step's channel on which the wrong thing is said: [what came, whether it ran]."""
    with dial(RUN) as s:
        channel, out = offer(s, f"touch ran-{what}; sleep 0.3")
        if what == "early-go":
            tell(channel, GO)
        elif what == "signal-first":
            tell(channel, SIGNAL, struct.pack("=i", 9))
        elif what == "foreign":
            tell(channel, EXIT, struct.pack("=iI", 0, 0))
        elif what == "garbage":
            channel.send(b"\xff" * 100)
        elif what == "twice":
            tell(channel, GO)
            tell(channel, GO)
        elif what == "gone":
            channel.close()
            os.close(out)
            time.sleep(0.5)
            return [[], None]
        kinds, code = [], None
        try:
            while True:
                # Nothing is to come after it.
                channel.settimeout(1.5 if what == "signal-first" and kinds else 30)
                kind, _, body = hear(channel)
                if kind is None:
                    break
                kinds.append(kind)
                if kind == EXIT:
                    code = struct.unpack("=iI", body[:8])[0]
        except TimeoutError:
            kinds.append("silence")
        channel.close()
        os.close(out)
        return [kinds, code]


def untimely_channels():
    workspace = job_environment(ROOT)["GITHUB_WORKSPACE"]
    child(hook, JOB_STARTED)
    found = {what: child(untimely_channel, what)
             for what in ("early-go", "signal-first", "foreign", "garbage", "twice", "gone")}
    ran = sorted(name for name in os.listdir(workspace) if name.startswith("ran-"))
    last = child(step, "echo still here")
    child(hook, JOB_COMPLETED)
    return {"found": found, "ran": ran, "last": last}


def silent_and_deaf():
    """Peers that say nothing, and peers that ask and never read, while a job runs beside them."""
    silent = [dial(RUN) for _ in range(50)]
    deaf = []
    child(hook, JOB_STARTED)
    for _ in range(50):
        s = dial(RUN)
        offer(s, "true")
        deaf.append(s)
    ran = child(step, "echo beside")
    child(hook, JOB_COMPLETED)
    said = [hear(s)[0] for s in silent]
    return {"ran": ran, "said": said, "deaf": len(deaf)}


def big_output(size, pause_every):
    """A step through the hook program itself, whose output is read slowly: bytes, exit code, and the broker's RSS now and
    then. The lease is still at work in the broker when it begins."""
    child(hook, JOB_STARTED)
    broker = child(broker_pid)
    process = subprocess.Popen(["/bin/bash", "-c", f"head -c {size} /dev/zero"], executable=f"{LIBEXEC}/exec",
                               cwd=job_environment(ROOT)["GITHUB_WORKSPACE"], stdout=subprocess.PIPE,
                               stdin=subprocess.DEVNULL)
    n, seen, next_pause = 0, [], pause_every
    while data := os.read(process.stdout.fileno(), 1 << 20):
        n += len(data)
        if n >= next_pause:
            next_pause += pause_every
            time.sleep(0.1)
            seen.append(rss(broker))
    code = process.wait()
    child(hook, JOB_COMPLETED)
    return {"bytes": n, "code": code, "rss": seen}


def broker_pid():
    with dial(RUN) as s:
        return struct.unpack("=iii", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]


def rss(pid):
    with open(f"/proc/{pid}/statm", encoding="utf-8") as file:
        return int(file.read().split()[1]) * 4096


TEXT_AND_DONE = [TEXT, DONE]
RAN = [READY, EXIT]
