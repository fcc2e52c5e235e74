"""The serializer as it follows a folder, with real children and a real database."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from sqlalchemy import select

from piper.model.events import SpecPublished
from piper.model.ids import SERIALIZER_SHARD
from piper.secrets import Keys
from piper.serializer.bundles import Bundle, BundleLimits
from piper.serializer.service import CLEAN_SECONDS, IDLE_SECONDS, SerializerService
from piper.serializer.snapshots import SnapshotStore
from piper.serializer.supervisor import Loader
from piper.service import Wakeups
from piper.store import schema
from piper.store.commands import delete_workflow, request_reload
from piper.store.database import Database, Fence
from piper.store.events import pending_events
from tests.clock import FakeClock
from tests.integration.serializer.conftest import DO, LIMITS, defining

TIMEOUT = 30.0
SLOW = "import time\ntime.sleep(0.3)\n"
"""A file that begins with this is loaded after others."""


class Office:
    """A serializer at work on `dags`, driven tick by tick."""

    def __init__(self, url: str, home: Path, dags: Path, **options: Any) -> None:
        self.database = Database(url)
        self.home, self.dags = home, dags
        self.clock = FakeClock()
        self.epoch: int | None = 1
        self.loader = Loader(limits=LIMITS, hidden=[home], environment=options.pop("environment", {}))
        bundles = options.pop("bundles", [Bundle(name="dags", team="red", folder=dags)])
        self.wakeups = Wakeups()
        self.keys = Keys.load(home / "secret.key.of.tests")
        self.service = SerializerService(
            self.database,
            self,
            self.clock,
            self.wakeups,
            bundles=bundles,
            snapshots=SnapshotStore(home),
            loader=self.loader,
            keys=self.keys,
            **options,
        )
        self.take(1)

    def fence(self) -> Fence | None:
        """The term of the service."""
        return None if self.epoch is None else Fence("test", {SERIALIZER_SHARD: self.epoch})

    def take(self, epoch: int, owner: str = "test") -> None:
        """Let somebody own the shard."""
        with self.database.write() as connection:
            statement = schema.shard.update().where(schema.shard.c.shard == SERIALIZER_SHARD)
            connection.execute(statement.values(owner=owner, epoch=epoch))

    def write(self, **files: str) -> None:
        """`write(a="text of a.py")`."""
        for name, text in files.items():
            path = self.dags / f"{name}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)

    def refresh(self) -> None:
        """Ask for it, as the web server does."""
        with self.database.write() as connection:
            connection.execute(schema.bundle.update().values(refreshed_at=None))

    def remove(self, *names: str) -> None:
        for name in names:
            (self.dags / f"{name}.py").unlink()

    def settle(self, **files: str) -> set[str]:
        """Write files, let the service do all that follows; returns the files that it has loaded."""
        self.write(**files)
        self.clock.advance(2)
        loaded: set[str] = set()
        start = self.loader.start

        def noted(request: Any) -> int:
            loaded.add(request.file.removesuffix(".py"))
            return start(request)

        self.loader.start = noted  # type: ignore[method-assign]
        deadline = time.monotonic() + TIMEOUT
        while True:
            self.service.tick()
            if self.service.settled:
                break
            self.clock.advance(0.05)
            assert time.monotonic() < deadline, "the serializer does not come to rest"
        self.loader.start = start  # type: ignore[method-assign]
        return loaded

    def rows(self, table: Any) -> dict[str, Any]:
        with self.database.read() as connection:
            return {
                row[0] if table is not schema.source_file else row.path: row
                for row in connection.execute(table.select())
            }

    @property
    def workflows(self) -> dict[str, Any]:
        return self.rows(schema.workflow)

    @property
    def errors(self) -> dict[str, Any]:
        return {path: row for path, row in self.rows(schema.source_file).items() if row.error is not None}

    def snapshot_of(self, workflow_id: str) -> Path:
        return self.home / "snapshots" / self.workflows[workflow_id].snapshot

    def news(self) -> list[SpecPublished]:
        """The events since the last time."""
        with self.database.write() as connection:
            stored = pending_events(connection, range(256), 10_000)
            connection.execute(schema.event.delete())
        return [one.event for one in stored if isinstance(one.event, SpecPublished)]

    def close(self) -> None:
        self.service.on_stop()
        self.database.close()


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    folder = tmp_path / "dags"
    folder.mkdir()
    return folder


@pytest.fixture
def office(sqlite_url: str, home: Path, dags: Path) -> Iterator[Office]:
    office = Office(sqlite_url, home, dags)
    yield office
    office.close()


def test_a_folder_of_files_becomes_workflows_that_run_from_a_snapshot(office: Office) -> None:
    assert office.settle(a=defining("w", "v"), b=defining("u"), plain="x = 1\n") == {"a", "b"}
    assert {one: row.file for one, row in office.workflows.items()} == {"w": "a.py", "v": "a.py", "u": "b.py"}
    assert (office.snapshot_of("w") / "a.py").read_text() == defining("w", "v")
    assert (office.snapshot_of("w") / "plain.py").exists()
    assert {event.workflow_id for event in office.news()} == {"w", "v", "u"}


def test_news_wake_the_scheduler_and_rest_wakes_nobody(office: Office) -> None:
    signal = office.wakeups.listen("scheduler")
    office.settle(a=defining("w"))
    assert signal.wait(0)
    office.settle()
    assert not signal.wait(0)


def test_nothing_is_loaded_or_written_while_nothing_changes(office: Office) -> None:
    office.settle(a=defining("w"))
    commits: list[str] = []
    office.database._commit_hook = commits.append
    for _ in range(5):
        assert office.settle() == set()
    assert commits == []


def test_a_look_that_had_to_read_files_does_not_put_off_the_next(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = SnapshotStore.keep

    def slowly(store: SnapshotStore, file: BinaryIO) -> tuple[str, int]:
        office.clock.advance(1.0)
        return keep(store, file)

    monkeypatch.setattr(SnapshotStore, "keep", slowly)
    office.settle(a=defining("w"))
    assert office.settle(a=defining("v")) == {"a"}, "two seconds later"


def test_a_snapshot_that_somebody_removed_is_made_again(office: Office) -> None:
    office.settle(a=defining("w"))
    shutil.rmtree(office.home / "snapshots")
    shutil.rmtree(office.home / "blobs")
    assert office.settle() == set()
    assert (office.snapshot_of("w") / "a.py").read_text() == defining("w")


def test_a_restart_loads_nothing_that_is_published(office: Office, sqlite_url: str) -> None:
    office.settle(a=defining("w"), b="import absent\n" + defining("v"))
    office.news()
    again = Office(sqlite_url, office.home, office.dags)
    assert again.settle() == set()
    assert again.news() == []
    assert set(again.errors) == {"b.py"}
    again.close()


def test_a_restart_with_another_environment_loads_all_files_again(office: Office, sqlite_url: str) -> None:
    by_stage = "import os\n" + DO + "dag = DAG(os.environ.get('STAGE', 'none'))\n"
    office.settle(a=by_stage)
    office.news()
    again = Office(sqlite_url, office.home, office.dags, environment={"STAGE": "prod"})
    assert again.settle() == {"a"}
    assert {event.workflow_id for event in again.news()} == {"none", "prod"}
    again.close()


# --- what is loaded again -----------------------------------------------------------------------------


def test_a_change_loads_the_files_that_read_what_changed_and_moves_all_to_the_new_snapshot(office: Office) -> None:
    office.settle(
        a="import lib.deep\n" + defining("w"),
        b=defining("v"),
        **{"lib/__init__": "", "lib/deep": "import lib.deeper\n", "lib/deeper": "x = 1\n"},
    )
    before = {one: row.snapshot for one, row in office.workflows.items()}
    versions = {one: row.version for one, row in office.workflows.items()}
    office.news()
    assert office.settle(**{"lib/deeper": "x = 2\n"}) == {"a"}
    after = {one: row.snapshot for one, row in office.workflows.items()}
    assert len(set(after.values())) == 1
    assert set(after.values()).isdisjoint(before.values())
    assert {one: row.version for one, row in office.workflows.items()} == versions
    assert office.news() == []


def test_a_changed_data_file_or_directory_loads_the_file_that_reads_it(office: Office) -> None:
    factory = (
        "import os, pathlib\n" + DO + "here = pathlib.Path(__file__).parent / 'conf'\n"
        "for name in sorted(os.listdir(here)):\n"
        "    with DAG(name, description=(here / name).read_text()):\n        Do(task_id='t')\n"
    )
    (office.dags / "conf").mkdir()
    (office.dags / "conf/one").write_text("first")
    office.settle(factory=factory, other=defining("o"))
    assert set(office.workflows) == {"one", "o"}
    (office.dags / "conf/two").write_text("second")
    assert office.settle() == {"factory"}
    assert set(office.workflows) == {"one", "two", "o"}
    (office.dags / "conf/one").write_text("changed")
    assert office.settle() == {"factory"}
    assert office.workflows["one"].description == "changed"


def test_a_file_that_lacked_a_module_is_loaded_when_that_comes(office: Office) -> None:
    office.settle(a="import later\n" + defining("w"))
    assert set(office.errors) == {"a.py"}
    assert office.settle(later="") == {"a"}
    assert office.errors == {}
    assert set(office.workflows) == {"w"}


def test_a_file_that_failed_is_tried_again_after_a_while_and_on_demand(office: Office) -> None:
    office.settle(
        a="raise ConnectionError('the service is away')  # airflow dag\n", b="raise ValueError  # airflow dag\n"
    )
    office.clock.advance(299)
    assert office.settle() == {"a", "b"}
    office.refresh()
    assert office.settle() == {"a", "b"}
    assert office.settle() == set()


def test_a_deleted_workflow_that_its_file_still_defines_is_made_anew(office: Office) -> None:
    office.settle(a=defining("w"), b=defining("v"))
    office.news()
    with office.database.write() as connection:
        delete_workflow(connection, "w", office.clock.now())
        request_reload(connection, "dags", "a.py", office.clock.now())
    assert office.settle() == {"a"}
    assert set(office.workflows) == {"w", "v"}
    assert [event.workflow_id for event in office.news()] == ["w"]
    assert office.settle() == set()


def test_a_bundle_may_want_its_files_loaded_again_at_an_interval(sqlite_url: str, home: Path, dags: Path) -> None:
    bundle = Bundle(name="dags", team="red", folder=dags, reload_interval=timedelta(minutes=1))
    office = Office(sqlite_url, home, dags, bundles=[bundle])
    office.settle(a=defining("w"))
    assert office.settle() == set()
    office.clock.advance(60)
    assert office.settle() == {"a"}
    office.close()


# --- what goes wrong ----------------------------------------------------------------------------------


def test_the_last_good_version_stays_active_with_its_snapshot_while_a_file_fails(office: Office) -> None:
    office.settle(a=DO + "with DAG('w', default_args={'owner': 'ann'}):\n    Do(task_id='t')\n", b=defining("v"))
    good = office.workflows["w"]
    office.news()
    office.settle(a="x = (  # airflow dag\n")
    assert office.workflows["w"] == good
    assert office.workflows["v"].snapshot != good.snapshot
    error = office.errors["a.py"]
    assert (error.error_file, error.error_line, error.owners, error.workflows) == ("a.py", 1, ["ann"], 1)
    assert "was never closed" in error.error
    assert office.news() == []
    office.settle(c=defining("u"))
    assert office.workflows["w"].snapshot == good.snapshot
    office.refresh()
    assert office.settle() == {"a"}
    assert office.workflows["w"].snapshot == good.snapshot
    office.settle(a=defining("w"))
    assert office.errors == {}
    assert office.workflows["w"].snapshot == office.workflows["u"].snapshot


def test_a_file_that_hangs_delays_no_other(office: Office) -> None:
    office.write(hang="import time\ntime.sleep(600)  # airflow dag\n", a=defining("w"))
    office.clock.advance(2)
    deadline = time.monotonic() + TIMEOUT
    while "w" not in office.workflows:
        office.service.tick()
        office.clock.advance(0.1)
        assert time.monotonic() < deadline
    office.write(b=defining("v"))  # what changes while the other still hangs is seen too
    while "v" not in office.workflows:
        office.service.tick()
        office.clock.advance(0.1)
        assert time.monotonic() < deadline
    assert office.errors == {}
    assert not office.service.settled
    office.settle(hang=defining("mended"))  # and its author need not wait for the limit
    assert office.errors == {}
    assert set(office.workflows) == {"w", "v", "mended"}


def test_a_duplicate_id_is_an_error_of_the_second_file_until_the_first_gives_it_up(office: Office) -> None:
    office.settle(a=defining("w", "v"))
    office.settle(b=defining("u", "w"))
    error = office.errors["b.py"]
    assert "workflow id 'w' is already defined in a.py" in error.error
    assert error.error_line == 6
    assert {one: row.file for one, row in office.workflows.items()} == {"w": "a.py", "v": "a.py"}
    office.settle(a=SLOW + defining("v"))  # so that the second file is loaded first, and has to wait
    assert office.errors == {}
    assert {one: row.file for one, row in office.workflows.items()} == {"w": "b.py", "u": "b.py", "v": "a.py"}


def test_of_two_new_files_with_one_id_exactly_one_has_it(office: Office) -> None:
    office.settle(a=defining("w"), b=defining("w"))
    assert len(office.errors) == 1
    assert set(office.workflows) == {"w"}


def test_another_teams_file_is_not_named_in_an_error(sqlite_url: str, home: Path, dags: Path, tmp_path: Path) -> None:
    (tmp_path / "blue").mkdir()
    bundles = [
        Bundle(name="dags", team="red", folder=dags),
        Bundle(name="blue", team="blue", folder=tmp_path / "blue"),
    ]
    office = Office(sqlite_url, home, dags, bundles=bundles)
    office.settle(secret_plan=defining("w"))
    (tmp_path / "blue/b.py").write_text(defining("w"))
    office.settle()
    error = office.errors["b.py"]
    assert "is already defined elsewhere" in error.error
    assert "secret_plan" not in error.error
    assert error.team == "blue"
    office.close()


def test_what_the_database_cannot_hold_is_an_error_of_its_file_alone(postgres_url: str, home: Path, dags: Path) -> None:
    office = Office(postgres_url, home, dags)
    hostile = (
        "import piper.serializer.child.loading as loading\nloading.operator_schemas = lambda dags: {'a\\0b': {}}\n"
    )
    office.settle(
        good=defining("good"),
        described=DO + "with DAG('described', description='a\\0b'):\n    Do(task_id='t')\n",
        hostile=hostile + defining("hostile"),
        raising="import piper\n# dag\nraise ValueError('a\\0b')",
        lines="import piper\n# dag\nraise SyntaxError('x', (__file__, 2**40, 1, ''))",
    )
    errors = {path: row.error.partition("\n")[0] for path, row in office.errors.items()}
    assert office.workflows.keys() == {"good"}
    assert errors.pop("lines.py").startswith("SyntaxError: x")
    assert errors == {
        "described.py": "a name, description, owner or tag holds a NUL: 'a\\x00b'",
        "hostile.py": "what it defines cannot be stored: a value cannot be stored: "
        "PostgreSQL text fields cannot contain NUL (0x00) bytes",
        "raising.py": "ValueError: a␀b",
    }
    office.settle(later=defining("later"))
    assert office.workflows.keys() == {"good", "later"}
    office.close()


def test_a_vanished_file_makes_its_workflows_stale_and_a_renamed_one_does_not(office: Office) -> None:
    office.settle(a=defining("w"), b=defining("v"))
    office.news()
    office.remove("a", "b")
    office.settle(c=SLOW + defining("v"))
    assert {(event.workflow_id, event.stale) for event in office.news()} == {("w", True), ("v", False)}
    assert office.workflows["v"].file == "c.py"
    assert set(office.rows(schema.source_file)) == {"c.py"}


def test_a_folder_that_is_away_takes_nothing_with_it(office: Office, tmp_path: Path) -> None:
    office.settle(a=defining("w"))
    office.news()
    office.dags.rename(tmp_path / "elsewhere")
    office.settle()
    assert "cannot be read" in office.rows(schema.bundle)["dags"].error
    assert office.news() == []
    (tmp_path / "elsewhere").rename(office.dags)
    office.settle()
    assert office.rows(schema.bundle)["dags"].error is None
    assert office.news() == []


def test_a_bundle_that_is_too_large_says_so_and_keeps_what_it_published(
    sqlite_url: str, home: Path, dags: Path, caplog: pytest.LogCaptureFixture
) -> None:
    office = Office(sqlite_url, home, dags, bundle_limits=BundleLimits(files=2))
    office.settle(a=defining("w"))
    with caplog.at_level(logging.ERROR):
        office.settle(b="", c="")
        office.settle()
    assert "more than 2 files: say in .piperignore" in office.rows(schema.bundle)["dags"].error
    assert len(caplog.records) == 1
    assert not office.workflows["w"].stale
    office.close()


# --- terms --------------------------------------------------------------------------------------------


def test_without_the_shard_nothing_is_done_and_with_it_all_is(office: Office) -> None:
    office.epoch = None
    office.write(a=defining("w"))
    office.service.tick()
    assert office.workflows == {}
    assert not office.service.settled
    office.epoch = 1
    office.settle()
    assert set(office.workflows) == {"w"}


def test_a_lost_fence_ends_the_work_and_a_new_term_begins_it_again(office: Office) -> None:
    office.settle(a=defining("w"))
    office.take(2, owner="other")
    office.write(a=defining("w", "v"))
    office.clock.advance(2)
    for _ in range(5):
        office.service.tick()
    assert set(office.workflows) == {"w"}
    assert office.loader.host is None
    office.take(3)
    office.epoch = 3
    office.settle()
    assert set(office.workflows) == {"w", "v"}


# --- chores -------------------------------------------------------------------------------------------


def test_the_host_of_loads_is_ended_when_there_is_nothing_to_load(office: Office) -> None:
    office.settle(a=defining("w"))
    assert office.loader.host is not None
    office.clock.advance(IDLE_SECONDS + 1)
    office.service.tick()
    assert office.loader.host is None
    office.settle(a=defining("w", "v"))
    assert set(office.workflows) == {"w", "v"}


def test_old_snapshots_that_nothing_uses_are_removed_and_others_are_not(office: Office) -> None:
    office.settle(a=defining("w"), b=defining("v"))
    first = office.snapshot_of("w")
    office.settle(a="x = (  # airflow dag\n")
    second = office.snapshot_of("v")
    office.settle(b=defining("v", "u"))
    assert first.exists()
    assert second.exists()
    office.clock.advance(timedelta(days=2).total_seconds())
    office.settle()
    assert first.exists()  # the broken file's last good version runs from it
    assert not second.exists()
    with office.database.read() as connection:
        known = set(connection.execute(select(schema.snapshot.c.hash)).scalars())
    assert known == {tree.name for tree in (office.home / "snapshots").iterdir()}
    office.clock.advance(CLEAN_SECONDS + 1)
    office.settle(c=defining("t"))
    assert (office.snapshot_of("t") / "b.py").exists()


def test_the_service_runs_in_a_thread_and_stops(office: Office) -> None:
    office.write(a=defining("w"))
    office.service.start()
    deadline = time.monotonic() + TIMEOUT
    while "w" not in office.workflows and time.monotonic() < deadline:
        office.service.signal.set()
    host = office.loader.host
    office.service.stop()
    assert "w" in office.workflows
    assert not office.service.running
    assert host is not None
    assert not Path(f"/proc/{host}").exists()
