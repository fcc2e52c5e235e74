"""Is this spec well formed? The one set of rules for the SDK, the serializer, the designer and the REST API.

Pure and linear in the size of the spec. What concerns one task is said at its line, what concerns the
whole at the workflow's. Whether a timetable can be followed is known to `piper.timetables`, which
this package may not import: the caller passes that rule in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from urllib.parse import urlsplit

from piper.model.assets import problem_of_extra, problem_of_name
from piper.model.errors import AuthorError, InvalidSpec
from piper.model.ids import check_group_id, check_workflow_id
from piper.model.schedule import AssetAliasKey, AssetKey, ContinuousTimetable, NeverTimetable, Timetable, keys_of
from piper.model.spec import (
    FORMAT,
    AssetRef,
    LengthExpression,
    LiteralLength,
    ResultLength,
    RetrySpec,
    SourceLocation,
    TaskSpec,
    WorkflowSpec,
)
from piper.model.states import TriggerRule

TimetableCheck = Callable[[Timetable], None]
"""Raises an AuthorError when a timetable cannot be followed: `piper.timetables.check`."""

SMALLEST, LARGEST = -(1 << 31), (1 << 31) - 1
"""The databases keep limits, slots and the like in 32 bits."""

TAG_LENGTH = 100
TASK_CALLBACKS = frozenset({"execute", "success", "failure", "retry", "skipped"})
WORKFLOW_CALLBACKS = frozenset({"success", "failure"})
SENSOR_MODES = ("poke", "reschedule")
FAIL_FAST_RULES = (TriggerRule.ALL_SUCCESS, TriggerRule.ALL_DONE_SETUP_SUCCESS)

_NO_RETRY = RetrySpec()
_ZERO = timedelta(0)


def check_workflow(spec: WorkflowSpec, check_timetable: TimetableCheck | None = None) -> None:
    """Return if the spec is well formed.

    Raises:
        AuthorError: the first problem that `find_problems` finds, located.
    """
    for problem in find_problems(spec, check_timetable):
        raise problem


def find_problems(spec: WorkflowSpec, check_timetable: TimetableCheck | None = None) -> Iterator[AuthorError]:
    """Everything that is wrong with a spec, as located errors that are not raised."""
    yield from _workflow_problems(spec)
    if check_timetable is not None:
        yield from _attempt(lambda: check_timetable(spec.schedule.timetable), spec.source)
    yield from _group_problems(spec)
    yield from _edge_problems(spec)
    yield from _mapping_problems(spec)
    for task in spec.tasks:
        yield from _task_problems(task, spec)


def topological_order(upstream: Mapping[str, Iterable[str]], lines: Mapping[str, int]) -> list[str]:
    """The keys of `upstream`, each after all that it waits for, otherwise in the order given.

    Arguments:
        upstream: task id → ids of the tasks directly before it; all of them keys too.
        lines: task id → line of the file that makes it, where that is known.

    Raises:
        InvalidSpec: there is a cycle; the message names it, the line is that of the task in it that was made last,
            before which the arrow that closes it cannot stand.
    """
    order: dict[str, None] = {}
    for start in upstream:
        if start in order:
            continue
        # A walk to what lies above, without recursion: `path` holds the tasks that wait for the one looked at.
        path: dict[str, Iterator[str]] = {start: iter(upstream[start])}
        while path:
            task = next(reversed(path))
            above = next((one for one in path[task] if one not in order), None)
            if above is None:
                del path[task]
                order[task] = None
            elif above in path:
                cycle = list(path)[list(path).index(above) :]
                raise InvalidSpec(_cycle_message(cycle), line=max(lines.get(one, 0) for one in cycle) or None)
            else:
                path[above] = iter(upstream[above])
    return list(order)


def _cycle_message(cycle: list[str]) -> str:
    """`cycle` leads upstream from task to task; the first is upstream of the last."""
    arrows = " → ".join([cycle[0], *reversed(cycle)])
    return f"tasks wait for each other in a cycle: {arrows}; remove one of these arrows"


# --- the workflow as a whole --------------------------------------------------------------------


def _workflow_problems(spec: WorkflowSpec) -> Iterator[AuthorError]:
    where = spec.source
    if spec.format > FORMAT:
        yield _problem(where, f"the spec has format {spec.format}, this Piper reads up to {FORMAT}: upgrade Piper")
    yield from _attempt(lambda: check_workflow_id(spec.workflow_id), where)
    for tag in spec.tags:
        if len(tag) > TAG_LENGTH:
            yield _problem(where, f"tag {tag[:20]!r}… has {len(tag)} characters: {TAG_LENGTH} are the most")
    for owner, link in spec.owner_links.items():
        if not _is_link(link):
            yield _problem(where, f"the link {link!r} of owner {owner!r} is no URL: write https://… or mailto:…")
    if unknown := set(spec.callbacks) - WORKFLOW_CALLBACKS:
        yield _problem(where, f"unknown callbacks {sorted(unknown)}: a workflow has {sorted(WORKFLOW_CALLBACKS)}")
    limits = (spec.max_active_runs, spec.max_active_tasks, spec.max_consecutive_failed_runs)
    if any(limit < 0 for limit in limits):
        yield _problem(where, "a limit on runs or tasks is negative")
    if any(limit > LARGEST for limit in limits):
        yield _problem(where, f"a limit on runs or tasks is beyond {LARGEST:,}: leave it out, or write 0, for none")
    shown = (spec.display_name, spec.description, spec.owner, spec.schedule.summary, *spec.tags)
    for text in shown:
        if "\0" in text:
            yield _problem(where, f"a name, description, owner or tag holds a NUL: {text[:40]!r}")
    if spec.run_timeout is not None and spec.run_timeout <= _ZERO:
        yield _problem(where, f"the run's timeout must be positive, not {spec.run_timeout}")
    if isinstance(spec.schedule.timetable, ContinuousTimetable) and spec.max_active_runs > 1:
        yield _problem(where, f"@continuous needs max_active_runs=1, not {spec.max_active_runs}")
    if not isinstance(spec.schedule.timetable, NeverTimetable):
        for name, param in spec.params.items():
            if param.required:
                yield _problem(where, f"param {name!r} has no default, and the schedule cannot give it a value")
    condition = getattr(spec.schedule.timetable, "condition", None)
    for key in keys_of(condition):
        for reason in _asset_problems(key):
            yield _problem(where, f"the schedule {reason}")
    if spec.result_task and all(task.task_id != spec.result_task for task in spec.tasks):
        yield _problem(where, f"the result is that of task {spec.result_task!r}, which does not exist")


def _is_link(text: str) -> bool:
    parts = urlsplit(text)
    return bool(parts.path) if parts.scheme == "mailto" else bool(parts.scheme and parts.netloc)


# --- what belongs to what -----------------------------------------------------------------------


def _group_problems(spec: WorkflowSpec) -> Iterator[AuthorError]:
    mapped: dict[str, bool] = {"": False}
    """Group id → whether it or a group around it is mapped."""
    for group in spec.groups:
        for part in group.group_id.split("."):
            yield from _attempt(lambda part=part: check_group_id(part), spec.source)  # type: ignore[misc]
        if group.group_id in mapped:
            yield _problem(spec.source, f"two groups are called {group.group_id!r}")
        if group.parent not in mapped:
            yield _problem(spec.source, f"group {group.group_id!r} comes before the group around it, {group.parent!r}")
        inside = mapped.get(group.parent, False)
        if inside and group.mapped is not None:
            yield _problem(spec.source, f"group {group.group_id!r} is mapped and lies within a mapped group")
        mapped[group.group_id] = inside or group.mapped is not None
    for task in spec.tasks:
        if task.group not in mapped:
            yield _at(task, spec, f"is in group {task.group!r}, which does not exist")
        elif mapped[task.group]:
            if task.mapped is not None:
                yield _at(task, spec, f"is mapped and lies within the mapped group {task.group!r}")
            if task.trigger_rule is TriggerRule.ALWAYS:
                yield _at(task, spec, f"lies within the mapped group {task.group!r} and may not have rule 'always'")


def _edge_problems(spec: WorkflowSpec) -> Iterator[AuthorError]:
    groups = {group.group_id for group in spec.groups}
    seen: dict[str, TaskSpec] = {}
    in_order = True
    for task in spec.tasks:
        if task.task_id in seen:
            yield _at(task, spec, "has the id of another task: ids are unique within a workflow")
        if task.task_id in groups:
            yield _at(task, spec, "has the id of a task group")
        in_order = in_order and all(above in seen for above in task.upstream)
        seen[task.task_id] = task
    unknown = False
    for task in spec.tasks if not in_order else ():
        for above in task.upstream:
            if above not in seen:
                unknown = True
                yield _at(task, spec, f"waits for {above!r}, which does not exist")
    if not in_order and not unknown:
        yield from _attempt(lambda: _refuse_disorder(seen), spec.source)
    for task in spec.tasks:
        if not task.upstream:
            continue
        if len(set(task.upstream)) < len(task.upstream):
            yield _at(task, spec, "names a task twice among those it waits for")
        if task.trigger_rule is not TriggerRule.ALL_SUCCESS and not task.teardown:
            for above in task.upstream:
                if above in seen and seen[above].setup:
                    yield _at(task, spec, f"follows the setup {above!r} and must have rule 'all_success'")


def _refuse_disorder(tasks: Mapping[str, TaskSpec]) -> None:
    lines = {task_id: task.source.line for task_id, task in tasks.items() if task.source is not None}
    topological_order({task_id: task.upstream for task_id, task in tasks.items()}, lines)
    raise InvalidSpec("the tasks do not stand in topological order: put each after those that it waits for")


def _mapping_problems(spec: WorkflowSpec) -> Iterator[AuthorError]:
    known = {task.task_id: task for task in spec.tasks}
    for group in spec.groups:
        for source in _results(group.mapped):
            if source not in known:
                yield _problem(spec.source, f"group {group.group_id!r} is mapped over {source!r}, which does not exist")
            elif f"{known[source].group}.".startswith(f"{group.group_id}."):
                yield _problem(spec.source, f"group {group.group_id!r} is mapped over its own task {source!r}")
    for task in spec.tasks:
        for read, _ in task.reads:
            if read not in known:
                yield _at(task, spec, f"reads the result of {read!r}, which does not exist")
        if task.mapped is None:
            continue
        yield from (_at(task, spec, reason) for reason in _length_problems(task.mapped))
        for source in _results(task.mapped):
            if source not in task.upstream:
                yield _at(task, spec, f"is mapped over the result of {source!r} and does not wait for it")
            if task.trigger_rule is TriggerRule.ALWAYS:
                yield _at(task, spec, f"is mapped over the result of {source!r} and may not have rule 'always'")


def _parts(expression: LengthExpression | None) -> Iterator[LengthExpression]:
    """An expression and all it is made of."""
    waiting = [expression] if expression is not None else []
    while waiting:
        part = waiting.pop()
        yield part
        if not isinstance(part, LiteralLength | ResultLength):
            waiting.extend(part.sources)


def _results(expression: LengthExpression | None) -> Iterator[str]:
    """The tasks whose results an expression is about."""
    return (part.task_id for part in _parts(expression) if isinstance(part, ResultLength))


def _length_problems(expression: LengthExpression) -> Iterator[str]:
    for part in _parts(expression):
        if isinstance(part, LiteralLength):
            if part.length < 0:
                yield f"is mapped over a list of {part.length} elements"
        elif not isinstance(part, ResultLength) and not part.sources:
            yield "is mapped over nothing"


# --- one task -----------------------------------------------------------------------------------


def _task_problems(task: TaskSpec, spec: WorkflowSpec) -> Iterator[AuthorError]:
    yield from _attempt(lambda: check_workflow_id(task.task_id), task.source or spec.source)
    yield from (_at(task, spec, reason) for reason in _rule_problems(task, spec))
    yield from (_at(task, spec, reason) for reason in _value_problems(task))
    if task.retry is not _NO_RETRY:
        yield from (_at(task, spec, reason) for reason in _retry_problems(task.retry))


def _rule_problems(task: TaskSpec, spec: WorkflowSpec) -> Iterator[str]:
    rule = task.trigger_rule
    if task.teardown:
        if task.setup:
            yield "is both a setup and a teardown"
        if rule is not TriggerRule.ALL_DONE_SETUP_SUCCESS:
            yield f"is a teardown, whose trigger rule cannot be changed to {rule.value!r}"
    elif task.on_failure_fail_run:
        yield "has on_failure_fail_run, which only a teardown can have"
    if spec.fail_fast and rule not in FAIL_FAST_RULES:
        yield f"has rule {rule.value!r}: in a workflow with fail_fast every rule is 'all_success'"


def _value_problems(task: TaskSpec) -> Iterator[str]:
    if not task.operator:
        yield "has no operator"
    if not task.pool:
        yield "has no pool"
    if not 1 <= task.pool_slots <= LARGEST:
        yield f"takes {task.pool_slots} slots of its pool: at least 1, at most {LARGEST:,}"
    if not SMALLEST <= task.priority <= LARGEST:
        yield f"has priority {task.priority}: between {SMALLEST:,} and {LARGEST:,}"
    for name, text in (("operator", task.operator), ("pool", task.pool), ("queue", task.queue)):
        if "\0" in text:
            yield f"has a NUL in its {name}: {text[:40]!r}"
    if task.execution_timeout is not None and task.execution_timeout <= _ZERO:
        yield f"has an execution timeout of {task.execution_timeout}: it must be positive"
    if task.memory_limit is not None and task.memory_limit <= 0:
        yield f"has a memory limit of {task.memory_limit} bytes: it must be positive"
    for limit in (task.max_active_per_workflow, task.max_active_per_run):
        if limit is not None and limit < 1:
            yield f"may be active {limit} times at once: at least 1"
    if task.callbacks and (unknown := set(task.callbacks) - TASK_CALLBACKS):
        yield f"has unknown callbacks {sorted(unknown)}: there are {sorted(TASK_CALLBACKS)}"
    if task.start is not None and task.end is not None and task.end < task.start:
        yield f"ends ({task.end}) before it starts ({task.start})"
    for named in (*task.inlets, *task.outlets):
        yield from _asset_problems(named)
    if task.sensor is not None:
        if task.sensor.mode not in SENSOR_MODES:
            yield f"has mode {task.sensor.mode!r}: a sensor's is one of {', '.join(SENSOR_MODES)}"
        if task.sensor.poke_interval < _ZERO or task.sensor.timeout < _ZERO:
            yield "has a negative poke interval or timeout"


def _asset_problems(named: AssetKey | AssetAliasKey | AssetRef) -> Iterator[str]:
    names = (named.name,) if isinstance(named, AssetAliasKey) else (named.name, named.uri)
    if not any(names):
        yield "names an asset without a name or URI"
    for name in names:
        if problem := problem_of_name(name):
            yield f"names asset {problem}"
    if isinstance(named, AssetRef) and (problem := problem_of_extra(named.extra)):
        yield f"names asset {named.name[:40]!r}, whose extra {problem}"


def _retry_problems(retry: RetrySpec) -> Iterator[str]:
    if not 0 <= retry.retries < LARGEST:
        yield f"is retried {retry.retries} times: 0 or more, and less than {LARGEST:,}"
    if retry.delay < _ZERO or (retry.max_delay is not None and retry.max_delay < _ZERO):
        yield "has a negative retry delay"
    if retry.multiplier < 0:
        yield f"multiplies its retry delay by {retry.multiplier}: 0 or more"


# --- where ----------------------------------------------------------------------------------------


def _at(task: TaskSpec, spec: WorkflowSpec, reason: str) -> InvalidSpec:
    return _problem(task.source or spec.source, f"task {task.task_id!r} of {spec.workflow_id!r} {reason}")


def _problem(where: SourceLocation, message: str) -> InvalidSpec:
    return InvalidSpec(message, file=where.file, line=where.line or None)


def _attempt(rule: Callable[[], object], where: SourceLocation) -> Iterator[AuthorError]:
    """What `rule` raises, located."""
    try:
        rule()
    except AuthorError as error:
        if error.file is None:
            error.file, error.line = where.file, error.line or where.line or None
        yield error
