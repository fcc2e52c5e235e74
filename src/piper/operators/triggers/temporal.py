"""Waiting for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from piper.operators.moments import parse_moment
from piper.sdk.importing import path_of
from piper.sdk.trigger import BaseTrigger, TaskSuccessEvent, TriggerEvent

LONGEST_SLEEP = 60.0
"""Seconds; the clock is looked at again after each, as it may have been set."""


class DateTimeTrigger(BaseTrigger):
    """Fires at a moment.

    Arguments:
        moment: an aware datetime.
        target_time: the moment as ISO text (rendered by then, if it was a template) or as a datetime.
        end_from_trigger: end the task as a success in place of resuming it.
    """

    def __init__(
        self,
        moment: datetime | None = None,
        *,
        target_time: datetime | str | None = None,
        end_from_trigger: bool = False,
    ) -> None:
        super().__init__()
        if (moment is None) == (target_time is None):
            raise TypeError("DateTimeTrigger requires exactly one of 'moment' or 'target_time'")
        if moment is not None:
            if not isinstance(moment, datetime):
                raise TypeError(f"Expected datetime.datetime type for moment. Got {type(moment)}")
            if moment.tzinfo is None:
                raise ValueError("You cannot pass naive datetimes")
        self._moment = moment
        self.target_time = target_time
        self.end_from_trigger = end_from_trigger

    @property
    def moment(self) -> datetime:
        """The moment, in UTC."""
        target = self._moment if self._moment is not None else self.target_time
        return target.astimezone(UTC) if isinstance(target, datetime) else parse_moment(str(target))

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Its class and arguments."""
        when = {"target_time": self.target_time} if self._moment is None else {"moment": self.moment}
        return path_of(type(self)), {**when, "end_from_trigger": self.end_from_trigger}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Sleep until the moment has come."""
        while (remaining := (self.moment - datetime.now(UTC)).total_seconds()) > 0:
            await asyncio.sleep(min(remaining, LONGEST_SLEEP))
        yield TaskSuccessEvent() if self.end_from_trigger else TriggerEvent(self.moment)


class TimeDeltaTrigger(DateTimeTrigger):
    """Fires after a time span. Stored as the moment at which that is over.

    Arguments:
        delta: how long to wait.
        end_from_trigger: end the task as a success in place of resuming it.
    """

    def __init__(self, delta: timedelta, *, end_from_trigger: bool = False) -> None:
        super().__init__(datetime.now(UTC) + delta, end_from_trigger=end_from_trigger)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class of a moment, and the moment."""
        _, arguments = super().serialize()
        return path_of(DateTimeTrigger), arguments
