# SPDX-License-Identifier: Apache-2.0
"""The receiving end of sd_notify(3): notify_wait.py SOCKET SECONDS PIDFILE

Binds SOCKET, prints "listening", and waits for READY=1. Exit status 0 then, 1 if the process whose
id is in PIDFILE is gone or the time is over.
"""

import os
import socket
import sys
import time


def is_gone(pidfile):
    try:
        with open(pidfile, encoding="ascii") as f:
            pid = int(f.read())
    except (FileNotFoundError, ValueError):
        return False  # not started yet
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def main():
    path, seconds, pidfile = sys.argv[1], float(sys.argv[2]), sys.argv[3]
    if os.path.exists(path):
        os.unlink(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        print("listening", flush=True)
        s.settimeout(0.05)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if b"READY=1" in s.recv(65536).split(b"\n"):
                    return 0
            except socket.timeout:
                if is_gone(pidfile):
                    return 1
    return 1


sys.exit(main())
