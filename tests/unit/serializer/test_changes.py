"""Which files are loaded again, and who may define what."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from piper.model.bundle import FileEntry
from piper.model.schedule import AssetKey, AssetOrTimeTimetable, CustomTimetable, Schedule, Timetable
from piper.model.spec import SourceLocation, WorkflowSpec
from piper.serializer.changes import Claims, FileName, Tree, must_load, reload_interval, reload_moment
from piper.serializer.outcomes import FailedFile, LoadedFile, Outcome
from piper.store.bundles import SourceFile

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BEFORE = {"a.py": "a1", "lib.py": "l1", "conf/x.yaml": "x1", "other.py": "o1"}
READ = ("a.py", "conf/", "conf/x.yaml", "lib.py", "local.py")


def tree(files: dict[str, str], engine: str = "1") -> Tree:
    return Tree(str(sorted(files.items())), {path: FileEntry(text, 1) for path, text in files.items()}, engine)


def loaded(**fields: object) -> SourceFile:
    return SourceFile(path="a.py", hash=tree(BEFORE).load_key("a.py", READ), imports=READ, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({}, False),
        ({"other.py": "o2"}, False),
        ({"new.py": "n1"}, False),
        ({"a.py": "a2"}, True),
        ({"lib.py": "l2"}, True),
        ({"conf/x.yaml": "x2"}, True),
        ({"conf/y.yaml": "y1"}, True),
        ({"conf/deep/z.yaml": "z1"}, True),
        ({"local.py": "new"}, True),
    ],
)
def test_a_file_is_loaded_again_when_what_it_read_listed_or_missed_is_another(
    change: dict[str, str], again: bool
) -> None:
    assert must_load("a.py", loaded(), tree(BEFORE | change), NOW) is again


def test_a_file_is_loaded_again_when_what_it_read_has_gone() -> None:
    assert must_load("a.py", loaded(), tree({k: v for k, v in BEFORE.items() if k != "lib.py"}), NOW)


def test_a_deeper_change_below_a_listed_directory_does_not_matter() -> None:
    files = BEFORE | {"conf/deep/z.yaml": "z1"}
    known = SourceFile(path="a.py", hash=tree(files).load_key("a.py", READ), imports=READ)
    assert not must_load("a.py", known, tree(files | {"conf/deep/more.yaml": "m1"}), NOW)


def test_the_listing_of_the_root_is_that_of_its_first_level() -> None:
    known = SourceFile(path="a.py", hash=tree(BEFORE).load_key("a.py", ("./",)), imports=("./",))
    assert not must_load("a.py", known, tree(BEFORE | {"conf/y.yaml": "y1"}), NOW)
    assert must_load("a.py", known, tree(BEFORE | {"new.py": "n1"}), NOW)


def test_all_files_are_loaded_again_by_another_version_of_piper_or_python() -> None:
    assert must_load("a.py", loaded(), tree(BEFORE, engine="2"), NOW)


def test_a_new_file_is_loaded() -> None:
    assert must_load("a.py", None, tree(BEFORE), NOW)


def test_a_file_that_failed_is_loaded_again_after_any_change_of_the_bundle() -> None:
    failed = SourceFile(path="a.py", hash=tree(BEFORE).failure_key, error="ModuleNotFoundError")
    assert not must_load("a.py", failed, tree(BEFORE), NOW)
    assert must_load("a.py", failed, tree(BEFORE | {"new.py": "n1"}), NOW)


def test_a_file_is_loaded_again_when_its_moment_has_come() -> None:
    assert not must_load("a.py", loaded(reload_at=NOW + timedelta(seconds=1)), tree(BEFORE), NOW)
    assert must_load("a.py", loaded(reload_at=NOW), tree(BEFORE), NOW)


def spec(timetable: Timetable) -> WorkflowSpec:
    return WorkflowSpec("w", SourceLocation("w.py"), schedule=Schedule(timetable))


def test_a_custom_timetable_says_when_its_file_is_to_be_loaded_again() -> None:
    soon = CustomTimetable("m.T", refresh_after=NOW + timedelta(days=1))
    late = AssetOrTimeTimetable(CustomTimetable("m.T", refresh_after=NOW + timedelta(days=2)), AssetKey("a"))
    assert reload_moment([spec(late), spec(soon)], timedelta(0), NOW) == NOW + timedelta(days=1)
    assert reload_moment([spec(late)], timedelta(0), NOW) == NOW + timedelta(days=2)
    assert reload_moment([spec(late)], timedelta(minutes=5), NOW) == NOW + timedelta(minutes=5)
    assert reload_moment([], timedelta(0), NOW) is None


def test_a_horizon_that_has_passed_already_does_not_load_a_file_without_pause() -> None:
    assert reload_moment([spec(CustomTimetable("m.T", refresh_after=NOW - timedelta(days=1)))], timedelta(0), NOW) > NOW  # type: ignore[operator]


FAILED = FailedFile(file="a", message="")
LOADED = LoadedFile(file="a", specs=())


@pytest.mark.parametrize(
    ("outcome", "wanted", "interval"),
    [
        (LOADED, 0, 0),
        (LOADED, 60, 60),
        (FAILED, 0, 300),
        (FAILED, 60, 60),
        (replace(FAILED, seconds=30), 0, 600),  # one that fails slowly less often
        (replace(FAILED, questions=1), 0, 30),
        (replace(LOADED, questions=1), 0, 30),
        (replace(LOADED, questions=1), 60, 30),
        (replace(LOADED, questions=1), 10, 10),
        (replace(LOADED, questions=1, seconds=5), 0, 100),
    ],
)
def test_a_file_that_failed_or_has_read_variables_is_loaded_again_regularly(
    outcome: Outcome, wanted: int, interval: int
) -> None:
    assert reload_interval(timedelta(seconds=wanted), outcome) == timedelta(seconds=interval)


# --- claims -------------------------------------------------------------------------------------------

A, B, C = FileName("dags", "a.py"), FileName("dags", "b.py"), FileName("more", "a.py")


def test_what_a_file_defines_is_its_own() -> None:
    claims = Claims()
    assert claims.take(A, ["x", "y"]) == set()
    assert (claims.holder("x"), claims.holder("y"), claims.holder("z")) == (A, A, None)


def test_an_id_that_a_file_defines_no_longer_is_gone_and_free() -> None:
    claims = Claims()
    claims.take(A, ["x", "y"])
    assert claims.take(A, ["y"]) == {"x"}
    assert claims.holder("x") is None
    assert claims.take(A, []) == {"y"}
    assert claims.holder("y") is None


def test_an_id_that_another_file_has_taken_over_is_not_gone() -> None:
    claims = Claims()
    claims.take(A, ["x", "y"])
    claims.take(B, ["x"])
    assert claims.take(A, []) == {"y"}
    assert claims.holder("x") == B


def test_a_bundle_is_dropped_with_all_that_its_files_define() -> None:
    claims = Claims()
    for file, one in ((A, "x"), (B, "y"), (C, "z")):
        claims.add(file, one)
    assert claims.drop("dags") == {"x", "y"}
    assert claims.holder("z") == C
