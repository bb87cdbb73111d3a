# SPDX-License-Identifier: Apache-2.0
"""How the broker itself scales, over the stand-in engine. Runs inside with-runnerhub; see scripts/bench.

Job starts with few and with many containers tracked, in one instance: the pool is grown by a reload.
Memory, idle CPU and what a restart takes are the broker's with 50 warm containers and 10 000 jobs in its store.
"""

import argparse
import os
import re
import sqlite3
import subprocess
import time

from common import measure, median, put, runnerhub, tick, wait_warm

JOBS = 10000
STEPS_OF_JOB = 5
EVENTS_OF_JOB = 3


def set_warm(n):
    path = os.path.join(os.environ["RUNNERHUB_DIR"], "etc/runnerhub.yaml")
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(f"    warm: {n}" if l.startswith("    warm:") else l for l in lines) + "\n")
    runnerhub("reload")
    time.sleep(0.2)
    wait_warm("bench", n)


def hub_broker(verb):
    out = subprocess.run(["hub-broker", verb], check=True, stdout=subprocess.PIPE, text=True)
    return out.stdout.strip()


def insert(db, table, rows):
    """Rows of some columns; the others are empty, as the store leaves what nobody has said."""
    known = [(c[1], c[2]) for c in db.execute(f"PRAGMA table_info({table})")
             if not c[5] or c[1] in rows[0]]
    columns = [name for name, kind in known if kind != "BLOB" or name in rows[0]]
    empty = {name: 0 if kind == "INTEGER" else "" for name, kind in known}
    db.executemany(f"INSERT INTO {table} ({','.join(columns)}) VALUES ({','.join('?' * len(columns))})",
                   [[row.get(name, empty[name]) for name in columns] for row in rows])


def fill_store():
    """What a year or so leaves: ended jobs with their steps and events."""
    hub_broker("stop")
    now = time.time_ns() // 1000000
    jobs = [{"id": i.to_bytes(16, "big"), "state": "ended", "result": "completed", "runner": "scale",
             "profile": "bench", "repository": f"octo/project-{i % 40}", "workflow": "build",
             "job_key": "test", "run_id": str(i), "run_attempt": "1", "container": f"{i:032x}",
             "created_ms": now - i * 1000, "leased_ms": now - i * 1000, "ended_ms": now - i * 1000 + 900}
            for i in range(1, JOBS + 1)]
    with sqlite3.connect(os.path.join(os.environ["RUNNERHUB_DIR"], "state/runnerhub.db")) as db:
        insert(db, "jobs", jobs)
        insert(db, "steps", [{"job": job["id"], "step": n, "program": "bash", "label": f"__run_{n}",
                              "started_ms": job["leased_ms"], "ended_ms": job["ended_ms"]}
                             for job in jobs for n in range(1, STEPS_OF_JOB + 1)])
        insert(db, "events", [{"job": job["id"], "kind": "job.note", "time_ms": job["ended_ms"],
                               "message": f"event {n} of the job"}
                              for job in jobs for n in range(1, EVENTS_OF_JOB + 1)])
    hub_broker("start")
    assert len(runnerhub("jobs", "--limit", "1000")) == 1000


def starts(runner, n, rounds):
    times = []
    for _ in range(rounds):
        wait_warm("bench", n)
        times.append(measure(runner, "hook", 0)["hook"])
    return median(times)


def broker_cpu_s():
    """Of all its threads, by its clock (clock_getcpuclockid(3), whose number is made like this). The ticks in stat
    would be a third of a percent each in a measurement of three seconds."""
    return time.clock_gettime((~int(hub_broker("pid")) << 3) | 2)


def adopted_ms():
    """What a broker that was killed takes until it serves again, with all that the last one had: its own word."""
    hub_broker("kill")
    hub_broker("start")
    with open(os.path.join(os.environ["RUNNERHUB_DIR"], "broker.log"), encoding="utf-8") as file:
        return int(re.findall(r"notice serving ms=(\d+)", file.read())[-1])


def broker_rss_mib():
    with open(f"/proc/{hub_broker('pid')}/status", encoding="utf-8") as file:
        line = next(l for l in file if l.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", required=True)
    parser.add_argument("runner")
    o = parser.parse_args()
    rounds = 10 if o.quick else 100

    tick(f"filling the store with {JOBS} jobs")
    fill_store()
    tick("job starts with 5 containers tracked")
    set_warm(5)
    few = starts(o.runner, 5, rounds)
    tick("memory and idle CPU with 50 warm containers and 10 000 jobs in the store")
    set_warm(50)
    runnerhub("jobs", "--limit", "1000")
    seconds = 3 if o.quick else 30
    time.sleep(1)
    before = broker_cpu_s()
    time.sleep(seconds)
    cpu = (broker_cpu_s() - before) / seconds * 100
    rss = broker_rss_mib()
    tick("a broker that was killed takes over 50 containers")
    adopt = adopted_ms()
    wait_warm("bench", 50)
    tick("job starts with 500 containers tracked")
    set_warm(500)
    many = starts(o.runner, 500, rounds)
    put(o.out, {
        "lease_5_ms": few / 1000, "lease_500_ms": many / 1000, "lease_500_vs_5": many / few,
        "rss_mib": rss, "idle_cpu_percent": cpu, "adopt_50_ms": adopt,
    })


if __name__ == "__main__":
    main()
