"""Variables and connections come from the environment or the Task API, and their secrets are masked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from piper.model import wire
from piper.operators.python import PythonOperator
from piper.sdk import Connection, Variable
from piper.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError, ErrorType
from piper.sdk.execution import lookups
from piper.sdk.execution.accessors import ConnectionAccessor, VariableAccessor
from piper.sdk.execution.current import answer_outside_of_tasks, looking_up
from piper.sdk.operator import BaseOperator
from tests.unit.sdk.execution.stage import MemoryChannel, a_dag, error_of, kinds, perform, result_of

VARIABLES = {"bucket": "b1", "limits": '{"rows": 5, "api_key": "s3cr3t-1"}', "db_password": "hunter22", "broken": "{"}
WAREHOUSE = {
    "conn_type": "postgres",
    "host": "db",
    "login": "ada",
    "password": "hunter22",
    "extra": '{"token": "t0k3n"}',
}


@pytest.fixture(autouse=True)
def channel() -> Iterator[MemoryChannel]:
    found = MemoryChannel(variables=dict(VARIABLES), connections={"warehouse": WAREHOUSE})
    answer_outside_of_tasks(found)
    yield found
    answer_outside_of_tasks(None)


# --- variables ----------------------------------------------------------------------------------


def test_a_variable_is_its_text_or_the_value_of_its_json() -> None:
    assert Variable.get("bucket") == "b1"
    assert Variable.get("limits", deserialize_json=True)["rows"] == 5


def test_a_variable_that_is_missing_is_an_error_unless_a_default_is_given() -> None:
    with pytest.raises(AirflowRuntimeError, match="Variable gone not found: create it with") as caught:
        Variable.get("gone")
    assert caught.value.error.error is ErrorType.VARIABLE_NOT_FOUND
    assert Variable.get("gone", default=None) is None


def test_code_that_catches_the_key_error_of_airflow_2_still_works() -> None:
    with pytest.raises(KeyError):
        Variable.get("gone")


def test_a_variable_that_is_not_json_says_so() -> None:
    with pytest.raises(ValueError, match="variable 'broken' is not JSON"):
        Variable.get("broken", deserialize_json=True)


@pytest.mark.parametrize("name", ["AIRFLOW_VAR_BUCKET", "PIPER_VAR_BUCKET"])
def test_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch, channel: MemoryChannel, name: str) -> None:
    monkeypatch.setenv(name, "from the environment")
    assert Variable.get("bucket") == "from the environment"
    assert channel.asked == []


def test_variables_can_be_set_and_deleted(channel: MemoryChannel) -> None:
    Variable.set("new", 5)
    Variable.set("data", {"a": 1}, serialize_json=True)
    assert Variable.get("new") == "5"
    assert Variable.get("data", deserialize_json=True) == {"a": 1}
    Variable.delete("new")
    Variable.delete("new")  # gone already
    assert "new" not in channel.variables


# --- connections --------------------------------------------------------------------------------


def test_a_connection_has_its_parts() -> None:
    found = Connection.get("warehouse")
    assert (found.conn_type, found.host, found.password) == ("postgres", "db", "hunter22")


@pytest.mark.parametrize("text", ["postgres://ada:pw@db/x", '{"conn_type": "postgres", "host": "db"}'])
def test_the_environment_may_give_a_connection_as_uri_or_json(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", text)
    assert Connection.get("other").host == "db"


def test_a_connection_that_is_missing_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(AirflowNotFoundException, match="`gone` isn't defined: create it with"):
        Connection.get("gone")


# --- while a file is loaded ---------------------------------------------------------------------


def test_while_a_file_is_loaded_it_may_look_something_up_and_do_nothing_else(channel: MemoryChannel) -> None:
    with looking_up(channel.ask):
        assert Variable.get("bucket") == "b1"
        assert Connection.get("warehouse").host == "db"
        for forbidden in (lambda: Variable.set("bucket", "b2"), lambda: Variable.delete("bucket")):
            with pytest.raises(RuntimeError, match="nobody to ask here: outside of a task, as at the top level"):
                forbidden()
    assert channel.variables["bucket"] == "b1"
    Variable.set("bucket", "b2")  # who answered before answers again
    assert channel.variables["bucket"] == "b2"


def test_where_no_installation_is_asked_there_are_only_the_variables_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer_outside_of_tasks(None)
    monkeypatch.setenv("AIRFLOW_VAR_REGION", "north")
    assert Variable.get("region") == "north"
    assert Variable.get("bucket", default="b0") == "b0"
    with pytest.raises(
        KeyError, match="`piper variables set bucket`, put it into Piper's environment as AIRFLOW_VAR_BUCKET"
    ):
        Variable.get("bucket")
    with pytest.raises(AirflowNotFoundException, match="AIRFLOW_CONN_WAREHOUSE"):
        Connection.get("warehouse")


def test_a_program_that_a_task_has_started_does_not_take_a_default_for_what_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer_outside_of_tasks(None)
    monkeypatch.setenv("PIPER_FENCE_TOKEN", "1.0")
    with pytest.raises(RuntimeError, match="a program that a task has started cannot read variables"):
        Variable.get("bucket", default="b0")


# --- in templates -------------------------------------------------------------------------------


class Show(BaseOperator):
    template_fields = ("text",)

    def __init__(self, *, text: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.text = text

    def execute(self, context: Any) -> str:
        return self.text


def rendered(text: str, channel: MemoryChannel) -> wire.Report:
    with a_dag():
        task = Show(task_id="task", text=text)
    return perform(task, channel=channel)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ var.value.bucket }}", "b1"),
        ("{{ var.json.limits.rows }}", "5"),
        ("{{ var.value.get('gone', 'd') }}", "d"),
        ("{{ var.json.get('gone', {'a': 1}).a }}", "1"),
        ("{{ conn.warehouse.host }}", "db"),
        ("{{ conn.get('gone', 'none') }}", "none"),
    ],
)
def test_templates_reach_variables_and_connections(text: str, expected: str, channel: MemoryChannel) -> None:
    assert result_of(rendered(text, channel)) == expected


@pytest.mark.parametrize("text", ["{{ var.value.gone }}", "{{ conn.gone }}", "{{ var.value.get('gone') }}"])
def test_a_template_that_names_what_is_missing_fails_the_task(text: str, channel: MemoryChannel) -> None:
    assert "gone" in error_of(rendered(text, channel))


def test_questions_of_python_itself_are_not_taken_for_names(channel: MemoryChannel) -> None:
    for accessor in (VariableAccessor(deserialize_json=False), ConnectionAccessor()):
        assert not hasattr(accessor, "__html__")
        assert repr(accessor).startswith("<")
    assert channel.asked == []


# --- secrets ------------------------------------------------------------------------------------


def test_secrets_are_masked_from_the_moment_they_are_fetched(channel: MemoryChannel) -> None:
    def work() -> None:
        Variable.get("bucket")
        Variable.get("db_password")
        Variable.get("limits", deserialize_json=True)
        Connection.get("warehouse")

    with a_dag():
        task = PythonOperator(task_id="task", python_callable=work)
    perform(task, channel=channel)
    assert set(channel.masked) == {"hunter22", "s3cr3t-1", "t0k3n"}


def test_a_secret_in_a_rendered_field_is_masked(channel: MemoryChannel) -> None:
    assert rendered("psql {{ conn.warehouse.password }}", channel).rendered == {"text": "psql ***"}


def test_a_task_asks_for_each_variable_once_per_use_and_no_more(channel: MemoryChannel) -> None:
    rendered("{{ var.value.bucket }}", channel)
    assert kinds(channel.asked) == ["GetVariable"]


def test_prefixes_are_looked_at_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPER_VAR_X", "piper")
    monkeypatch.setenv("AIRFLOW_VAR_X", "airflow")
    assert lookups.get_variable("x") == "piper"
