# SPDX-License-Identifier: Apache-2.0
"""A stand-in engine: the part of the Docker API that the broker uses, over cheap containers.

Real containers take seconds each to make by the hundred; what is measured against this is the broker
itself: memory, idle CPU, and what a lease costs when many containers are tracked.

    fake_engine.py SOCKET FAKE_CONTAINER
"""

import http.server
import json
import os
import queue
import re
import secrets
import signal
import socketserver
import subprocess
import sys
import threading
import time
import urllib.parse

containers = {}
listeners = []
lock = threading.Lock()


class Container:
    def __init__(self, name, spec):
        self.id = secrets.token_hex(32)
        self.name = name
        self.spec = spec
        self.process = None
        self.pid = 0
        self.created = time.time()

    def start(self, program):
        mounts = {m["Target"]: m["Source"] for m in self.spec["HostConfig"]["Mounts"]}
        self.process = subprocess.Popen(
            [program, mounts["/.runnerhub/agent"], mounts["/.runnerhub/socket"]],
            stdout=subprocess.PIPE, text=True)
        self.pid = int(self.process.stdout.readline())
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        status = self.process.wait()
        emit("die", self, {"exitCode": str(status)})

    def kill(self):
        if self.process and self.process.poll() is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()

    def running(self):
        return self.process is not None and self.process.poll() is None

    def summary(self):
        return {"Id": self.id, "Names": ["/" + self.name], "Labels": self.spec["Labels"],
                "State": "running" if self.running() else "exited", "Created": int(self.created)}

    def whole(self):
        return {"Id": self.id, "Name": "/" + self.name, "Created": "2026-01-01T00:00:00Z",
                "Config": {"Labels": self.spec["Labels"]}, "RestartCount": 0,
                "State": {"Status": "running" if self.running() else "exited", "Pid": self.pid,
                          "ExitCode": 0, "OOMKilled": False, "StartedAt": "2026-01-01T00:00:00Z"}}


def emit(action, container, extra):
    event = {"Type": "container", "Action": action, "time": int(time.time()),
             "timeNano": time.time_ns(), "id": container.id, "status": action,
             "Actor": {"ID": container.id, "Attributes": dict(container.spec["Labels"], **extra)}}
    with lock:
        for listener in listeners:
            listener.put(event)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def address_string(self):
        return "unix"

    def answer(self, status, body=None):
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if status not in (204, 304):
            self.wfile.write(data)

    def find(self, name):
        with lock:
            return next((c for c in containers.values() if name in (c.id, c.name)), None)

    def events(self):
        events = queue.Queue()
        with lock:
            listeners.append(events)
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        try:
            while True:
                data = json.dumps(events.get()).encode() + b"\n"
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                self.wfile.flush()
        except ConnectionError:  # the broker has gone
            with lock:
                listeners.remove(events)
            self.close_connection = True

    def route(self, method):
        url = urllib.parse.urlsplit(self.path)
        path = re.sub(r"^/v[0-9.]+", "", url.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        if path == "/_ping":
            return self.answer(200, "OK")
        if path == "/version":
            return self.answer(200, {"Version": "0.0-stand-in", "ApiVersion": "1.41", "MinAPIVersion": "1.12",
                                     "KernelVersion": os.uname().release})
        if path == "/info":
            return self.answer(200, {"ServerVersion": "0.0-stand-in", "Driver": "none", "CgroupDriver": "none",
                                     "CgroupVersion": "1", "NCPU": os.cpu_count(), "MemTotal": 1 << 34,
                                     "DockerRootDir": "/", "KernelVersion": os.uname().release})
        if path == "/events":
            return self.events()
        if path.startswith("/images/"):
            return self.answer(200, {"Id": "0" * 64})
        if path == "/containers/json":
            with lock:
                return self.answer(200, [c.summary() for c in containers.values()])
        if path == "/containers/create":
            container = Container(query.get("name", ""), body)
            with lock:
                containers[container.id] = container
            return self.answer(201, {"Id": container.id, "Warnings": []})
        return self.one(method, path, query)

    def one(self, method, path, query):
        match = re.fullmatch(r"/containers/([^/]+)(?:/(\w+))?", path)
        container = self.find(match.group(1)) if match else None
        if not container:
            return self.answer(404, {"message": "no such container"})
        verb = match.group(2)
        if method == "DELETE":
            container.kill()
            with lock:
                containers.pop(container.id, None)
            emit("destroy", container, {})
            return self.answer(204)
        if verb == "json":
            return self.answer(200, container.whole())
        if verb == "start":
            container.start(sys.argv[2])
        elif verb == "kill":
            container.kill()
        elif verb == "rename":
            container.name = query["name"]
        return self.answer(204)

    def do_GET(self):
        self.route("GET")

    def do_POST(self):
        self.route("POST")

    def do_DELETE(self):
        self.route("DELETE")


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 256


def main():
    if os.path.exists(sys.argv[1]):
        os.unlink(sys.argv[1])
    server = Server(sys.argv[1], Handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server.serve_forever()
    finally:
        for container in list(containers.values()):
            container.kill()


if __name__ == "__main__":
    main()
