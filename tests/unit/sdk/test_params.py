"""Parameters of runs."""

from __future__ import annotations

from typing import Any

import pytest

from piper.model.spec import ParamSpec
from piper.sdk.dags import DAG
from piper.sdk.exceptions import ParamValidationError
from piper.sdk.params import Param, ParamsDict, process_params
from tests.unit.sdk.operators import shell, spec, task_of


def test_a_value_must_satisfy_the_schema() -> None:
    param = Param(5, type="integer", minimum=1)
    assert param.resolve() == 5
    assert param.resolve(7) == 7
    assert param.resolve() == 7
    with pytest.raises(ParamValidationError, match="0 is less than the minimum of 1"):
        param.resolve(0)
    assert param.resolve(0, suppress_exception=True) is None
    assert param.resolve() == 7


def test_formats_are_checked() -> None:
    with pytest.raises(ParamValidationError, match="'yesterday' is not a 'date'"):
        Param("yesterday", type="string", format="date").resolve()


def test_where_in_a_value_the_trouble_is_gets_said() -> None:
    param = Param({"a": [1, "x"]}, type="object", properties={"a": {"items": {"type": "integer"}}})
    with pytest.raises(ParamValidationError, match=r"\(at \['a'\]\[1\]\)"):
        param.resolve()


def test_a_param_without_a_value_has_to_be_given_one() -> None:
    with pytest.raises(ParamValidationError, match="No value passed and Param has no default value"):
        Param(type="integer").resolve()
    assert not Param(None).has_value


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), b"x"])
def test_a_value_must_be_json(value: Any) -> None:
    with pytest.raises(ParamValidationError, match="json-serializable"):
        Param(value)
    with pytest.raises(ParamValidationError, match=r"param x: .*json-serializable"):
        ParamsDict({"x": value})


def test_a_wrong_schema_is_refused() -> None:
    with pytest.raises(ParamValidationError, match="schema is wrong"):
        Param(1, type="whole").resolve()


def test_a_dict_of_params_gives_values_and_checks_them() -> None:
    params = ParamsDict({"x": Param(1, type="integer"), "y": "b"})
    assert (params["x"], params["y"], len(params), list(params)) == (1, "b", 2, ["x", "y"])
    params["x"] = 2
    params["z"] = 3
    assert params.dump() == {"x": 2, "y": "b", "z": 3}
    with pytest.raises(ParamValidationError, match="Invalid input for param x: 'two'"):
        params["x"] = "two"
    del params["z"]
    assert "z" not in params
    assert params.get_param("x").schema == {"type": "integer"}
    assert params == {"x": 2, "y": "b"}


def test_a_copy_does_not_change_the_original() -> None:
    params = ParamsDict({"x": 1})
    ParamsDict(params)["x"] = 2
    other = ParamsDict()
    other.update(params)
    other["x"] = 3
    assert params["x"] == 1


def test_what_is_wrong_can_be_read_as_none() -> None:
    params = ParamsDict({"x": Param("a", type="integer")}, suppress_exception=True)
    assert params["x"] is None


def test_the_runs_conf_is_stronger_than_the_task_and_the_task_than_the_dag() -> None:
    with DAG("d", params={"a": Param(1, type="integer"), "b": 1, "c": 1}) as dag:
        task = shell("t", params={"b": 2, "c": 2})
    assert process_params(dag, task, {"c": 3, "new": 4}, suppress_exception=False) == {"a": 1, "b": 2, "c": 3, "new": 4}
    with pytest.raises(ParamValidationError, match="param a"):
        process_params(dag, task, {"a": "x"}, suppress_exception=False)
    assert dag.params["c"] == 1


def test_params_are_stored_with_what_a_form_needs() -> None:
    with DAG(
        "d",
        params={
            "plain": 5,
            "rich": Param("a", description="Pick one.", type="string", enum=["a", "b"], title="Choice"),
            "needed": Param(type="integer"),
            "null": Param(None, type=["null", "string"]),
            "empty": Param(None, type="string"),
        },
    ) as dag:
        shell("a", params={"own": Param(1, minimum=0)})
    assert spec(dag).params == {
        "plain": ParamSpec(default=5),
        "rich": ParamSpec(
            schema={"type": "string", "enum": ["a", "b"], "title": "Choice"}, default="a", description="Pick one."
        ),
        "needed": ParamSpec(schema={"type": "integer"}, required=True),
        "null": ParamSpec(schema={"type": ["null", "string"]}),
        "empty": ParamSpec(schema={"type": "string"}, required=True),
    }
    assert task_of(dag, "a").params == {"own": {"value": 1, "schema": {"minimum": 0}, "description": ""}}
