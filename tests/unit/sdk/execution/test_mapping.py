"""Each mapped instance gets the elements that its number means, and asks for no others."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from piper.model import wire
from piper.model.events import Skipped
from piper.operators.bash import BashOperator
from piper.operators.python import PythonOperator
from piper.sdk.decorators import task, task_group
from piper.sdk.exceptions import AirflowSkipException
from piper.sdk.operator import BaseOperator
from tests.unit.sdk.execution.stage import MemoryChannel, a_dag, error_of, kinds, perform, result_of


@task
def numbers() -> list[int]:
    return []


@task
def letters() -> list[str]:
    return []


@task
def show(**kwargs: Any) -> Any:
    return {name: value for name, value in kwargs.items() if name in ("x", "y", "z")}


UPSTREAM = {
    ("numbers", "return_value", -1): [1, 2, 3],
    ("letters", "return_value", -1): {"a": "A", "b": "B"},
    ("many", "return_value", 0): "m0",
    ("many", "return_value", 4): "m4",
}


def instance(define: Callable[[], Any], index: int, channel: MemoryChannel | None = None, **changes: Any) -> Any:
    """What instance number `index` of the task `show` sees, of the DAG that `define` describes."""
    with a_dag() as dag:
        define()
    report = perform(dag.get_task("show"), channel=channel or MemoryChannel(UPSTREAM), map_index=index, **changes)
    return result_of(report)


def all_of(define: Callable[[], Any], count: int) -> list[Any]:
    return [instance(define, index) for index in range(count)]


# --- what the numbers mean ----------------------------------------------------------------------


def test_one_list_gives_its_elements() -> None:
    assert all_of(lambda: show.expand(x=[5, 6]), 2) == [{"x": 5}, {"x": 6}]


def test_a_dict_gives_its_entries() -> None:
    assert all_of(lambda: show.expand(x={"a": 1, "b": 2}), 2) == [{"x": ("a", 1)}, {"x": ("b", 2)}]


def test_several_lists_give_every_combination_the_last_varying_fastest() -> None:
    seen = all_of(lambda: show.expand(x=[1, 2], y=["a", "b", "c"], z=[True, False]), 12)
    assert [tuple(each.values()) for each in seen] == list(product([1, 2], ["a", "b", "c"], [True, False]))


def test_a_result_gives_its_elements() -> None:
    assert all_of(lambda: show.expand(x=numbers()), 3) == [{"x": 1}, {"x": 2}, {"x": 3}]


def test_a_dict_that_a_task_returned_gives_its_entries() -> None:
    assert all_of(lambda: show.expand(x=letters()), 2) == [{"x": ("a", "A")}, {"x": ("b", "B")}]


def test_a_tuple_that_a_task_returned_gives_its_elements() -> None:
    channel = MemoryChannel({("numbers", "return_value", -1): (7, 8)})
    assert instance(lambda: show.expand(x=numbers()), 1, channel) == {"x": 8}


def test_results_and_lists_give_every_combination() -> None:
    seen = all_of(lambda: show.expand(x=numbers(), y=[0, 1]), 6)
    assert [tuple(each.values()) for each in seen] == list(product([1, 2, 3], [0, 1]))
    seen = all_of(lambda: show.expand(x=[0, 1], y=numbers()), 6)
    assert [tuple(each.values()) for each in seen] == list(product([0, 1], [1, 2, 3]))


def test_the_results_of_a_mapped_task_give_one_element_each_without_those_that_are_none() -> None:
    def define() -> None:
        show.expand(x=PythonOperator.partial(task_id="many", python_callable=print).expand(op_args=[[1]]).output)

    assert all_of(define, 2) == [{"x": "m0"}, {"x": "m4"}]


def test_map_changes_each_element_in_the_consumer() -> None:
    assert all_of(lambda: show.expand(x=numbers().map(lambda n: n * 10).map(str)), 3)[2] == {"x": "30"}


def test_zip_gives_what_stands_at_the_same_position() -> None:
    assert all_of(lambda: show.expand(x=numbers().zip(letters())), 2) == [
        {"x": (1, ("a", "A"))},
        {"x": (2, ("b", "B"))},
    ]


def test_zip_with_a_fill_value_fills_the_gaps() -> None:
    assert instance(lambda: show.expand(x=numbers().zip(letters(), fillvalue=None)), 2) == {"x": (3, None)}


def test_concat_gives_one_after_the_other() -> None:
    seen = all_of(lambda: show.expand(x=numbers().concat(letters())), 5)
    assert [each["x"] for each in seen] == [1, 2, 3, ("a", "A"), ("b", "B")]


def test_expressions_can_be_nested() -> None:
    def define() -> None:
        one = numbers()
        show.expand(x=one.zip(letters().map(lambda entry: entry[1])).concat(one), y=[0, 1])

    assert instance(define, 0) == {"x": (1, "A"), "y": 0}
    assert instance(define, 3) == {"x": (2, "B"), "y": 1}
    assert instance(define, 8) == {"x": 3, "y": 0}


def test_partial_arguments_are_shared_by_all() -> None:
    assert instance(lambda: show.partial(y="shared").expand(x=[1]), 0) == {"x": 1, "y": "shared"}


# --- sets of arguments --------------------------------------------------------------------------


def test_expand_kwargs_gives_each_instance_its_dict() -> None:
    assert all_of(lambda: show.expand_kwargs([{"x": 1}, {"x": 2, "y": 3}]), 2) == [{"x": 1}, {"x": 2, "y": 3}]


def test_expand_kwargs_takes_the_dicts_that_a_task_returned() -> None:
    channel = MemoryChannel({("numbers", "return_value", -1): [{"x": 1}, {"y": 2}]})
    assert instance(lambda: show.expand_kwargs(numbers()), 1, channel) == {"y": 2}


def test_expand_kwargs_takes_results_changed_by_a_function() -> None:
    assert instance(lambda: show.expand_kwargs(numbers().map(lambda n: {"x": n})), 2) == {"x": 3}


def test_a_written_list_may_hold_the_result_of_a_task_in_place_of_a_dict() -> None:
    channel = MemoryChannel({("numbers", "return_value", -1): {"x": 9}})
    assert instance(lambda: show.expand_kwargs([{"x": 1}, numbers()]), 1, channel) == {"x": 9}


@pytest.mark.parametrize(
    ("returned", "message"),
    [([5], "not list[int]"), ([{"x": 1}, None], "list[dict]"), ([{"1": 1}], "")],
)
def test_a_result_that_is_no_list_of_dicts_fails_the_instance(returned: Any, message: str) -> None:
    with a_dag() as dag:
        show.expand_kwargs(numbers())
    channel = MemoryChannel({("numbers", "return_value", -1): returned})
    report = perform(dag.get_task("show"), channel=channel, map_index=len(returned) - 1)
    if message:
        assert message in error_of(report)
    else:
        assert result_of(report) == {}


def test_a_set_that_names_what_partial_gave_fails_the_instance() -> None:
    with a_dag() as dag:
        show.partial(x=0).expand_kwargs(numbers())
    channel = MemoryChannel({("numbers", "return_value", -1): [{"x": 1}]})
    report = perform(dag.get_task("show"), channel=channel, map_index=0)
    assert "mapping already partial argument: x" in error_of(report)


# --- asking for no more than the own element ----------------------------------------------------


def test_an_instance_asks_for_its_own_element_alone() -> None:
    channel = MemoryChannel({("numbers", "return_value", -1): list(range(10_000))})
    assert instance(lambda: show.expand(x=numbers()), 7_777, channel) == {"x": 7_777}
    assert channel.asked == [wire.GetXCom("numbers", "return_value", element=7_777)]


def test_an_element_that_came_with_the_task_is_not_asked_for() -> None:
    channel = MemoryChannel()
    seen = instance(lambda: show.expand(x=numbers()), 5, channel, element=wire.XComFound(b"[null]", 9))
    assert seen == {"x": [None]}
    assert channel.asked == []


def test_an_entry_that_came_with_the_task_is_not_asked_for() -> None:
    seen = instance(lambda: show.expand(x=numbers()), 0, MemoryChannel(), element=wire.XComFound(b"1", 9, "k"))
    assert seen == {"x": ("k", 1)}


def test_an_instance_of_a_combination_asks_for_lengths_and_its_own_elements() -> None:
    channel = MemoryChannel(UPSTREAM)
    instance(lambda: show.expand(x=numbers(), y=letters()), 5, channel)
    assert [(request.task_id, request.element) for request in channel.asked] == [
        ("letters", 0),  # its length
        ("numbers", 2),
        ("letters", 1),
    ]


def test_an_instance_over_a_mapped_task_asks_for_one_result() -> None:
    channel = MemoryChannel({("many", "return_value", index): index for index in range(1000)})

    def define() -> None:
        show.expand(x=PythonOperator.partial(task_id="many", python_callable=print).expand(op_args=[[1]]).output)

    assert instance(define, 500, channel) == {"x": 500}
    assert channel.asked == [wire.GetXComs("many", "return_value", 500, 501)]


# --- operators ----------------------------------------------------------------------------------


class Noting(BaseOperator):
    """Returns what it was given."""

    template_fields = ("text",)

    def __init__(self, *, text: Any, plain: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.text = text
        self.plain = plain

    def execute(self, context: Any) -> Any:
        return [self.text, self.plain, context["task"] is context["ti"].task, context["ti"].map_index]


def test_a_mapped_operator_becomes_an_operator_of_its_class_with_the_instances_arguments() -> None:
    with a_dag() as dag:
        Noting.partial(task_id="t", plain="p").expand(text=["a", "b"])
    assert result_of(perform(dag.get_task("t"), map_index=1)) == ["b", "p", True, 1]


def test_what_is_written_in_the_file_is_rendered_and_what_a_task_returned_is_not() -> None:
    with a_dag() as dag:
        Noting.partial(task_id="written").expand(text=["{{ ds }}"])
        texts = numbers()
        Noting.partial(task_id="pulled").expand(text=texts)
        Noting.partial(task_id="deep").expand_kwargs(texts.map(lambda text: {"text": [{"k": text}]}))
    channel = MemoryChannel({("numbers", "return_value", -1): ["{{ ds }}"]})
    assert result_of(perform(dag.get_task("written"), channel=channel, map_index=0))[0] == "2024-05-06"
    assert result_of(perform(dag.get_task("pulled"), channel=channel, map_index=0))[0] == "{{ ds }}"
    assert result_of(perform(dag.get_task("deep"), channel=channel, map_index=0))[0] == [{"k": "{{ ds }}"}]


def test_a_skip_in_a_mapping_function_skips_that_instance() -> None:
    def only_odd(number: int) -> int:
        if number % 2 == 0:
            raise AirflowSkipException(f"{number} is even")
        return number

    with a_dag() as dag:
        show.expand(x=numbers().map(only_odd))
    reports = [perform(dag.get_task("show"), channel=MemoryChannel(UPSTREAM), map_index=index) for index in (0, 1)]
    assert result_of(reports[0]) == {"x": 1}
    assert isinstance(reports[1].event, Skipped)
    assert reports[1].event.error == "2 is even"


def test_the_instance_has_the_params_of_the_mapped_task() -> None:
    with a_dag(params={"a": 1}) as dag:
        Noting.partial(task_id="t", params={"b": 2}).expand(text=["{{ params.a }}{{ params.b }}"])
    assert result_of(perform(dag.get_task("t"), map_index=0))[0] == "12"


# --- when the upstream result is not what it was ------------------------------------------------


def test_a_result_that_has_shrunk_fails_the_instance_clearly() -> None:
    with a_dag() as dag:
        show.expand(x=numbers())
    report = perform(dag.get_task("show"), channel=MemoryChannel(UPSTREAM), map_index=3)
    assert "has no element 3: it has shrunk since the expansion" in error_of(report)


def test_a_combination_over_an_empty_result_fails_the_instance_clearly() -> None:
    with a_dag() as dag:
        show.expand(x=[1], y=numbers())
    channel = MemoryChannel({("numbers", "return_value", -1): []})
    assert "'y' is mapped over nothing" in error_of(perform(dag.get_task("show"), channel=channel, map_index=0))


def test_a_combination_over_a_result_that_is_no_list_fails_the_instance_clearly() -> None:
    with a_dag() as dag:
        show.expand(x=[1], y=numbers())
    channel = MemoryChannel({("numbers", "return_value", -1): 5})
    report = perform(dag.get_task("show"), channel=channel, map_index=0)
    assert "result of task 'numbers' cannot be mapped over: it is neither a list nor a dict" in error_of(report)


# --- groups -------------------------------------------------------------------------------------


def test_arguments_of_a_mapped_group_are_elements_of_the_instance() -> None:
    @task_group
    def group(x: Any, y: Any, z: Any) -> None:
        show(x=x, y=y, z=z)

    channel = MemoryChannel(UPSTREAM)
    with a_dag() as dag:
        group.partial(z="shared").expand(x=["p", "q"], y=numbers())
    report = perform(dag.get_task("group.show"), channel=channel, map_index=4)
    assert result_of(report) == {"x": "q", "y": 2, "z": "shared"}


def test_arguments_of_a_mapped_group_can_be_sets() -> None:
    @task_group
    def group(x: Any, y: Any) -> None:
        show(x=x, y=y)

    with a_dag() as dag:
        group.expand_kwargs([{"x": 1, "y": 2}, {"x": 3, "y": 4}])
    assert result_of(perform(dag.get_task("group.show"), map_index=1)) == {"x": 3, "y": 4}


def test_a_classic_operator_in_a_mapped_group_renders_the_groups_argument() -> None:
    @task_group
    def group(x: Any) -> None:
        Noting(task_id="n", text=x)

    channel = MemoryChannel({("numbers", "return_value", -1): ["{{ ds }}"]})
    with a_dag() as dag:
        group.expand(x=numbers())
    assert result_of(perform(dag.get_task("group.n"), channel=channel, map_index=0))[0] == "{{ ds }}"


# --- names of instances -------------------------------------------------------------------------


def test_an_instance_has_the_name_that_its_template_gives() -> None:
    with a_dag() as dag:
        Noting.partial(task_id="t", map_index_template="{{ task.text }}!").expand(text=["a", "b"])
    assert perform(dag.get_task("t"), map_index=1).label == "b!"


def test_the_name_may_use_what_the_task_puts_into_the_context() -> None:
    with a_dag() as dag:

        @task(map_index_template="{{ my_name }}")
        def named(x: Any, **context: Any) -> None:
            from piper.sdk.execution.current import get_current_context

            get_current_context()["my_name"] = f"number {x}"

        named.expand(x=[1, 2])
    assert perform(dag.get_task("named"), map_index=1).label == "number 2"


def test_a_name_that_cannot_be_made_fails_a_task_that_succeeded_and_does_not_hide_why_one_failed() -> None:
    with a_dag() as dag:
        BashOperator.partial(task_id="bad", map_index_template="{{ nothing }}", env=5).expand(bash_command=["x"])
        Noting.partial(task_id="t", map_index_template="{{ nothing }}").expand(text=["a"])
    assert "'nothing' is undefined" in error_of(perform(dag.get_task("t"), map_index=0))
    assert "nothing" not in error_of(perform(dag.get_task("bad"), map_index=0))


def test_a_long_name_is_cut() -> None:
    with a_dag() as dag:
        Noting.partial(task_id="t", map_index_template="{{ 'x' * 1000 }}").expand(text=["a"])
    assert len(perform(dag.get_task("t"), map_index=0).label) == 250


def test_questions_of_an_instance_are_few() -> None:
    channel = MemoryChannel(UPSTREAM)
    instance(lambda: show.expand(x=numbers().zip(letters())), 1, channel)
    assert kinds(channel.asked) == ["GetXCom", "GetXCom"]
