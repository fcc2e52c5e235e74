"""What is reported of what a trigger says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from piper.model.events import TriggerFired
from piper.model.run import Identity
from piper.model.states import TaskState
from piper.model.wire import MAX_WAIT, Report, XComPush
from piper.sdk.trigger import TaskFailedEvent, TaskSuccessEvent, TriggerEvent
from piper.triggerer.child.running import EventTooLarge, check_size, event_of

WAIT = Identity(1, 2, 3)


def test_an_event_is_reported_as_xcoms_are_stored() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    report = event_of(WAIT, TriggerEvent({"at": moment, "n": (1, 2)}))
    assert isinstance(report.event, TriggerFired)
    assert report.event.payload["at"]["__classname__"] == "datetime.datetime"
    assert report.event.end_state is None


def test_an_event_may_end_the_task_and_leave_values() -> None:
    report = event_of(WAIT, TaskSuccessEvent(xcoms={"a": [1, 2]}))
    assert report == Report(
        TriggerFired(WAIT, end_state=TaskState.SUCCESS), xcoms=(XComPush("a", b"[1,2]", 2),), error=""
    )
    assert event_of(WAIT, TaskFailedEvent()).error == "its trigger said so"


@pytest.mark.parametrize(
    "value",
    [
        "x" * (MAX_WAIT + 1),
        [["y" * 1000] * 600, ["y" * 1000] * 600],
        {"k": b"z" * (MAX_WAIT + 1)},
        [0] * (MAX_WAIT + 1),
    ],
    ids=["a text", "many texts", "bytes", "many numbers"],
)
def test_what_is_too_large_is_refused_before_it_is_copied(value: object) -> None:
    with pytest.raises(EventTooLarge, match="store the data elsewhere"):
        check_size(value, MAX_WAIT)


def test_what_grows_too_large_as_json_is_refused() -> None:
    with pytest.raises(EventTooLarge):
        event_of(WAIT, TriggerEvent("\x01" * (MAX_WAIT // 2)))


def test_what_contains_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises((EventTooLarge, RecursionError)):
        event_of(WAIT, TriggerEvent(value))
