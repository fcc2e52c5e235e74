"""Sensors: tasks that wait until something is so.

A sensor's `poke` is asked again and again. In mode `poke` its process sleeps between questions; in mode
`reschedule` it ends, gives back its slot, and comes again as another leg of the same try. Both ask first and look
at the clock afterwards, so that a timeout of zero still asks once.

The timeout counts from the sensor's first start in this try. When it is over, the task fails without a retry.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar, Unpack

from piper.model.spec import SensorSpec
from piper.sdk.arguments import OperatorArguments
from piper.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferralTimeout,
)
from piper.sdk.execution.failure import describe
from piper.sdk.operator import BaseOperator

DEFAULT_TIMEOUT = timedelta(days=7)
LONGEST_WAIT = timedelta.max.total_seconds() - 1

Sensor = TypeVar("Sensor", bound="type[BaseSensorOperator]")


class PokeReturnValue:
    """An answer of `poke` with a result for later tasks.

    Arguments:
        is_done: whether the wait is over.
        xcom_value: the sensor's result then.
    """

    def __init__(self, is_done: bool, xcom_value: Any = None) -> None:
        self.is_done = is_done
        self.xcom_value = xcom_value

    def __bool__(self) -> bool:
        return self.is_done


class BaseSensorOperator(BaseOperator):
    """Base of sensors: implement `poke`.

    Example::

        class FreshTable(BaseSensorOperator):
            def poke(self, context):
                return newest_row(self.table) >= context["data_interval_end"]

    Arguments:
        poke_interval: seconds, or a timedelta, between questions.
        timeout: seconds, or a timedelta, after which the sensor fails without a retry, counted from its first
            question; by default 7 days. (`execution_timeout` counts only the time that its process runs.)
        soft_fail: be skipped in place of failing on a timeout or an AirflowFailException.
        mode: "poke" keeps the process and its slot while waiting, "reschedule" gives both back.
        exponential_backoff: wait longer from question to question, with a jitter.
        max_wait: seconds, or a timedelta: the longest wait between questions with exponential_backoff.
        silent_fail: log what `poke` raises and go on waiting.
        never_fail: be skipped in place of failing, whatever is raised. Not together with soft_fail.
    """

    ui_color = "#e6f1f2"
    valid_modes: ClassVar[tuple[str, ...]] = ("poke", "reschedule")

    def __init__(
        self,
        *,
        task_id: str,
        poke_interval: timedelta | float = 60,
        timeout: timedelta | float | None = None,
        soft_fail: bool = False,
        mode: str = "poke",
        exponential_backoff: bool = False,
        max_wait: timedelta | float | None = None,
        silent_fail: bool = False,
        never_fail: bool = False,
        **arguments: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(task_id=task_id, **arguments)
        self.poke_interval = _seconds("poke_interval", poke_interval)
        self.timeout = _seconds("timeout", DEFAULT_TIMEOUT if timeout is None else timeout)
        self.max_wait = None if max_wait is None else timedelta(seconds=_seconds("max_wait", max_wait))
        if soft_fail and never_fail:
            raise ValueError("soft_fail and never_fail are mutually exclusive, you can not provide both.")
        if mode not in self.valid_modes:
            raise ValueError(f"The mode must be one of {list(self.valid_modes)}, not {mode!r} (task {self.task_id!r})")
        self.mode = mode
        self.soft_fail = soft_fail
        self.exponential_backoff = exponential_backoff
        self.silent_fail = silent_fail
        self.never_fail = never_fail

    @property
    def reschedule(self) -> bool:
        """Whether it gives back its slot between questions."""
        return self.mode == "reschedule"

    def sensor_spec(self) -> SensorSpec:
        """What a server may know of it."""
        return SensorSpec(
            mode=self.mode,
            poke_interval=timedelta(seconds=self.poke_interval),
            timeout=timedelta(seconds=self.timeout),
            soft_fail=self.soft_fail,
        )

    def poke(self, context: Any) -> bool | PokeReturnValue:
        """Whether the wait is over. May return a `PokeReturnValue`, to leave a result."""
        raise AirflowException(f"{type(self).__name__} has no poke()")

    def execute(self, context: Any) -> Any:
        """Ask until the wait is over.

        Raises:
            AirflowRescheduleException: in mode "reschedule", to come again later.
            AirflowSensorTimeout: the timeout is over.
        """
        waited = self._stopwatch(context)
        pokes = 1
        while True:
            answer = self._ask_once(context)
            if answer:
                self.log.info("Success criteria met. Exiting.")
                return answer.xcom_value if isinstance(answer, PokeReturnValue) else None
            if waited() > self.timeout:
                self._give_up_waiting(waited())
            wait = self._time_until_next(context, waited(), pokes)
            if self.reschedule:
                raise AirflowRescheduleException(datetime.now(UTC) + timedelta(seconds=wait))
            time.sleep(wait)
            pokes += 1

    def resume_execution(self, next_method: str, next_kwargs: Any, context: Any) -> Any:
        """Go on after a deferral; a trigger that did not fire in time is a timeout of the sensor."""
        try:
            try:
                return super().resume_execution(next_method, next_kwargs, context)
            except TaskDeferralTimeout as error:
                raise AirflowSensorTimeout(*error.args) from error
        except AirflowSkipException:
            raise
        except AirflowException as error:
            self._skip_softly(error)
            raise

    def _ask_once(self, context: Any) -> bool | PokeReturnValue:
        """One question; what it raises is treated as the sensor's options say."""
        try:
            return self.poke(context)
        except AirflowSkipException:
            raise
        except (AirflowSensorTimeout, AirflowTaskTimeout, AirflowFailException) as error:
            self._skip_softly(error)
            raise
        except Exception as error:
            if self.silent_fail:
                self.log.error("Sensor poke failed:\n%s", describe(error))
                return False
            if self.never_fail:
                raise AirflowSkipException("Skipping due to never_fail is set to True.") from error
            raise

    def _skip_softly(self, error: BaseException) -> None:
        """Skip in place of failing, if the sensor is to."""
        for option in ("soft_fail", "never_fail"):
            if getattr(self, option):
                raise AirflowSkipException(f"Skipping due to {option} is set to True.") from error

    def _give_up_waiting(self, waited: float) -> None:
        message = f"Sensor has timed out; it has waited {waited:.0f} seconds, and its timeout is {self.timeout:g}."
        if self.soft_fail:
            raise AirflowSkipException(message)
        raise AirflowSensorTimeout(message)

    def _stopwatch(self, context: Any) -> Callable[[], float]:
        """How many seconds the sensor has waited in this try.

        Within a process the monotonic clock counts; between legs only the wall clock is left.
        """
        if self.reschedule:
            first = context["ti"].get_first_reschedule_date(context) or datetime.now(UTC)
            return lambda: (datetime.now(UTC) - first).total_seconds()
        began = time.monotonic()
        return lambda: time.monotonic() - began

    def _time_until_next(self, context: Any, waited: float, pokes: int) -> float:
        """Seconds until the next question."""
        if not self.exponential_backoff:
            return self.poke_interval
        seed = f"{self.dag_id}#{self.task_id}#{context['ti'].start_date}"
        if self.reschedule:
            pokes = _pokes_within(waited, self.poke_interval, seed)
        wait = min(self.timeout - int(waited), _backoff(self.poke_interval, pokes, seed))
        if self.max_wait is not None:
            wait = min(wait, self.max_wait.total_seconds())
        self.log.info("new %s interval is %s", self.mode, wait)
        return max(wait, 0)


def poke_mode_only(cls: Sensor) -> Sensor:
    """Class decorator: the sensor works only in mode "poke", as it keeps something in its process."""
    if not issubclass(cls, BaseSensorOperator):
        raise ValueError(f"poke_mode_only decorator should only be applied to subclasses of BaseSensorOperator, {cls}")

    def mode_of(sensor: Any) -> str:
        return "poke"

    def set_mode(sensor: Any, mode: str) -> None:
        if mode != "poke":
            raise ValueError(f"Cannot set mode to '{mode}'. Only 'poke' is acceptable")

    cls.mode = property(mode_of, set_mode)  # type: ignore[assignment]
    return cls


def _seconds(name: str, value: timedelta | float) -> float:
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise ValueError(f"Operator arg `{name}` must be timedelta object or a non-negative number, not {value!r}")
    return value


def _backoff(interval: float, poke: int, seed: str) -> float:
    """Seconds after the `poke`-th question: twice those of the one before, up to twice that by a jitter from `seed`."""
    if poke > 60:  # beyond that the power overflows, and the timeout has long decided
        return LONGEST_WAIT
    least = max(int(interval * 2.0 ** (poke - 2)), 1)
    digest = int(hashlib.sha1(f"{seed}#{poke}".encode(), usedforsecurity=False).hexdigest(), 16)
    return min(least + digest % least, LONGEST_WAIT)


def _pokes_within(waited: float, interval: float, seed: str) -> int:
    """How many questions there were in a time: each leg knows only when the first was."""
    pokes, total = 0, 0.0
    while total <= waited:
        pokes += 1
        total += _backoff(interval, pokes, seed)
    return max(pokes, 1)
