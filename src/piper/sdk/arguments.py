"""The arguments that every operator takes: their names and types, and how a given value is made uniform.

What an author does not give is not stored in the task: the defaults are class attributes of
`AbstractOperator`. With thousands of tasks per file this is what makes authoring cheap, and a spec
has to look only at what was given.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypedDict

from piper.model.spec import Isolation
from piper.model.states import TriggerRule
from piper.sdk.spelling import did_you_mean, present_value

if TYPE_CHECKING:
    from piper.sdk.dags import DAG
    from piper.sdk.group import TaskGroup
    from piper.sdk.retry_policy import RetryPolicy

Callback = Callable[[Any], Any]
Callbacks = Callback | Collection[Callback] | None


class OperatorArguments(TypedDict, total=False):
    """Arguments of every operator.

    :param owner: who answers for the task; shown and filtered by.
    :param email: deprecated in Airflow: addresses to write to; use a notifier.
    :param email_on_retry: deprecated: write when the task will be tried again.
    :param email_on_failure: deprecated: write when the task has failed.
    :param retries: how often it is tried again after a failure.
    :param retry_delay: time between a failure and the next try; seconds, if a number.
    :param retry_exponential_backoff: each delay is this many times the one before (True: twice).
    :param max_retry_delay: no delay is longer; seconds, if a number.
    :param retry_policy: decides by exception whether and when to try again.
    :param start_date: no instance for logical dates before.
    :param end_date: no instance for logical dates after.
    :param depends_on_past: wait for this task's success in the run before.
    :param ignore_first_depends_on_past: a first run need not wait for one before it.
    :param wait_for_past_depends_before_skipping: be skipped only once `depends_on_past` is met.
    :param wait_for_downstream: wait also for the direct downstream tasks of the run before.
    :param dag: the DAG it belongs to; within `with DAG(...)` this is implied.
    :param task_group: the group it belongs to; within `with TaskGroup(...)` this is implied.
    :param params: this task's params, beside those of the DAG.
    :param default_args: defaults for arguments that are not given.
    :param priority_weight: the higher, the earlier it gets a free slot.
    :param weight_rule: how weights around it count: downstream, upstream, absolute, or a strategy.
    :param queue: the queue of workers that run it.
    :param pool: the pool whose slots it takes.
    :param pool_slots: how many slots it takes.
    :param sla: no effect (removed in Airflow 3).
    :param execution_timeout: a try that runs longer fails.
    :param on_execute_callback: called before each try, with the context.
    :param on_failure_callback: called when it has failed for good, with the context.
    :param on_success_callback: called when it has succeeded, with the context.
    :param on_retry_callback: called when it has failed and will be tried again, with the context.
    :param on_skipped_callback: called when it has skipped itself, with the context.
    :param pre_execute: called with the context right before `execute`.
    :param post_execute: called with the context and the result right after `execute`.
    :param trigger_rule: when it may run, given how its upstream tasks ended.
    :param resources: accepted, without effect.
    :param run_as_user: operating system user to run as.
    :param map_index_template: Jinja template for the name of a mapped instance.
    :param max_active_tis_per_dag: most instances of it in flight over all runs.
    :param max_active_tis_per_dagrun: most instances of it in flight within one run.
    :param executor: alias of the executor that runs it.
    :param executor_config: arguments for that executor.
    :param do_xcom_push: whether its result is stored for others.
    :param multiple_outputs: store each entry of a dict result under its own key, too.
    :param inlets: assets that it reads.
    :param outlets: assets that it changes.
    :param doc: documentation as plain text.
    :param doc_md: documentation as Markdown.
    :param doc_json: documentation as JSON.
    :param doc_yaml: documentation as YAML.
    :param doc_rst: documentation as reStructuredText.
    :param task_display_name: the name that people see.
    :param logger_name: name of the logger of its messages.
    :param allow_nested_operators: whether `execute` may be called within another task.
    :param render_template_as_native_obj: templates give Python objects rather than text.
    :param isolation: how its process comes to be: fork, spawn or warm (Piper).
    :param memory_limit: bytes of resident memory for its processes (Piper).
    :param outputs: named outputs of an execution: path patterns, tables (Piper).
    :param metrics: metrics that an execution is expected to record (Piper).
    """

    owner: str
    email: str | Iterable[str] | None
    email_on_retry: bool
    email_on_failure: bool
    retries: int | None
    retry_delay: timedelta | float
    retry_exponential_backoff: float
    max_retry_delay: timedelta | float | None
    retry_policy: RetryPolicy | None
    start_date: datetime | None
    end_date: datetime | None
    depends_on_past: bool
    ignore_first_depends_on_past: bool
    wait_for_past_depends_before_skipping: bool
    wait_for_downstream: bool
    dag: DAG | None
    task_group: TaskGroup | None
    params: Mapping[str, Any] | None
    default_args: Mapping[str, Any] | None
    priority_weight: int
    weight_rule: Any
    queue: str
    pool: str | None
    pool_slots: int
    sla: timedelta | None
    execution_timeout: timedelta | None
    on_execute_callback: Callbacks
    on_failure_callback: Callbacks
    on_success_callback: Callbacks
    on_retry_callback: Callbacks
    on_skipped_callback: Callbacks
    pre_execute: Callable[[Any], None] | None
    post_execute: Callable[[Any, Any], None] | None
    trigger_rule: TriggerRule | str
    resources: Mapping[str, Any] | None
    run_as_user: str | None
    map_index_template: str | None
    max_active_tis_per_dag: int | None
    max_active_tis_per_dagrun: int | None
    executor: str | None
    executor_config: Mapping[str, Any] | None
    do_xcom_push: bool
    multiple_outputs: bool
    inlets: Any
    outlets: Any
    doc: str | None
    doc_md: str | None
    doc_json: str | None
    doc_yaml: str | None
    doc_rst: str | None
    task_display_name: str | None
    logger_name: str | None
    allow_nested_operators: bool
    render_template_as_native_obj: bool | None
    isolation: Isolation | str
    memory_limit: int | None
    outputs: Mapping[str, Any]
    metrics: Collection[str]


OPERATOR_ARGUMENTS = frozenset(OperatorArguments.__annotations__) | {"task_id"}


# --- making values uniform ----------------------------------------------------------------------


def duration(value: Any) -> timedelta:
    """A time span from a timedelta or a number of seconds."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"expected a timedelta or a number of seconds, not {value!r}")
    return timedelta(seconds=value)


def strict_duration(value: Any) -> timedelta:
    """A timedelta, and nothing else (`execution_timeout`, where Airflow takes no number either)."""
    if isinstance(value, timedelta):
        return value
    raise ValueError(f"must be timedelta object but passed as type: {type(value)}")


def moment(value: Any) -> datetime:
    """An aware datetime in UTC, from a datetime (naive: UTC), a date or ISO text."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(
                f"{value!r} is not a date: write it like 2026-01-31 or 2026-01-31T06:30:00+01:00"
            ) from None
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime):
        raise TypeError(f"expected a datetime, not {value!r}")
    if value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    utc = value.astimezone(UTC)
    # pendulum's DateTime is a datetime; a plain one compares and prints alike and needs no pendulum
    return datetime.combine(utc.date(), utc.time(), UTC) if type(utc) is not datetime else utc


def count(value: Any) -> int:
    """A whole number, also from text ("3"), as `retries` may come from a variable."""
    if type(value) is int:
        return value
    try:
        return int(value)
    except (TypeError, ValueError):
        raise TypeError(f"type must be int, not {type(value).__name__}") from None


def listed(value: Any) -> list[Any]:
    """Nothing, one thing or several, as a list."""
    if value is None:
        return []
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    return [value]


def rule(value: Any) -> TriggerRule:
    """A trigger rule by name.

    Raises:
        ValueError: there is no such rule.
    """
    known = [each.value for each in TriggerRule]
    if value not in known:
        value = present_value("trigger_rule", value)
    if value not in known:
        raise ValueError(f"there is no trigger rule {did_you_mean(str(value), known)}")
    return TriggerRule(value)


def slots(value: Any) -> int:
    """A number of pool slots, at least 1."""
    number = count(value)
    if number < 1:
        raise ValueError("pool slots cannot be less than 1")
    return number


def priority(value: Any) -> int:
    """A weight, kept within 32 bits as Airflow does."""
    return max(-(1 << 31), min(count(value), (1 << 31) - 1))


def backoff(value: Any) -> float:
    """A multiplier of delays; True means 2."""
    if value is True:
        return 2.0
    if value is False:
        return 0.0
    if isinstance(value, int | float):
        return float(value)
    raise TypeError(f"expected a number or a bool, not {value!r}")


def _exactly(kind: type, name: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
            return value
        raise TypeError(f"expected {name}, not {value!r}")

    return check


def _as_is(value: Any) -> Any:
    return value


_text = _exactly(str, "text")
_flag = _exactly(bool, "True or False")
_number = _exactly(int, "a whole number")
_mapping = _exactly(Mapping, "a dict")

CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "owner": _text,
    "email": _as_is,
    "email_on_retry": _flag,
    "email_on_failure": _flag,
    "retries": count,
    "retry_delay": duration,
    "retry_exponential_backoff": backoff,
    "max_retry_delay": duration,
    "retry_policy": _as_is,
    "start_date": moment,
    "end_date": moment,
    "depends_on_past": _flag,
    "ignore_first_depends_on_past": _flag,
    "wait_for_past_depends_before_skipping": _flag,
    "wait_for_downstream": _flag,
    "priority_weight": priority,
    "weight_rule": _as_is,
    "queue": _text,
    "pool": _text,
    "pool_slots": slots,
    "execution_timeout": strict_duration,
    "on_execute_callback": listed,
    "on_failure_callback": listed,
    "on_success_callback": listed,
    "on_retry_callback": listed,
    "on_skipped_callback": listed,
    "pre_execute": _as_is,
    "post_execute": _as_is,
    "trigger_rule": rule,
    "resources": _as_is,
    "run_as_user": _text,
    "map_index_template": _text,
    "max_active_tis_per_dag": _number,
    "max_active_tis_per_dagrun": _number,
    "executor": _text,
    "executor_config": _as_is,
    "do_xcom_push": _flag,
    "multiple_outputs": _flag,
    "inlets": listed,
    "outlets": listed,
    "doc": _text,
    "doc_md": _text,
    "doc_json": _as_is,
    "doc_yaml": _as_is,
    "doc_rst": _text,
    "task_display_name": _text,
    "logger_name": _text,
    "allow_nested_operators": _flag,
    "render_template_as_native_obj": _flag,
    "isolation": Isolation,
    "memory_limit": _number,
    "outputs": _mapping,
    "metrics": listed,
}
"""How each argument becomes uniform. None always means "not given" and is left out."""


def uniform(name: str, value: Any, owner: str) -> Any:
    """The value of a common argument as a task keeps it.

    Raises:
        TypeError, ValueError: it is not of the right kind; the message names `owner` and the argument.
    """
    try:
        return CONVERTERS[name](value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{owner}: {name}={value!r}: {error}") from None
