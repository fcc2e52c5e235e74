"""Setups and teardowns, and the tasks in their scope. (What Airflow 3.3.2 draws, compared on its own files.)"""

from __future__ import annotations

import pytest

from piper.model.errors import InvalidSpec
from piper.model.states import TriggerRule
from piper.sdk.dags import DAG
from piper.sdk.exceptions import AirflowException
from piper.sdk.setup_teardown import SetupTeardownContext, context_wrapper
from tests.unit.sdk.operators import Shell, shell, spec, task_of, upstream


def test_a_teardown_is_tied_to_its_setups() -> None:
    with DAG("d") as dag:
        create, work, delete = shell("create"), shell("work"), shell("delete")
        create >> work >> delete.as_teardown(setups=create, on_failure_fail_dagrun=True)
    assert upstream(dag)["delete"] == ("create", "work")
    assert task_of(dag, "create").setup
    stored = task_of(dag, "delete")
    assert (stored.teardown, stored.on_failure_fail_run) == (True, True)
    assert stored.trigger_rule is TriggerRule.ALL_DONE_SETUP_SUCCESS


def test_a_scope_ties_first_and_last_tasks() -> None:
    with DAG("d") as dag:
        create, delete = shell("create"), shell("delete")
        with delete.as_teardown(setups=create):
            shell("a") >> shell("b")
            shell("c")
    assert (
        upstream(dag)
        == {
            "create": (),
            "delete": ("b", "c", "create"),
            "a": ("create",),
            "b": ("a",),
            "c": ("create",),
        }
        | {}
    )


def test_a_scope_of_a_setup_finds_the_teardown_behind_it() -> None:
    with DAG("d") as dag:
        create, delete = shell("create").as_setup(), shell("delete").as_teardown()
        create >> delete
        with create:
            shell("work")
    assert upstream(dag)["work"] == ("create",)
    assert upstream(dag)["delete"] == ("create", "work")


def test_an_inner_scope_lies_within_the_outer_one() -> None:
    with DAG("d") as dag, shell("create").as_setup() >> shell("delete").as_teardown():
        shell("work")
        with shell("open").as_setup() >> shell("close").as_teardown():
            shell("inner")
        shell("after")
    tied = upstream(dag)
    assert tied["work"] == tied["after"] == ("create",)
    assert tied["open"] == ("create",)
    assert tied["inner"] == ("open",)
    assert tied["close"] == ("inner", "open")
    assert tied["delete"] == ("after", "close", "create", "work")


def test_a_setup_scope_within_a_teardown_scope() -> None:
    with DAG("d") as dag:
        create, delete = shell("create").as_setup(), shell("delete").as_teardown()
        with create, delete:
            shell("work")
    assert upstream(dag)["work"] == ("create",)
    assert upstream(dag)["delete"] == ("work",)


def test_where_every_task_is_tied_already_the_first_and_the_last_are_taken() -> None:
    with DAG("d") as dag:
        before, after = shell("before"), shell("after")
        with shell("delete").as_teardown(setups=shell("create")):
            before >> shell("a") >> shell("b") >> after
    assert upstream(dag)["a"] == ("before", "create")
    assert upstream(dag)["delete"] == ("b", "create")


def test_a_task_made_elsewhere_can_be_put_into_a_scope() -> None:
    with DAG("d") as dag:
        early = shell("early")
        with shell("delete").as_teardown(setups=shell("create")) as scope:
            scope.add_task(early.output)
    assert upstream(dag)["early"] == ("create",)
    with pytest.raises(AirflowException, match="outside the context manager"):
        SetupTeardownContext.add_task(early)


def test_several_setups_share_a_scope() -> None:
    with DAG("d") as dag:
        one, two = shell("one").as_setup(), shell("two").as_setup()
        with context_wrapper([one, two]):
            shell("work")
    assert upstream(dag)["work"] == ("one", "two")
    with DAG("e"), pytest.raises(ValueError, match="either setup or teardown"):
        context_wrapper([shell("a").as_setup(), shell("b").as_teardown()]).__enter__()


def test_only_setups_and_teardowns_have_a_scope() -> None:
    with DAG("d"), pytest.raises(RuntimeError, match="Only setup/teardown tasks"), shell("a"):
        pass


def test_a_task_is_a_setup_or_a_teardown_and_not_both() -> None:
    with DAG("d"):
        with pytest.raises(ValueError, match="already a setup"):
            shell("a").as_setup().as_teardown()
        with pytest.raises(ValueError, match="already a teardown"):
            shell("b").as_teardown().as_setup()
        with pytest.raises(ValueError, match="not a teardown"):
            shell("c").on_failure_fail_dagrun = True


def test_what_follows_a_setup_has_rule_all_success() -> None:
    with DAG("d") as dag:
        shell("create").as_setup() >> shell("work", trigger_rule="all_done")
    with pytest.raises(InvalidSpec, match="'work' of 'd' follows the setup 'create'") as caught:
        spec(dag)
    assert caught.value.line
    with pytest.raises(ValueError, match="Setup tasks must be followed"):
        dag.validate()


def test_a_teardown_keeps_its_rule() -> None:
    with DAG("d") as dag:
        task = shell("a").as_teardown()
        task.trigger_rule = "all_done"
    with pytest.raises(InvalidSpec, match="cannot be changed to 'all_done'"):
        spec(dag)


def test_a_mapped_task_may_be_a_teardown() -> None:
    with DAG("d") as dag:
        create = shell("create")
        Shell.partial(task_id="delete").expand(command=["a", "b"]).as_teardown(setups=create)
    assert task_of(dag, "delete").teardown
    assert task_of(dag, "delete").upstream == ("create",)
