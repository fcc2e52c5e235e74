"""How tasks are made: arguments, defaults, what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from piper.model.errors import InvalidName
from piper.model.states import TriggerRule
from piper.sdk.dags import DAG
from piper.sdk.exceptions import (
    DuplicateTaskIdFound,
    FailFastDagInvalidTriggerRule,
    TaskDeferralError,
    TaskDeferralTimeout,
    TaskNotFound,
)
from piper.sdk.group import TaskGroup
from piper.sdk.operator import BaseAsyncOperator, BaseOperator
from piper.sdk.spelling import Spellings, use_spellings
from tests.unit.sdk.operators import Loud, Shell, shell, spec, task_of, upstream

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_task_made_within_a_dag_belongs_to_it() -> None:
    with DAG("d") as dag:
        task = shell("a")
    assert task.dag is dag
    assert dag.task_ids == ["a"]


def test_a_task_can_be_given_its_dag() -> None:
    dag = DAG("d")
    task = Shell(task_id="a", dag=dag)
    assert dag.get_task("a") is task


def test_a_task_outside_of_any_dag_has_none() -> None:
    task = shell("a")
    assert not task.has_dag()
    with pytest.raises(RuntimeError, match="not been assigned to a Dag"):
        task.dag  # noqa: B018


def test_a_task_without_a_dag_joins_that_of_its_neighbour() -> None:
    lonely = shell("b")
    with DAG("d") as dag:
        shell("a") >> lonely
    assert lonely.dag is dag


def test_a_task_cannot_change_its_dag() -> None:
    with DAG("d"):
        task = shell("a")
    with pytest.raises(ValueError, match="can not be changed"):
        task.dag = DAG("other")


def test_operators_take_keyword_arguments_only() -> None:
    with pytest.raises(TypeError, match="Use keyword arguments"):
        Shell("a")


def test_an_unknown_argument_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(TypeError, match=r"Shell \(task_id: a\): 'comand' \(did you mean 'command'\?\)"):
        shell("a", comand="ls")
    with pytest.raises(TypeError, match="did you mean 'retries'"):
        shell("a", retrys=1)


def test_a_missing_argument_is_named() -> None:
    class Needs(BaseOperator):
        def __init__(self, *, table: str, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.table = table

    with pytest.raises(TypeError, match="table"):
        Needs(task_id="a")
    with pytest.raises(TypeError, match="task_id"):
        Needs(table="t")


@pytest.mark.parametrize("task_id", ["", "a b", "a/b", "x" * 251, "ä" * 251])
def test_a_task_id_has_letters_digits_and_few_signs(task_id: str) -> None:
    with pytest.raises(InvalidName, match="not a valid id"):
        shell(task_id)


def test_a_task_id_may_have_letters_of_any_alphabet() -> None:
    assert shell("größe.1-x_y").task_id == "größe.1-x_y"


def test_two_tasks_of_a_dag_cannot_have_one_id() -> None:
    with DAG("d"):
        shell("a")
        with pytest.raises(DuplicateTaskIdFound, match="'a' has already been added to the DAG 'd'"):
            shell("a")


def test_a_task_cannot_have_the_id_of_a_group() -> None:
    with DAG("d"):
        TaskGroup("a")
        with pytest.raises(DuplicateTaskIdFound):
            shell("a")


# --- default_args -------------------------------------------------------------------------------


def test_defaults_come_from_the_dag_then_from_groups_then_from_the_operator() -> None:
    with (
        DAG("d", default_args={"owner": "dag", "pool": "dag", "queue": "dag", "retries": 1}),
        TaskGroup("outer", default_args={"pool": "outer", "queue": "outer", "retries": 2}),
        TaskGroup("inner", default_args={"queue": "inner", "retries": 3}),
    ):
        task = shell("a", default_args={"retries": 4})
        explicit = shell("b", retries=5)
    assert (task.owner, task.pool, task.queue, task.retries) == ("dag", "outer", "inner", 4)
    assert explicit.retries == 5


def test_defaults_reach_the_arguments_of_every_ancestor() -> None:
    with DAG("d", default_args={"command": "ls", "volume": 5, "owner": "ann", "unknown": 1}):
        task = Loud(task_id="a")
    assert (task.command, task.volume, task.owner) == ("ls", 5, "ann")
    assert not hasattr(task, "unknown")


def test_a_value_that_a_class_gives_its_ancestor_is_stronger_than_a_default() -> None:
    with DAG("d", default_args={"queue": "slow"}):

        class Fast(Shell):
            def __init__(self, **kwargs: Any) -> None:
                super().__init__(queue="fast", **kwargs)

        assert Fast(task_id="a").queue == "fast"


def test_defaults_of_one_dag_do_not_leak_into_another() -> None:
    defaults = {"retries": 2, "params": {"x": 1}}
    with DAG("one", default_args=defaults):
        shell("a")
    with DAG("two", default_args=defaults):
        task = shell("a")
    assert task.retries == 2
    assert defaults == {"retries": 2, "params": {"x": 1}}


def test_default_args_must_be_a_mapping() -> None:
    with pytest.raises(TypeError, match="default_args"):
        DAG("d", default_args=["retries"])
    with DAG("d"), pytest.raises(TypeError, match="default_args"):
        shell("a", default_args=["retries"])


# --- common arguments ---------------------------------------------------------------------------


def test_values_are_made_uniform() -> None:
    task = shell(
        "a",
        retries="3",
        retry_delay=30,
        max_retry_delay=600.5,
        retry_exponential_backoff=True,
        trigger_rule="all_done",
        on_failure_callback=print,
        wait_for_downstream=True,
        start_date=datetime(2026, 1, 1, 12),
        priority_weight=2**40,
    )
    assert task.retries == 3
    assert task.retry_delay == timedelta(seconds=30)
    assert task.max_retry_delay == timedelta(seconds=600.5)
    assert task.retry_exponential_backoff == 2.0
    assert task.trigger_rule is TriggerRule.ALL_DONE
    assert task.on_failure_callback == [print]
    assert task.depends_on_past
    assert task.start_date == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert task.priority_weight == 2**31 - 1


@pytest.mark.parametrize(
    ("argument", "error", "words"),
    [
        ({"trigger_rule": "all_succes"}, ValueError, "did you mean 'all_success'"),
        ({"retries": "many"}, TypeError, "must be int"),
        ({"retry_delay": "5m"}, TypeError, "retry_delay"),
        ({"execution_timeout": 5}, ValueError, "must be timedelta"),
        ({"pool_slots": 0}, ValueError, "cannot be less than 1"),
        ({"queue": 5}, TypeError, "queue=5: expected text"),
        ({"depends_on_past": "yes"}, TypeError, "expected True or False"),
        ({"params": [1]}, TypeError, "params must be a mapping"),
        ({"start_date": "soon"}, ValueError, "'soon' is not a date"),
        ({"isolation": "vm"}, ValueError, "isolation"),
        ({"memory_limit": "1GB"}, TypeError, "memory_limit"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_name(
    argument: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        shell("a", **argument)


def test_a_task_starts_with_the_later_of_its_own_and_its_dags_date() -> None:
    with DAG("d", start_date=JANUARY, end_date=JANUARY + timedelta(days=30)):
        early = shell("early", start_date=JANUARY - timedelta(days=9))
        late = shell("late", start_date=JANUARY + timedelta(days=9), end_date=JANUARY + timedelta(days=90))
        plain = shell("plain")
    assert early.start_date == JANUARY
    assert late.start_date == JANUARY + timedelta(days=9)
    assert late.end_date == JANUARY + timedelta(days=30)
    assert plain.start_date == JANUARY


def test_a_fail_fast_dag_has_no_other_rules() -> None:
    with DAG("d", fail_fast=True), pytest.raises(FailFastDagInvalidTriggerRule, match="all_done"):
        shell("a", trigger_rule="all_done")


def test_lists_of_a_task_are_its_own() -> None:
    with DAG("d"):
        one, other = shell("a"), shell("b")
    one.on_failure_callback.append(print)
    one.inlets.append("x")
    assert other.on_failure_callback == []
    assert other.inlets == []


def test_an_sla_is_accepted_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="SLA"):
        shell("a", sla=timedelta(hours=1))


# --- after it is made ---------------------------------------------------------------------------


def test_assigning_a_field_changes_the_spec() -> None:
    with DAG("d") as dag:
        task = shell("a", command="one")
        task.command = "two"
        task.trigger_rule = "all_done"
        task.retries = "4"
        task.doc_md = "Words."
    stored = task_of(dag, "a")
    assert stored.arguments["command"] == "two"
    assert stored.trigger_rule is TriggerRule.ALL_DONE
    assert stored.retry.retries == 4
    assert stored.doc == "Words."


def test_assigning_a_result_to_a_field_draws_an_arrow() -> None:
    with DAG("d") as dag:
        first, second = shell("first"), shell("second")
        second.env = {"COUNT": first.output}
    assert upstream(dag)["second"] == ("first",)


def test_a_copy_for_execution_can_be_rendered_without_changing_the_task() -> None:
    with DAG("d") as dag:
        task = shell("a", command="{{ ds }}")
    task.prepare_for_execution().command = "2026-01-01"
    assert task_of(dag, "a").arguments["command"] == "{{ ds }}"


def test_an_unknown_task_is_refused_with_the_nearest_known_one() -> None:
    with DAG("d") as dag:
        shell("extract")
    with pytest.raises(TaskNotFound, match="did you mean 'extract'"):
        dag.get_task("extrakt")


def test_an_older_spelling_can_be_translated() -> None:
    class Older(Spellings):
        def arguments(self, called: str, given: dict[str, Any], unknown: frozenset[str]) -> dict[str, Any]:
            return {("max_active_tis_per_dag" if name == "task_concurrency" else name): given[name] for name in given}

    use_spellings(Older())
    try:
        assert shell("a", task_concurrency=2).max_active_tis_per_dag == 2
        with pytest.raises(TypeError, match="concurency"):
            shell("a", concurency=2)
    finally:
        use_spellings(None)
    with pytest.raises(TypeError, match="task_concurrency"):
        shell("a", task_concurrency=2)


def test_a_deferred_task_goes_on_with_the_method_that_it_named() -> None:
    class Waiting(BaseOperator):
        def done(self, context: Any, event: Any, extra: int) -> Any:
            return context, event, extra

    task = Waiting(task_id="a")
    assert task.resume_execution("done", {"event": "e", "extra": 1}, "context") == ("context", "e", 1)
    with pytest.raises(TaskDeferralError, match="broken"):
        task.resume_execution("__fail__", {"error": "broken"}, None)
    with pytest.raises(TaskDeferralTimeout):
        task.resume_execution("__fail__", {"error": "late", "timeout": True}, None)


def test_an_async_operator_runs_its_coroutine() -> None:
    class Answer(BaseAsyncOperator):
        async def aexecute(self, context: Any) -> int:
            return 42

    assert Answer(task_id="a", execution_timeout=timedelta(seconds=9)).execute({}) == 42


def test_where_a_task_was_written_is_known() -> None:
    with DAG("d") as dag:
        shell("a")
        made_by_helper = shell("b")
    del made_by_helper
    lines = [task.source.line for task in spec(dag).tasks if task.source]
    assert len(lines) == 2
