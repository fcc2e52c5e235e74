"""The worker alone, against a Task API that answers at once from memory.

    python -m bench.worker [fork|warm|spawn …] [--tasks 500] [--slots 8] [--runs 5] [--floor FLOOR.PY]

Prints tasks per second of a fan-out, milliseconds of a hop (a report's arrival to the next task's first line of
Python) and of processor time per task by process, and the memory of supervisor and zygote. With `--floor`, each run is
followed by one of that script with the zygote's imports, and the ratio is the median of those of neighbours.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from piper.model.events import Succeeded
from piper.model.run import Identity
from piper.model.spec import Isolation, TaskSpec
from piper.model.states import RunType
from piper.model.wire import Call, CodeRef, Dispatch, Heartbeat, Reply, Report, RunContext, Start, TaskContext
from piper.worker.launch import launch
from piper.worker.settings import WorkerSettings

FILE = """
from piper.sdk import DAG, task
with DAG("bench"):
    @task
    def noop():
        return None
    noop()
"""
ZYGOTE_IMPORTS = (
    "piper.sdk.execution.runner",
    "piper.sdk.loader",
    "piper.logs.handler",
    "ctypes",
    "select",
    "resource",
)

_decode = msgspec.msgpack.Decoder(list[Call]).decode
_encode = msgspec.msgpack.Encoder().encode


class Server:
    """The server's end of a worker: grants every start, believes every report."""

    def __init__(self, connection: socket.socket, code: CodeRef, isolation: Isolation) -> None:
        self._socket = connection
        self._code = code
        self._isolation = isolation
        self._spec = TaskSpec(task_id="noop", operator="piper.operators.python.PythonOperator", isolation=isolation)
        self._run = RunContext("bench", "manual", RunType.MANUAL, None, None, datetime.now(UTC))
        self._last = 0

    def dispatch(self, count: int) -> set[Identity]:
        identities = [Identity(self._last + number, 1, 0) for number in range(1, count + 1)]
        self._last += count
        for identity in identities:
            self._send(Dispatch(identity, "token", self._code, self._isolation))
        return set(identities)

    def serve(self) -> list[Report]:
        """Answer one frame of calls. Returns the reports in it."""
        replies: list[Reply] = []
        reports: list[Report] = []
        for call in self._receive():
            request = call.request
            if isinstance(request, Start):
                replies.append(Reply(call.id, self._context(call.identity)))
            elif isinstance(request, Heartbeat):
                replies.append(Reply(call.id, ()))
            else:
                assert isinstance(request, Report), request
                assert isinstance(request.event, Succeeded), request
                reports.append(request)
                replies.append(Reply(call.id))
        self._send(replies)
        return reports

    def _context(self, identity: Identity | None) -> TaskContext:
        assert identity is not None
        log, now = f"bench/{identity.instance}.log", datetime.now(UTC)
        return TaskContext(identity, self._spec, -1, 0, self._run, "team", self._code, now, log=log)

    def _send(self, message: object) -> None:
        body = _encode(message)
        self._socket.sendall(struct.pack("!I", len(body)) + body)

    def _receive(self) -> list[Call]:
        (length,) = struct.unpack("!I", self._socket.recv(4, socket.MSG_WAITALL))
        return _decode(self._socket.recv(length, socket.MSG_WAITALL))


def fan_out(server: Server, count: int) -> float:
    """Tasks per second when `count` are dispatched at once."""
    begin = time.perf_counter()
    left = server.dispatch(count)
    while left:
        left -= {report.event.identity for report in server.serve()}
    return count / (time.perf_counter() - begin)


def chain(server: Server, count: int) -> list[float]:
    """Seconds from the end of each task to the start of the next, which is dispatched when the first is reported."""
    hops: list[float] = []
    ended: datetime | None = None
    for _ in range(count):
        left = server.dispatch(1)
        while left:
            for report in server.serve():
                left.discard(report.event.identity)
                assert report.started_at is not None
                assert report.ended_at is not None
                if ended is not None:
                    hops.append((report.started_at - ended).total_seconds())
                ended = report.ended_at
    return hops


def processor_seconds(pid: int) -> tuple[float, float]:
    """Of a process itself, and of those of its children that it has reaped."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    tick = os.sysconf("SC_CLK_TCK")
    return (int(fields[11]) + int(fields[12])) / tick, (int(fields[13]) + int(fields[14])) / tick


def mebibytes(pid: int, field: str) -> float:
    """`Pss` or `Rss` of a process."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def children_of(pid: int) -> list[int]:
    """Process ids."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@dataclass
class Run:
    """What one worker did: rate, hops, and processor milliseconds per task."""

    rate: float
    hops: list[float]
    cpu: tuple[float, float, float]
    supervisor_pss: float
    zygote_rss: float
    zygote_pss: float


def run_once(isolation: Isolation, tasks: int, slots: int) -> Run:
    """A new worker, one fan-out, one chain."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home, "snapshots", "s")
        folder.mkdir(parents=True)
        (folder / "bench.py").write_text(FILE)
        process, connection = launch(
            WorkerSettings(name="bench", home=home, logs=f"{home}/logs", snapshots=f"{home}/snapshots", slots=slots)
        )
        try:
            server = Server(connection, CodeRef("b", "s", "bench.py"), isolation)
            server.serve()  # its first heartbeat
            at_rest = mebibytes(process.pid, "Pss")
            fan_out(server, 4 * slots)
            zygote = children_of(process.pid)[0]
            before = processor_seconds(process.pid)[0], *processor_seconds(zygote)
            rate = fan_out(server, tasks)
            after = processor_seconds(process.pid)[0], *processor_seconds(zygote)
            if isolation is Isolation.WARM:  # its children live on
                after = *after[:2], sum(processor_seconds(child)[0] for child in children_of(zygote))
            supervisor, parent, children = ((b - a) / tasks * 1e3 for a, b in zip(before, after, strict=True))
            hops = chain(server, 50)
            memory = mebibytes(zygote, "Rss"), mebibytes(zygote, "Pss")
            return Run(rate, hops, (supervisor, parent, children), at_rest, *memory)
        finally:
            connection.close()
            process.wait(10)


def measure(isolation: Isolation, tasks: int, slots: int, runs: int, floor: str) -> dict[str, object]:
    """Several runs, each followed by one of the floor."""
    done: list[Run] = []
    floors: list[float] = []
    for _ in range(runs):
        done.append(run_once(isolation, tasks, slots))
        if floor:
            mode = "warm" if isolation is Isolation.WARM else "fork"
            imports = [f"--import={module}" for module in ZYGOTE_IMPORTS]
            command = [sys.executable, floor, mode, "--slots", str(slots), *imports]
            output = subprocess.run(command, check=True, capture_output=True).stdout
            floors.append(json.loads(output)["fanout_tasks_per_s"])
    hops = sorted(hop * 1e3 for run in done for hop in run.hops)
    cpu = [statistics.median(each) for each in zip(*(run.cpu for run in done), strict=True)]
    ratios = [run.rate / other for run, other in zip(done, floors, strict=False)]
    return {
        "isolation": isolation.value,
        "tasks_per_s": round(statistics.median(run.rate for run in done)),
        "runs": [round(run.rate) for run in done],
        "floor_runs": [round(rate) for rate in floors],
        "floor_ratio": round(statistics.median(ratios), 2) if ratios else None,
        "hop_p50_ms": round(statistics.median(hops), 2),
        "hop_p99_ms": round(hops[int(len(hops) * 0.99)], 2),
        "cpu_ms_per_task": {
            name: round(each, 3) for name, each in zip(("supervisor", "zygote", "children"), cpu, strict=True)
        },
        "supervisor_pss_mib": round(done[-1].supervisor_pss, 1),
        "zygote_rss_mib": round(done[-1].zygote_rss, 1),
        "zygote_pss_mib": round(done[-1].zygote_pss, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("isolation", nargs="*", default=["fork", "warm"])
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--floor", default="", help="path of floor.py")
    options = parser.parse_args()
    for name in options.isolation:
        tasks = options.tasks * (4 if name == "warm" else 1)
        print(json.dumps(measure(Isolation(name), tasks, options.slots, options.runs, options.floor)))


if __name__ == "__main__":
    main()
