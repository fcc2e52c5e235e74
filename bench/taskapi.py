"""What a grant, a Start and a Report cost, by the size of the batch: SQLite with synchronous=FULL.

    python -m bench.taskapi [--profile]

One run of no-op tasks that all read one small XCom, as in a fan-out. The goal is 0.12 ms of Python and SQL for each
call in batches of 16 and more; the commit is shown by its absence. A grant is the executor's whole tick, with the
dispatch to a backend that does nothing.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from piper.artifacts import ArtifactStore
from piper.executor.service import ExecutorService
from piper.model import wire
from piper.model.events import Succeeded
from piper.model.ids import EXECUTOR_SHARD, instance_id
from piper.model.run import Identity
from piper.model.spec import SourceLocation, TaskSpec, WorkflowSpec, encode_spec, spec_hash
from piper.secrets import Keys
from piper.service import SystemClock, Wakeups
from piper.store.database import Database, Fence
from piper.store.migrations import migrate
from piper.store.schema import run, shard, spec, task_instance, xcom
from piper.task_api.api import TaskApi
from piper.task_api.tokens import Tokens

BATCHES = (1, 8, 16, 64)
TASKS = 1536
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def fill(database: Database) -> list[Identity]:
    """One run with tasks in no state yet."""
    tasks = (
        TaskSpec(task_id="root", operator="PythonOperator"),
        *(
            TaskSpec(
                task_id=f"t{number}",
                operator="piper.operators.python.PythonOperator",
                upstream=("root",),
                reads=(("root", "return_value"),),
                source=SourceLocation("fanout.py", number),
            )
            for number in range(TASKS)
        ),
    )
    workflow = WorkflowSpec(workflow_id="fanout", source=SourceLocation("fanout.py"), tasks=tasks)
    body = encode_spec(workflow)
    identities = [Identity(instance_id(1, number), 1, 0) for number in range(TASKS)]
    with database.write() as connection:
        connection.execute(spec.insert().values(hash=spec_hash(body), body=body.decode()))
        connection.execute(
            run.insert().values(
                id=1,
                workflow_id="fanout",
                run_id="manual",
                shard=7,
                team="default",
                run_type="manual",
                state="running",
                logical_date=NOW,
                run_after=NOW,
                spec_hash=spec_hash(body),
                snapshot="s",
                bundle="b",
                file="fanout.py",
                conf={},
                created_at=NOW,
            )
        )
        connection.execute(
            task_instance.insert(),
            [
                {
                    "id": identity.instance,
                    "run": 1,
                    "task_id": f"t{number}",
                    "map_index": -1,
                    "team": "default",
                    "state": "none",
                    "try_number": 1,
                    "leg": 0,
                    "max_tries": 0,
                    "operator": "PythonOperator",
                    "code": True,
                    "isolation": "fork",
                    "pool": "default_pool",
                    "pool_slots": 1,
                    "priority": 1,
                    "queue": "default",
                    "queued_at": NOW,
                }
                for number, identity in enumerate(identities)
            ],
        )
        connection.execute(
            xcom.insert().values(
                run=1, task_id="root", key="return_value", map_index=-1, value=b'{"answer": 42}', created_at=NOW
            )
        )
    return identities


def measure(folder: Path, batch: int, profile: cProfile.Profile | None) -> dict[str, float]:
    """Seconds per Start and per Report in batches of that size, whole and without the commit."""
    commits: list[float] = []

    def at_commit(moment: str) -> None:
        commits.append(time.perf_counter() if moment == "before" else time.perf_counter() - commits.pop())

    database = Database(f"sqlite:///{folder}/piper.db", commit_hook=at_commit)
    migrate(database)
    identities = fill(database)
    keys = Keys.load(folder / "secret.key")
    api = TaskApi(database, SystemClock(), keys, ArtifactStore(folder / "artifacts"), Wakeups())
    tokens = Tokens(keys)
    starts = [_call(tokens, one, wire.Start(f"n{one.instance}", "worker")) for one in identities]
    reports = [
        _call(
            tokens,
            one,
            wire.Report(
                Succeeded(one, result_length=None),
                xcoms=(wire.XComPush("return_value", b"42"),),
                exit_code=0,
                pid=1,
                started_at=NOW,
                ended_at=NOW,
            ),
        )
        for one in identities
    ]
    figures = {}
    figures["grant"] = _measure_grants(database, tokens, identities, batch)
    with database.write() as connection:
        connection.execute(task_instance.update().values(state="queued"))
    encoder = msgspec.msgpack.Encoder()
    for name, calls in (("start", starts), ("report", reports)):
        api.handle(calls[:batch])  # compiles the statements
        commits.clear()
        rest = calls[batch:]
        if profile is not None:
            profile.enable()
        begin = time.perf_counter()
        for first in range(0, len(rest), batch):
            replies = api.handle(rest[first : first + batch])
            assert all(reply.problem is None for reply in replies), replies[0]
            encoder.encode(replies)
        whole = time.perf_counter() - begin
        if profile is not None:
            profile.disable()
        figures[name] = whole / len(rest)
        figures[f"{name} without commit"] = (whole - sum(commits)) / len(rest)
    database.close()
    return figures


class _Nowhere:
    """A backend that takes everything."""

    capacity = 10 * TASKS
    arrivals = 0

    def send(self, dispatches: Sequence[wire.Dispatch]) -> None:
        pass

    def cancel(self, identities: Sequence[Identity], reason: str) -> None:
        pass


class _Leads:
    """The ownership of a member that owns the executor's shard."""

    def fence(self) -> Fence:
        return Fence("bench", {EXECUTOR_SHARD: 1})

    def forget(self, fence: Fence, shards: Collection[int]) -> None:
        raise AssertionError("nobody takes over in a benchmark")


def _measure_grants(database: Database, tokens: Tokens, identities: Sequence[Identity], batch: int) -> float:
    """Seconds per grant when so many are scheduled at once and nothing else is held."""
    service = ExecutorService(database, SystemClock(), tokens, _Nowhere(), _Leads(), Wakeups())
    with database.write() as connection:
        connection.execute(shard.update().where(shard.c.shard == EXECUTOR_SHARD).values(owner="bench", epoch=1))
    service.tick()
    seconds = 0.0
    for first in range(0, len(identities), batch):
        group = [identity.instance for identity in identities[first : first + batch]]
        with database.write() as connection:
            connection.execute(task_instance.update().where(task_instance.c.id.in_(group)).values(state="scheduled"))
        begin = time.perf_counter()
        service.tick()
        seconds += time.perf_counter() - begin
        with database.write() as connection:
            granted = connection.execute(
                task_instance.update()
                .where(task_instance.c.id.in_(group), task_instance.c.state == "queued")
                .values(state="success")
            )
            assert granted.rowcount == len(group)
    return seconds / len(identities)


def _call(tokens: Tokens, identity: Identity, request: wire.Request) -> wire.Call:
    return wire.Call(identity.instance, identity, tokens.issue(identity), request)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args(arguments)
    print(f"{'ms per call':>22}" + "".join(f"{f'batch {size}':>12}" for size in BATCHES))
    profile = cProfile.Profile() if options.profile else None
    columns = []
    for size in BATCHES:
        with tempfile.TemporaryDirectory() as folder:
            columns.append(measure(Path(folder), size, profile if size == 16 else None))
    for name in columns[0]:
        print(f"{name:>22}" + "".join(f"{column[name] * 1e3:12.3f}" for column in columns))
    if profile is not None:
        pstats.Stats(profile).sort_stats("tottime").print_stats(35)


if __name__ == "__main__":
    main()
