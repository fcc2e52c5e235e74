"""What a Start and a Report cost the Task API, by the size of the batch: SQLite with synchronous=FULL.

    python -m bench.taskapi [--profile]

One run of no-op tasks that all read one small XCom, as in a fan-out. The goal is 0.12 ms of Python and SQL for each
call in batches of 16 and more; the commit, which a batch shares, is shown beside it.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from piper.artifacts import ArtifactStore
from piper.model import wire
from piper.model.events import Succeeded
from piper.model.ids import instance_id
from piper.model.run import Identity
from piper.model.spec import SourceLocation, TaskSpec, WorkflowSpec, encode_spec, spec_hash
from piper.secrets import Keys
from piper.service import SystemClock, Wakeups
from piper.store.database import Database
from piper.store.migrations import migrate
from piper.store.schema import run, spec, task_instance, xcom
from piper.task_api.api import TaskApi
from piper.task_api.tokens import Tokens

BATCHES = (1, 8, 16, 64)
TASKS = 1536
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def fill(database: Database) -> list[Identity]:
    """One run whose tasks are all queued."""
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
                    "state": "queued",
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
    encoder = msgspec.msgpack.Encoder()
    figures = {}
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
