#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A listener for attacks on the network: writes down whatever reaches it.

    listen.py LOG PID-FILE [tcp|udp|frames:INTERFACE] ADDRESS PORT

One line for each thing that came, "tcp 192.0.2.7 what it said". Over TCP it answers like a small
web server, so that clients of any kind get something back. The pid file appears when it listens.
"""

import os
import selectors
import socket
import sys

log_path, pid_path, kind, address, port = sys.argv[1:6]
log = open(log_path, "a", encoding="utf-8", errors="replace", buffering=1)
family = socket.AF_INET6 if ":" in address else socket.AF_INET


def note(where, data):
    said = "".join(c if 32 <= ord(c) < 127 else " " for c in data.decode("latin-1"))
    log.write(f"{kind} {where} {said}\n")


def serve_tcp():
    server = socket.socket(family, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.bind((address, int(port)))
    server.listen(64)
    server.setblocking(False)
    return server


def serve_udp():
    server = socket.socket(family, socket.SOCK_DGRAM)
    server.bind((address, int(port)))
    return server


def serve_frames():
    server = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    server.bind((kind.split(":")[1], 0))
    return server


def main():
    server = {"tcp": serve_tcp, "udp": serve_udp}.get(kind, serve_frames)()
    with open(pid_path + ".new", "w", encoding="ascii") as file:
        file.write(str(os.getpid()))
    os.rename(pid_path + ".new", pid_path)
    if kind != "tcp":
        while True:
            data, peer = server.recvfrom(2048)
            note(peer[0], data)
    poll = selectors.DefaultSelector()
    poll.register(server, selectors.EVENT_READ)
    while True:
        for key, _ in poll.select():
            if key.fileobj is server:
                client, peer = server.accept()
                client.setblocking(False)
                note(peer[0], b"came")
                poll.register(client, selectors.EVENT_READ, peer)
                continue
            client = key.fileobj
            try:
                data = client.recv(2048)
                if data:
                    note(key.data[0], data)
                    client.send(b"HTTP/1.0 200 OK\r\n\r\nanswer-from-listener\n")
            except OSError:
                pass
            poll.unregister(client)
            client.close()


main()
