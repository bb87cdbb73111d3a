#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small resolver for attacks on the network, over UDP and TCP (RFC 1035).

    resolver.py LOG PID-FILE ADDRESS ZONE-FILE [SECONDS]

The zone file has lines "NAME ADDRESS…": the first lookup of the name gets the first address, the
next the second, and so on; those behind the last get the last. Answers live for so long, or one second. Every
question is a line of the log, "udp 192.0.2.7 WwW.example.org A". The pid file appears when it listens.
"""

import os
import selectors
import socket
import struct
import sys

log_path, pid_path, address, zone_path = sys.argv[1:5]
life = int(sys.argv[5]) if len(sys.argv) > 5 else 1
TYPES = {1: "A", 28: "AAAA"}
seen = {}


def read_question(message):
    labels, at = [], 12
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode("latin-1"))
        at += 1 + message[at]
    (kind,) = struct.unpack_from("!H", message, at + 1)
    return ".".join(labels), kind, at + 5


def find(name, kind):
    with open(zone_path, encoding="ascii") as file:
        zone = dict((line.split()[0], line.split()[1:]) for line in file if line.strip())
    if name not in zone:
        return None
    if kind != 1:
        return b""
    n = seen.get(name, 0)
    seen[name] = n + 1
    return socket.inet_aton(zone[name][min(n, len(zone[name]) - 1)])


def answer(message, how, where):
    name, kind, end = read_question(message)
    with open(log_path, "a", encoding="utf-8") as log:
        log.write(f"{how} {where} {name} {TYPES.get(kind, kind)}\n")
    found = find(name.lower(), kind)
    head = message[:2] + struct.pack("!HHHHH", 0x8180 | (3 if found is None else 0), 1, 1 if found else 0, 0, 0)
    record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, life, 4) + found if found else b""
    return head + message[12:end] + record


def main():
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((address, 53))
    tcp = socket.create_server((address, 53))
    with open(pid_path + ".new", "w", encoding="ascii") as file:
        file.write(str(os.getpid()))
    os.rename(pid_path + ".new", pid_path)
    poll = selectors.DefaultSelector()
    poll.register(udp, selectors.EVENT_READ)
    poll.register(tcp, selectors.EVENT_READ)
    while True:
        for key, _ in poll.select():
            try:
                if key.fileobj is udp:
                    message, peer = udp.recvfrom(4096)
                    udp.sendto(answer(message, "udp", peer[0]), peer)
                    continue
                client, peer = tcp.accept()
                with client:
                    client.settimeout(2)
                    message = client.recv(4098)[2:]
                    reply = answer(message, "tcp", peer[0])
                    client.sendall(struct.pack("!H", len(reply)) + reply)
            except (OSError, IndexError, struct.error):
                pass


main()
