"""References to results."""

from __future__ import annotations

from typing import Any

import pytest

from piper.model.spec import ConcatLength, ResultLength, ZipLength
from piper.sdk.dags import DAG
from piper.sdk.exceptions import AirflowException
from piper.sdk.xcom_arg import (
    ConcatXComArg,
    MapXComArg,
    PlainXComArg,
    XComArg,
    ZipXComArg,
    _Concatenated,
    _Mapped,
    _Zipped,
)
from tests.unit.sdk.operators import shell, task_of, upstream


def test_a_result_in_a_template_field_draws_an_arrow_however_deep() -> None:
    with DAG("d") as dag:
        a, b, c = shell("a"), shell("b"), shell("c")
        shell("d", command=[a.output, {"x": (b.output["key"],)}], env={"y": c})
    assert upstream(dag)["d"] == ("a", "b")
    assert task_of(dag, "d").reads == (("a", "return_value"), ("b", "key"))


def test_a_result_in_text_becomes_a_template_and_no_arrow() -> None:
    with DAG("d") as dag:
        a = shell("a")
        shell("b", command=f"echo {a.output} {a.output['n']}")
    assert upstream(dag)["b"] == ()
    assert task_of(dag, "b").arguments["command"] == (
        "echo {{ task_instance.xcom_pull(task_ids='a', dag_id='d', key='return_value') }} "
        "{{ task_instance.xcom_pull(task_ids='a', dag_id='d', key='n') }}"
    )


def test_a_result_can_be_made_from_a_task_and_a_key() -> None:
    with DAG("d"):
        a = shell("a")
    assert isinstance(XComArg(a), PlainXComArg)
    assert XComArg(a, "k") == a.output["k"]
    assert XComArg(a) != a.output["k"]
    assert len({XComArg(a), a.output}) == 1


def test_a_result_is_looked_up_by_name_and_cannot_be_iterated() -> None:
    with DAG("d"):
        output = shell("a").output
    with pytest.raises(ValueError, match="only supports str lookup"):
        output[0]  # type: ignore[index]
    with pytest.raises(TypeError, match="not iterable"):
        print(*output)


def test_lengths_of_expressions() -> None:
    with DAG("d"):
        a, b = shell("a").output, shell("b").output
    assert a.length == a.map(str).length == ResultLength("a")
    assert a.zip(b).length == ZipLength((ResultLength("a"), ResultLength("b")))
    assert a.zip(b, fillvalue=None).length == ZipLength((ResultLength("a"), ResultLength("b")), fill=True)
    assert a.concat(b).concat(a).length == ConcatLength((ResultLength("a"), ResultLength("b"), ResultLength("a")))
    assert a.map(str).map(len).callables == [str, len]


def test_only_return_values_can_be_mapped_zipped_and_concatenated() -> None:
    with DAG("d"):
        output = shell("a").output
    for use in (lambda: output["k"].map(str), lambda: output["k"].zip(output), lambda: output["k"].concat(output)):
        with pytest.raises(ValueError, match="non-return XCom 'k'"):
            use()
    with pytest.raises(TypeError, match=r"zip\(\) takes results of tasks"):
        output.zip([1])
    with pytest.raises(TypeError, match="must be a function"):
        output.map("upper")


def test_a_result_is_marked_with_its_task() -> None:
    with DAG("d"):
        task = shell("a")
    task.output.as_setup()
    assert task.is_setup
    with pytest.raises(AirflowException, match="Only setup/teardown"), shell("b", dag=DAG("e")).output:
        pass


class Fixed(XComArg):
    def __init__(self, value: Any) -> None:
        self.value = value

    def resolve(self, context: Any) -> Any:
        return self.value


def test_expressions_become_sequences() -> None:
    mapped = MapXComArg(Fixed([1, 2, 3]), [lambda n: n + 1, str]).resolve({})
    assert list(mapped) == ["2", "3", "4"]
    assert mapped[-1] == "4"
    assert list(ZipXComArg([Fixed([1, 2, 3]), Fixed(["ab"])]).resolve({})) == [(1, "ab")]
    filled = ZipXComArg([Fixed([1, 2]), Fixed({"k": "v"})], fillvalue=0).resolve({})
    assert list(filled) == [(1, ("k", "v")), (2, 0)]
    joined = ConcatXComArg([Fixed([1]), Fixed({"k": "v"}), Fixed([2, 3])]).resolve({})
    assert list(joined) == [1, ("k", "v"), 2, 3]
    assert (len(joined), joined[-1]) == (4, 3)


def test_elements_are_changed_one_by_one_when_looked_at() -> None:
    seen: list[int] = []
    values = _Mapped([1, 2, 3], [seen.append])
    values[1]
    assert seen == [2]


@pytest.mark.parametrize("sequence", [_Mapped([1], []), _Zipped([[1]], None), _Concatenated([[1]])])
def test_beyond_the_end_there_is_nothing(sequence: Any) -> None:
    for index in (1, -2):
        with pytest.raises(IndexError):
            sequence[index]


@pytest.mark.parametrize("value", [1, "text", None])
def test_only_lists_and_dicts_can_be_mapped(value: Any) -> None:
    with pytest.raises(ValueError, match="XCom map expects sequence or dict"):
        MapXComArg(Fixed(value), [str]).resolve({})
