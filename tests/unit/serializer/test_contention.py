"""Two files, one workflow id."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from piper.model.spec import SourceLocation, WorkflowSpec
from piper.serializer.changes import FileName
from piper.serializer.contention import Resolved, resolve
from piper.serializer.outcomes import CheckedSpec, FailedFile, LoadedFile, Outcome

A, B, C, BLUE = FileName("dags", "a.py"), FileName("dags", "b.py"), FileName("dags", "c.py"), FileName("blue", "d.py")
TEAMS = {"dags": "red", "blue": "blue"}


def loaded(file: FileName, *ids: str) -> LoadedFile:
    specs = (WorkflowSpec(one, SourceLocation(file.path, 10 + n)) for n, one in enumerate(ids))
    return LoadedFile(file=file.path, specs=tuple(CheckedSpec(spec, "", "") for spec in specs))


def failed(file: FileName) -> FailedFile:
    return FailedFile(file=file.path, message="ValueError")


def resolved(
    outcomes: Mapping[FileName, Outcome],
    holders: Mapping[str, FileName] | None = None,
    gone: Collection[FileName] = (),
    pending: Collection[FileName] = (),
) -> Resolved:
    return resolve(outcomes, holders or {}, gone=gone, pending=pending, teams=TEAMS)


def test_files_without_rivals_are_published_as_they_are() -> None:
    outcomes = {A: loaded(A, "x"), B: loaded(B, "y"), C: failed(C)}
    assert resolved(outcomes, {"x": A}) == Resolved(outcomes, set())


def test_a_file_that_defines_what_another_does_is_an_error_at_that_line() -> None:
    refused = resolved({B: loaded(B, "y", "x")}, {"x": A}).ready[B]
    assert isinstance(refused, FailedFile)
    assert refused.message == "workflow id 'x' is already defined in a.py: choose another"
    assert (refused.error_file, refused.line) == ("b.py", 11)


def test_where_another_team_defines_it_is_not_said() -> None:
    refused = resolved({BLUE: loaded(BLUE, "x")}, {"x": A}).ready[BLUE]
    assert isinstance(refused, FailedFile)
    assert "already defined elsewhere" in refused.message


def test_of_files_that_come_together_the_first_by_name_has_it() -> None:
    ready = resolved({B: loaded(B, "x"), A: loaded(A, "x")}).ready
    assert isinstance(ready[A], LoadedFile)
    assert isinstance(ready[B], FailedFile)


def test_a_file_that_is_gone_holds_nothing() -> None:
    outcomes = {B: loaded(B, "x")}
    assert resolved(outcomes, {"x": A}, gone={A}).ready == outcomes


def test_a_file_waits_while_the_holder_is_being_loaded() -> None:
    assert resolved({B: loaded(B, "x"), C: loaded(C, "z")}, {"x": A}, pending={A}) == Resolved({C: loaded(C, "z")}, {B})


def test_a_holder_that_has_loaded_without_it_gives_it_up() -> None:
    outcomes = {A: loaded(A, "y"), B: loaded(B, "x")}
    assert resolved(outcomes, {"x": A, "y": A}).ready == outcomes


def test_a_holder_that_has_failed_keeps_it() -> None:
    ready = resolved({A: failed(A), B: loaded(B, "x")}, {"x": A}).ready
    assert isinstance(ready[B], FailedFile)


def test_two_files_can_swap_what_they_define() -> None:
    outcomes = {A: loaded(A, "y"), B: loaded(B, "x")}
    assert resolved(outcomes, {"x": A, "y": B}).ready == outcomes


def test_files_that_only_wait_for_each_other_do_not_wait() -> None:
    outcomes = {A: loaded(A, "y"), B: loaded(B, "z"), C: loaded(C, "x")}
    assert resolved(outcomes, {"x": A, "y": B, "z": C}).ready == outcomes
