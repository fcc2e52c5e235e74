"""What publishing leaves in the database, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from piper.model.bundle import FileEntry
from piper.model.errors import FenceLost
from piper.model.events import SpecPublished
from piper.model.ids import SERIALIZER_SHARD, shard_of
from piper.model.schedule import DataInterval, RunDates
from piper.model.spec import AssetRef, SourceLocation, TaskSpec, WorkflowSpec, decode_spec, encode_spec, spec_hash
from piper.model.states import RunState, RunType
from piper.serializer.bundles import Bundle
from piper.serializer.changes import FileName, Tree
from piper.serializer.outcomes import CheckedSpec, FailedFile, LoadedFile
from piper.serializer.publish import Publication, Publisher
from piper.store import schema
from piper.store.bundles import bundle_rows, bundles_to_refresh, source_files
from piper.store.database import Database, Fence
from piper.store.events import pending_events
from piper.store.snapshots import all_manifests, delete_snapshots, manifest_of, unused_snapshots
from piper.store.workflows import delete_specs, unused_specs

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAGS = Bundle(name="dags", team="red", folder=Path("/dags"))


def tree(name: str) -> Tree:
    return Tree(name, {"a.py": FileEntry(f"content of {name}", 1)}, "engine")


CHUNK = 5
T1, T2 = tree("snapshot-1"), tree("snapshot-2")


def checked(workflow_id: str, **fields: Any) -> CheckedSpec:
    tasks = (TaskSpec("t", "m.Operator"),)
    spec = WorkflowSpec(workflow_id, SourceLocation("a.py", 1), tasks=tasks, **fields)
    body = encode_spec(spec)
    return CheckedSpec(spec, body.decode(), spec_hash(body))


def loaded(file: str, *specs: CheckedSpec, **fields: Any) -> LoadedFile:
    return LoadedFile(file=file, specs=specs, imports=(file,), seconds=0.5, **fields)


def failed(file: str, message: str = "ValueError: x") -> FailedFile:
    return FailedFile(file=file, message=message, traceback="Traceback…", error_file="lib.py", line=7, seconds=0.5)


class Desk:
    """A publisher, and what it has written, seen from outside."""

    def __init__(self, database: Database, fence: Fence, *, paused: bool = False) -> None:
        self.database = database
        self.fence = fence
        self.publisher = Publisher(database, paused=paused)
        self.begin()

    def begin(self, *bundles: Bundle) -> None:
        """Begin a term."""
        self.publisher.read(bundles or (DAGS,))
        self.publisher.introduce(bundles or (DAGS,), self.fence, NOW)

    def publish(self, *files: LoadedFile | FailedFile, tree: Tree = T1, bundle: Bundle = DAGS) -> list[SpecPublished]:
        """Publish, and return the news for the owners of workflows."""
        publication = Publication(
            bundle=bundle,
            tree=tree,
            loaded=[one for one in files if isinstance(one, LoadedFile)],
            failed=[one for one in files if isinstance(one, FailedFile)],
        )
        told = self.publisher.publish(publication, self.fence, NOW)
        news = self.news()
        assert told == len(news)
        return news

    def news(self) -> list[SpecPublished]:
        """The events since the last time."""
        with self.database.write() as connection:
            stored = pending_events(connection, range(256), 10_000)
            connection.execute(schema.event.delete())
        assert all(isinstance(one.event, SpecPublished) for one in stored)
        events = [one.event for one in stored if isinstance(one.event, SpecPublished)]
        assert [one.shard for one in stored] == [shard_of(event.workflow_id) for event in events]
        return events

    def workflow(self, workflow_id: str) -> Any:
        with self.database.read() as connection:
            return connection.execute(
                schema.workflow.select().where(schema.workflow.c.workflow_id == workflow_id)
            ).one()

    def versions(self, workflow_id: str) -> list[tuple[int, str]]:
        table = schema.workflow_version
        with self.database.read() as connection:
            rows = connection.execute(
                select(table.c.version, table.c.spec_hash)
                .where(table.c.workflow_id == workflow_id)
                .order_by(table.c.version)
            )
            return [(row.version, row.spec_hash) for row in rows]

    def file(self, path: str) -> Any:
        with self.database.read() as connection:
            return connection.execute(schema.source_file.select().where(schema.source_file.c.path == path)).one()

    def make_run(
        self, workflow_id: str, spec: CheckedSpec, *, state: RunState = RunState.SUCCESS, snapshot: str = "s"
    ) -> None:
        values = {
            "workflow_id": workflow_id,
            "run_id": f"manual__{spec.hash}",
            "shard": shard_of(workflow_id),
            "team": "red",
            "run_type": RunType.MANUAL,
            "state": state,
            "run_after": NOW,
            "spec_hash": spec.hash,
            "snapshot": snapshot,
            "bundle": "dags",
            "file": "a.py",
            "conf": {},
            "created_at": NOW,
        }
        with self.database.write() as connection:
            connection.execute(schema.run.insert().values(**values))


@pytest.fixture
def desk(database: Database, fence: Fence, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr("piper.serializer.publish.CHUNK", CHUNK)
    return Desk(database, fence)


def test_a_new_workflow_has_its_row_its_version_its_spec_and_an_event(desk: Desk) -> None:
    one = checked("w", owner="ann", tags=("x", "y"), display_name="W", description="does", max_active_runs=3)
    assert desk.publish(loaded("a.py", one)) == [SpecPublished("w", one.hash)]
    row = desk.workflow("w")
    assert (row.team, row.bundle, row.file, row.version, row.spec_hash, row.snapshot) == (
        "red",
        "dags",
        "a.py",
        1,
        one.hash,
        "snapshot-1",
    )
    assert (row.owner, row.tags, row.display_name, row.description, row.max_active_runs) == (
        "ann",
        ["x", "y"],
        "W",
        "does",
        3,
    )
    assert (row.shard, row.paused, row.stale, row.planned_spec) == (shard_of("w"), False, False, "")
    assert desk.versions("w") == [(1, one.hash)]
    with desk.database.read() as connection:
        body = connection.execute(select(schema.spec.c.body)).scalar_one()
    assert decode_spec(body) == one.spec


@pytest.mark.parametrize(("setting", "said", "paused"), [(True, None, True), (True, False, False), (False, True, True)])
def test_a_new_workflow_is_paused_as_its_author_says_or_else_as_the_setting(
    database: Database, fence: Fence, setting: bool, said: bool | None, paused: bool
) -> None:
    desk = Desk(database, fence, paused=setting)
    desk.publish(loaded("a.py", checked("w", paused_upon_creation=said)))
    assert desk.workflow("w").paused is paused


def test_publishing_the_same_again_changes_nothing_and_tells_nobody(desk: Desk) -> None:
    desk.publish(loaded("a.py", checked("w")))
    before = desk.workflow("w")
    assert desk.publish(loaded("a.py", checked("w"))) == []
    assert desk.workflow("w") == before


def test_a_change_is_a_new_version_once_a_run_has_used_the_old_one(desk: Desk) -> None:
    first, second, third = (checked("w", description=text) for text in ("1", "2", "3"))
    desk.publish(loaded("a.py", first))
    desk.make_run("w", first)
    assert desk.publish(loaded("a.py", second)) == [SpecPublished("w", second.hash)]
    assert desk.versions("w") == [(1, first.hash), (2, second.hash)]
    desk.make_run("w", second)
    desk.publish(loaded("a.py", third))
    assert [number for number, _ in desk.versions("w")] == [1, 2, 3]
    assert desk.workflow("w").version == 3


def test_a_workflow_that_says_another_thing_at_each_load_does_not_inflate_versions(desk: Desk) -> None:
    for number in range(5):
        news = desk.publish(loaded("a.py", last := checked("w", description=f"loaded at {number}")))
        assert news == [SpecPublished("w", last.hash)]
    assert desk.versions("w") == [(1, last.hash)]
    row = desk.workflow("w")
    assert (row.version, row.spec_hash, row.description) == (1, last.hash, "loaded at 4")


def test_the_columns_of_the_owner_of_the_shard_are_left_alone(desk: Desk) -> None:
    desk.publish(loaded("a.py", checked("w")))
    dates = RunDates(NOW, DataInterval(NOW, NOW), NOW)
    with desk.database.write() as connection:
        values = {"paused": True, "last_dates": dates, "next_dates": dates, "next_run_after": NOW, "planned_spec": "p"}
        connection.execute(schema.workflow.update().values(consecutive_failures=2, **values))
    desk.publish(loaded("a.py", checked("w", description="new", paused_upon_creation=False)), tree=T2)
    row = desk.workflow("w")
    assert (row.paused, row.last_dates, row.next_dates, row.next_run_after) == (True, dates, dates, NOW)
    assert (row.planned_spec, row.consecutive_failures) == ("p", 2)


def test_a_loaded_file_moves_its_workflows_to_its_snapshot_without_news(desk: Desk) -> None:
    desk.publish(loaded("a.py", checked("w"), checked("v")), loaded("b.py", checked("u")))
    assert desk.publish(loaded("a.py", checked("w"), checked("v")), tree=T2) == []
    assert [desk.workflow(one).snapshot for one in "wvu"] == ["snapshot-2", "snapshot-2", "snapshot-1"]


def test_adopting_a_snapshot_moves_the_files_that_are_not_loaded_again(desk: Desk) -> None:
    desk.publish(loaded("a.py", checked("w")), loaded("b.py", checked("u")))
    desk.publisher.adopt(DAGS, T2, ["b.py"], desk.fence, NOW)
    assert [desk.workflow(one).snapshot for one in "wu"] == ["snapshot-1", "snapshot-2"]
    assert desk.news() == []
    with desk.database.read() as connection:
        assert bundle_rows(connection)["dags"].snapshot == "snapshot-2"
        assert manifest_of(connection, "snapshot-2") == T2.manifest


def test_a_failed_file_keeps_its_last_good_version_and_names_its_owners(desk: Desk) -> None:
    good = checked("w", owner="bea, ann")
    desk.publish(loaded("a.py", good, checked("v", owner="cleo")))
    assert desk.publish(failed("a.py"), tree=T2) == []
    row = desk.workflow("w")
    assert (row.spec_hash, row.snapshot, row.stale) == (good.hash, "snapshot-1", False)
    file = desk.file("a.py")
    assert (file.error, file.error_file, file.error_line) == ("ValueError: x\n\nTraceback…", "lib.py", 7)
    assert (file.owners, file.workflows, file.team) == (["ann", "bea", "cleo"], 2, "red")
    assert file.failed_at == NOW


def test_a_file_that_loads_again_has_no_error_any_more(desk: Desk) -> None:
    desk.publish(failed("a.py"))
    desk.publish(loaded("a.py", checked("w")))
    file = desk.file("a.py")
    assert (file.error, file.error_file, file.error_line, file.owners, file.failed_at) == (None,) * 5
    assert file.loaded_at == NOW


def test_a_workflow_that_its_file_no_longer_defines_is_announced_as_stale(desk: Desk) -> None:
    desk.publish(loaded("a.py", checked("w"), checked("v")))
    assert desk.publish(loaded("a.py", checked("w"))) == [SpecPublished("v", stale=True)]
    assert desk.publish(loaded("a.py", checked("w"))) == []


def test_withdrawn_files_take_their_workflows_with_them(desk: Desk) -> None:
    desk.publish(loaded("a.py", checked("w")), loaded("b.py", checked("v")))
    assert desk.publisher.withdraw(DAGS, ["a.py"], desk.fence, NOW) == 1
    assert desk.news() == [SpecPublished("w", stale=True)]
    with desk.database.read() as connection:
        assert set(source_files(connection, "dags")) == {"b.py"}


@pytest.mark.parametrize("applied", [True, False])
def test_a_workflow_that_comes_back_is_news_and_runs_from_the_new_snapshot(desk: Desk, applied: bool) -> None:
    one = checked("w")
    desk.publish(loaded("a.py", one))
    desk.publisher.withdraw(DAGS, ["a.py"], desk.fence, NOW)
    desk.news()
    if applied:  # by the owner of the shard, before the file comes back
        with desk.database.write() as connection:
            connection.execute(schema.workflow.update().values(stale=True))
    assert desk.publish(loaded("a.py", one), tree=T2) == [SpecPublished("w", one.hash)]
    assert desk.workflow("w").snapshot == "snapshot-2"
    assert desk.versions("w") == [(1, one.hash)]


def test_a_workflow_that_moves_to_another_file_keeps_its_version_and_is_never_stale(desk: Desk) -> None:
    one = checked("w")
    desk.publish(loaded("a.py", one))
    assert desk.publish(loaded("b.py", one)) == []
    assert desk.publisher.withdraw(DAGS, ["a.py"], desk.fence, NOW) == 0
    row = desk.workflow("w")
    assert (row.file, row.version) == ("b.py", 1)


def test_two_files_that_swap_their_workflows_at_once_lose_none(desk: Desk) -> None:
    desk.publish(loaded("a.py", checked("w")), loaded("b.py", checked("v")))
    assert desk.publish(loaded("a.py", checked("v")), loaded("b.py", checked("w"))) == []
    assert (desk.workflow("w").file, desk.workflow("v").file) == ("b.py", "a.py")


def test_a_new_term_knows_what_the_one_before_has_written(desk: Desk) -> None:
    desk.publish(loaded("a.py", checked("w")), failed("b.py"))
    files = desk.publisher.files["dags"]
    desk.begin()
    assert desk.publisher.claims.holder("w") == FileName("dags", "a.py")
    assert desk.publisher.files["dags"] == files
    assert files["a.py"].hash == T1.load_key("a.py", ["a.py"])
    assert files["b.py"].hash == T1.failure_key


def test_a_bundle_that_is_none_any_more_leaves_only_stale_workflows(desk: Desk) -> None:
    desk.publish(loaded("a.py", checked("w")))
    other = Bundle(name="other", team="blue", folder=Path("/other"))
    desk.begin(other)
    assert desk.news() == [SpecPublished("w", stale=True)]
    with desk.database.read() as connection:
        assert set(bundle_rows(connection)) == {"other"}
        assert source_files(connection, "dags") == {}
        assert bundles_to_refresh(connection) == {"other"}


def test_another_team_takes_over_with_the_bundle(desk: Desk) -> None:
    desk.publish(loaded("a.py", checked("w")))
    desk.begin(Bundle(name="dags", team="blue", folder=Path("/dags")))
    assert desk.workflow("w").team == "blue"
    assert desk.file("a.py").team == "blue"


def test_workflows_made_by_hand_have_a_holder_too(desk: Desk) -> None:
    by_hand = Bundle(name="api", team="red", folder=Path("/"), kind="api")
    desk.publisher.files["api"] = {}
    desk.publish(loaded("x", checked("w")), bundle=by_hand)
    desk.begin()
    assert desk.publisher.holders(["w", "v"], [DAGS]) == {"w": FileName("api", "x")}
    desk.publisher.claims.drop("api")  # as if it had been made after this term began
    assert desk.publisher.holders(["w", "v"], [DAGS]) == {"w": FileName("api", "x")}


def test_operators_of_a_bundle_are_its_own_and_installed_ones_everybodys(desk: Desk) -> None:
    schemas = {"piper.operators.bash.BashOperator": {"v": 1}, "piper_file_1.Do": {"v": 1}}
    desk.publish(loaded("a.py", operators=schemas))
    desk.publish(loaded("a.py", operators={path: {"v": 2} for path in schemas}))
    with desk.database.read() as connection:
        rows = connection.execute(schema.operator.select().order_by(schema.operator.c.path)).all()
    assert [tuple(row) for row in rows] == [
        ("piper.operators.bash.BashOperator", "", "", {"v": 2}),
        ("piper_file_1.Do", "dags", "red", {"v": 2}),
    ]


def test_many_workflows_are_published_in_chunks_and_none_is_lost(desk: Desk) -> None:
    specs = [checked(f"w{number}") for number in range(2 * CHUNK + 7)]
    commits = count_commits(desk.database, lambda: len(desk.publish(loaded("a.py", *specs))))
    with desk.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(schema.workflow)).scalar() == len(specs)
    assert commits == 5  # four of the publication, one of the test that reads the events


def count_commits(database: Database, act: Any) -> int:
    counted = 0

    def hook(when: str) -> None:
        nonlocal counted
        counted += when == "after"

    database._commit_hook = hook  # what a simulation sets
    act()
    database._commit_hook = None
    return counted


# --- faults -------------------------------------------------------------------------------------------


class Killed(BaseException):
    """kill -9."""


@pytest.mark.parametrize("crash", range(6))
def test_a_crash_in_the_middle_leaves_each_workflow_whole_and_the_file_to_be_loaded_again(
    desk: Desk, crash: int
) -> None:
    """F30, between any two commits: every workflow has its old version or its new one."""
    old = [checked(f"w{number}") for number in range(2 * CHUNK + 7)]
    new = [checked(f"w{number}", description="new") for number in range(2 * CHUNK + 7)]
    desk.publish(loaded("a.py", *old))
    desk.make_run("w0", old[0])
    hash_before = desk.file("a.py").hash
    commits = 0

    def die(when: str) -> None:
        nonlocal commits
        commits += 1
        if commits > crash:
            raise Killed

    desk.database._commit_hook = die
    with pytest.raises(Killed):
        desk.publish(loaded("a.py", *new), tree=T2)
    desk.database._commit_hook = None
    good = {one.spec.workflow_id: {one.hash} for one in old}
    for one in new:
        good[one.spec.workflow_id].add(one.hash)
    with desk.database.read() as connection:
        rows = connection.execute(schema.workflow.select()).all()
        bodies = set(connection.execute(select(schema.spec.c.hash)).scalars())
    assert len(rows) == len(old)
    for row in rows:
        assert row.spec_hash in good[row.workflow_id]
        assert row.spec_hash in bodies
        assert desk.versions(row.workflow_id)[-1] == (row.version, row.spec_hash)
    if crash < 5:  # the sixth hook comes after the last commit
        assert desk.file("a.py").hash == hash_before
    told = {event.workflow_id for event in desk.news()}
    desk.begin()
    told |= {event.workflow_id for event in desk.publish(loaded("a.py", *new), tree=T2)}
    assert told == good.keys()
    assert {row.spec_hash for row in map(desk.workflow, good)} == {one.hash for one in new}
    assert desk.workflow("w0").version == 2
    assert desk.workflow("w1").version == 1


def test_who_has_lost_the_fence_writes_nothing(desk: Desk) -> None:
    """F31: of two serializers one has the shard; the other finds out before it writes."""
    desk.publish(loaded("a.py", checked("w")))
    before = desk.workflow("w")
    with desk.database.write() as connection:
        connection.execute(
            schema.shard.update().where(schema.shard.c.shard == SERIALIZER_SHARD).values(owner="other", epoch=2)
        )
    publication = Publication(bundle=DAGS, tree=T2, loaded=[loaded("a.py", checked("w", description="late"))])
    with pytest.raises(FenceLost):
        desk.publisher.publish(publication, desk.fence, NOW)
    with pytest.raises(FenceLost):
        desk.publisher.withdraw(DAGS, ["a.py"], desk.fence, NOW)
    with pytest.raises(FenceLost):
        desk.publisher.adopt(DAGS, T2, ["a.py"], desk.fence, NOW)
    assert desk.workflow("w") == before
    assert desk.news() == []


# --- garbage ------------------------------------------------------------------------------------------


def save(desk: Desk, trees: Iterable[Tree], at: datetime) -> None:
    for one in trees:
        desk.publisher.adopt(DAGS, one, [], desk.fence, at)


def test_snapshots_that_something_uses_or_that_are_young_are_kept(desk: Desk) -> None:
    old = NOW - timedelta(days=60)
    names = ("s-run", "s-workflow", "s-ran", "s-never", "s-current")
    save(desk, map(tree, names), old)
    one = checked("w")
    desk.publish(loaded("a.py", one), tree=tree("s-workflow"))
    desk.make_run("w", one, state=RunState.RUNNING, snapshot="s-run")
    desk.make_run("w", checked("w", description="x"), state=RunState.SUCCESS, snapshot="s-ran")
    with desk.database.write() as connection:
        assert unused_snapshots(connection, old, old) == set()
        assert unused_snapshots(connection, old, NOW) == {"s-never"}
        assert unused_snapshots(connection, NOW, old) == {"s-never", "s-ran"}
        delete_snapshots(connection, {"s-never", "s-ran"})
        assert set(all_manifests(connection)) == {"s-run", "s-workflow", "s-current"}
        assert all_manifests(connection)["s-run"] == tree("s-run").manifest


def test_specs_that_nothing_refers_to_are_garbage(desk: Desk) -> None:
    first, second, third = (checked("w", description=text) for text in ("1", "2", "3"))
    desk.publish(loaded("a.py", first))
    desk.publish(loaded("a.py", second))
    desk.make_run("w", second)
    desk.publish(loaded("a.py", third))
    with desk.database.write() as connection:
        assert unused_specs(connection) == {first.hash}
        delete_specs(connection, {first.hash})
        assert unused_specs(connection) == set()


# --- assets ---------------------------------------------------------------------------------------


def making(workflow_id: str, *outlets: AssetRef) -> CheckedSpec:
    spec = WorkflowSpec(workflow_id, SourceLocation("a.py", 1), tasks=(TaskSpec("t", "m.Operator", outlets=outlets),))
    body = encode_spec(spec)
    return CheckedSpec(spec, body.decode(), spec_hash(body))


def active(desk: Desk) -> list[tuple[str, str]]:
    """(team, name) of active assets."""
    table = schema.asset
    with desk.database.read() as connection:
        rows = connection.execute(select(table.c.team, table.c.name).where(table.c.active).order_by(table.c.name))
        return [(row.team, row.name) for row in rows]


def test_assets_that_a_file_names_come_and_go_with_it(desk: Desk) -> None:
    desk.publish(loaded("a.py", making("w", AssetRef("orders", "s3://orders"))))
    assert active(desk) == [("red", "orders")]
    desk.publish(loaded("a.py", making("w", AssetRef("sales", "s3://sales"))))
    assert active(desk) == [("red", "sales")]
    desk.publisher.withdraw(DAGS, ["a.py"], desk.fence, NOW)
    assert active(desk) == []
    desk.news()
    desk.publish(loaded("a.py", making("w", AssetRef("sales", "s3://sales"))))
    assert active(desk) == [("red", "sales")]


def test_a_workflow_that_a_file_no_longer_defines_names_no_assets(desk: Desk) -> None:
    desk.publish(loaded("a.py", making("w", AssetRef("orders", "s3://orders")), checked("v")))
    desk.publish(loaded("a.py", checked("v")))
    assert active(desk) == []


def test_two_assets_with_one_uri_are_said_to_clash(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.publish(loaded("a.py", making("w", AssetRef("orders", "s3://orders"))))
    desk.publish(loaded("b.py", making("v", AssetRef("rival", "s3://orders"))))
    assert active(desk) == [("red", "orders")]
    assert "workflow v: asset (name 'rival', URI 's3://orders') is not active" in caplog.text


def test_the_assets_of_a_bundle_go_to_its_new_team(desk: Desk) -> None:
    desk.publish(loaded("a.py", making("w", AssetRef("orders", "s3://orders"))))
    desk.publisher.introduce((replace(DAGS, team="blue"),), desk.fence, NOW)
    assert active(desk) == [("blue", "orders")]


def test_what_is_published_again_unchanged_writes_nothing_of_assets(desk: Desk) -> None:
    desk.publish(loaded("a.py", making("w", AssetRef("orders", "s3://orders"))))
    with desk.database.write() as connection:
        connection.execute(schema.asset_reference.delete())  # so that a write would show
    desk.publish(loaded("a.py", making("w", AssetRef("orders", "s3://orders"))), tree=T2)
    with desk.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(schema.asset_reference)).scalar_one() == 0
