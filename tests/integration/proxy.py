# SPDX-License-Identifier: Apache-2.0
"""A socket in front of the container engine's, which can be told to be in trouble."""

import contextlib
import os
import shutil
import socket
import tempfile
import threading

import hub

ERROR = b'{"message":"the engine is having a bad day"}'


class Proxy:
    """mode: "pass"; "absent" (no socket at all), "hang" (it takes questions and says nothing), "error"
    (status 500), "half" (an answer that ends in its middle). A new mode cuts the open connections."""

    def __init__(self, target=hub.ENGINE):
        self.target, self.mode, self.live = target, "absent", set()
        self.lock, self.listener = threading.Lock(), None
        self.place = tempfile.mkdtemp(prefix="rh-engine-")
        self.path = os.path.join(self.place, "engine.sock")
        self.set("pass")

    def set(self, mode):
        with self.lock:
            self.mode = mode
        if mode == "absent":
            self.shut()
        elif self.listener is None:
            self.listen()
        self.drop()

    def listen(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def shut(self):
        if self.listener is not None:
            os.unlink(self.path)
            with contextlib.suppress(OSError):
                self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None

    def drop(self):
        """Cuts every open connection, as a restarted engine does."""
        with self.lock:
            cut, self.live = self.live, set()
        for s in cut:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.shut()
        self.drop()
        shutil.rmtree(self.place)

    def accept(self, listener):
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            with self.lock:
                mode = self.mode
                self.live.add(client)
            threading.Thread(target=self.serve, args=(client, mode), daemon=True).start()

    def serve(self, client, mode):
        with client, contextlib.suppress(OSError):
            if mode == "hang":
                while client.recv(65536):
                    pass
            elif mode == "error":
                self.read_head(client)
                client.sendall(b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
                               b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(ERROR), ERROR))
            else:
                self.forward(client, half=mode == "half")
        with self.lock:
            self.live.discard(client)

    @staticmethod
    def read_head(s):
        data = b""
        while b"\r\n\r\n" not in data:
            more = s.recv(65536)
            if not more:
                break
            data += more
        return data

    def forward(self, client, half):
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(self.target)
            with self.lock:
                self.live.add(engine)
            up = threading.Thread(target=self.copy, args=(client, engine), daemon=True)
            up.start()
            if half:
                head, _, body = self.read_head(engine).partition(b"\r\n\r\n")
                client.sendall(head + b"\r\n\r\n" + body[:len(body) // 2])
            else:
                self.copy(engine, client)
            for s in (client, engine):
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_RDWR)
            up.join()
            with self.lock:
                self.live.discard(engine)

    @staticmethod
    def copy(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
