#!/usr/bin/env python3
"""The floor under Piper's figures: the fewest commits, forks and pipes that a durable scheduler can do, and nothing else.

A loop grants tasks, forks a process for each from a zygote that keeps a small stock of forked children waiting
(`fork`), or reuses long-lived children (`warm`), and commits four times per batch to SQLite with synchronous=FULL:
none -> scheduled, scheduled -> running, event appended, event applied. No spec, context, XCom, log or log file.

    floor.py fork|warm [--slots 8] [--stock 4] [--width 500] [--length 50] [--import MODULE ...]

Prints one JSON object: fanout tasks/s and chain hop (end of a task to the start of the next) in milliseconds.
"""

import argparse
import gc
import json
import os
import select
import signal
import socket
import sqlite3
import statistics
import struct
import tempfile
import time


def send(sock, message):
    body = json.dumps(message).encode()
    sock.sendall(struct.pack("!I", len(body)) + body)


def receive(sock):
    header = sock.recv(4, socket.MSG_WAITALL)
    if not header:
        return None
    return json.loads(sock.recv(struct.unpack("!I", header)[0], socket.MSG_WAITALL))


def run_tasks(sock, once):
    while (task := receive(sock)) is not None:
        start = time.time()
        send(sock, {"id": task["id"], "start": start, "end": time.time()})
        if once:
            break
    os._exit(0)


def zygote(control, once, modules):
    for module in modules:
        __import__(module)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    try:
        while control.recv(1):
            ours, childs = socket.socketpair()
            if os.fork() == 0:
                ours.close()
                control.close()
                run_tasks(childs, once)
            childs.close()
            socket.send_fds(control, [b"."], [ours.fileno()])
            ours.close()
    except OSError:  # the parent is gone
        pass
    os._exit(0)


class Children:
    """Sockets of waiting and busy children."""

    def __init__(self, once, slots, stock, modules):
        self.once, self.slots, self.stock = once, slots, stock
        self.idle, self.busy, self.asked = [], set(), 0
        self.control, theirs = socket.socketpair()
        if os.fork() == 0:
            self.control.close()
            zygote(theirs, once, modules)
        theirs.close()
        self.refill()
        while self.asked:
            self.wait(1)

    def refill(self):
        busy = 0 if self.once else len(self.busy)
        for _ in range((self.stock if self.once else self.slots) - len(self.idle) - busy - self.asked):
            self.control.send(b".")
            self.asked += 1

    def free(self):
        return min(len(self.idle), self.slots - len(self.busy))

    def start(self, task_id):
        sock = self.idle.pop()
        self.busy.add(sock)
        send(sock, {"id": task_id})

    def wait(self, seconds):
        finished = []
        for ready in select.select([*self.busy, self.control], [], [], seconds)[0]:
            if ready is self.control:
                for fd in socket.recv_fds(ready, 1, 1)[1]:
                    self.idle.append(socket.socket(fileno=fd))
                    self.asked -= 1
            else:
                finished.append(receive(ready))
                self.busy.discard(ready)
                if self.once:
                    ready.close()
                else:
                    self.idle.append(ready)
        self.refill()
        return finished


class Ledger:
    def __init__(self, path):
        self.db = sqlite3.connect(path, isolation_level=None)
        for statement in (
            "pragma journal_mode=wal",
            "pragma synchronous=full",
            "create table task(id integer primary key, state text, start real, end real)",
            "create index by_state on task(state)",
            "create table event(task integer, body text)",
        ):
            self.db.execute(statement)

    def commit(self, *batches):
        self.db.execute("begin immediate")
        for statement, rows in batches:
            self.db.executemany(statement, rows)
        self.db.execute("commit")


def execute(graph, children, ledger, first_id):
    """Run graph (index -> downstream indexes); return wall seconds and (start, end) by index."""
    waiting_for = [0] * len(graph)
    for downstream in graph:
        for index in downstream:
            waiting_for[index] += 1
    ledger.commit(("insert into task(id) values (?)", [(first_id + i,) for i in range(len(graph))]))
    ready = [i for i, count in enumerate(waiting_for) if not count]
    queue, times, begin = [], {}, time.time()
    while len(times) < len(graph):
        if ready:
            ledger.commit(
                ("update task set state='scheduled' where id=? and state is null", [(first_id + i,) for i in ready])
            )
            queue, ready = queue + ready, []
        granted, queue = queue[: children.free()], queue[children.free() :]
        if granted:
            now = time.time()
            ledger.commit(
                (
                    "update task set state='running', start=? where id=? and state='scheduled'",
                    [(now, first_id + i) for i in granted],
                )
            )
            for i in granted:
                children.start(first_id + i)
        finished = children.wait(1)
        if finished:
            ledger.commit(("insert into event values (?, ?)", [(m["id"], json.dumps(m)) for m in finished]))
            ledger.commit(
                (
                    "update task set state='success', end=? where id=? and state='running'",
                    [(m["end"], m["id"]) for m in finished],
                ),
                ("delete from event where task=?", [(m["id"],) for m in finished]),
            )
            for m in finished:
                index = m["id"] - first_id
                times[index] = (m["start"], m["end"])
                for i in graph[index]:
                    waiting_for[i] -= 1
                    if not waiting_for[i]:
                        ready.append(i)
    return time.time() - begin, times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=["fork", "warm"])
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--stock", type=int, default=4)
    parser.add_argument("--width", type=int, default=500)
    parser.add_argument("--length", type=int, default=50)
    parser.add_argument(
        "--import", dest="modules", action="append", default=[], help="a module that the zygote imports"
    )
    options = parser.parse_args()
    children = Children(options.mode == "fork", options.slots, options.stock, options.modules)
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(os.path.join(folder, "floor.db"))
        fan = [list(range(1, options.width + 1)), *[[options.width + 1]] * options.width, []]
        chain = [[i + 1] for i in range(options.length - 1)] + [[]]
        rates, hops = [], []
        for repetition in range(3):
            wall, _ = execute(fan, children, ledger, repetition * 1_000_000 + 1)
            rates.append(len(fan) / wall)
            _, times = execute(chain, children, ledger, repetition * 1_000_000 + 500_001)
            hops += [times[i + 1][0] - times[i][1] for i in range(len(chain) - 1)]
    print(
        json.dumps(
            {
                "mode": options.mode,
                "fanout_tasks_per_s": round(statistics.median(rates)),
                "hop_p50_ms": round(statistics.median(hops) * 1e3, 2),
                "hop_p99_ms": round(sorted(hops)[int(len(hops) * 0.99)] * 1e3, 2),
            }
        )
    )


main()
