# SPDX-License-Identifier: Apache-2.0
"""The yardstick of job starts: create and start through the engine's API, nothing around it."""

import http.client
import json
import socket
import time


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)


class RawEngine:
    def __init__(self, path):
        self.connection = UnixConnection(path)

    def call(self, method, path, body=None):
        text = None if body is None else json.dumps(body)
        self.connection.request(method, "/v1.41" + path, text, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        data = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {data[:200]}")
        return json.loads(data) if data else None

    def spec_of(self, name, directory):
        """The specification of a container that the broker made, so that both create the same.

        Its own directory goes with it, so another takes that place.
        """
        seen = self.call("GET", f"/containers/{name}/json")
        host = seen["HostConfig"]
        keep = ("NetworkMode", "CapDrop", "CapAdd", "SecurityOpt", "Memory", "MemorySwap",
                "NanoCpus", "PidsLimit", "ShmSize", "Ulimits", "LogConfig", "RestartPolicy", "Mounts")
        for mount in host["Mounts"]:
            if mount["Target"] == "/.runnerhub/socket":
                mount["Source"] = directory
        return {
            "Image": seen["Config"]["Image"],
            "Entrypoint": seen["Config"]["Entrypoint"],
            "Env": seen["Config"]["Env"],
            "HostConfig": {key: host[key] for key in keep if host.get(key)},
        }

    def create_start_us(self, spec):
        start = time.monotonic()
        container = self.call("POST", "/containers/create", spec)["Id"]
        self.call("POST", f"/containers/{container}/start")
        us = (time.monotonic() - start) * 1e6
        self.call("DELETE", f"/containers/{container}?force=1&v=1")
        return us
