"""Small parts of Airflow's library that code imports: helpers, states, keyword arguments, DagBag, configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("strict")


def test_configuration_that_is_not_set_is_the_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.configuration import conf
    from airflow.exceptions import AirflowConfigException

    assert conf.get("kubernetes_executor", "worker_container_repository", fallback="none") == "none"
    monkeypatch.setenv("AIRFLOW__ACME__WIDTH", "7")
    assert conf.getint("acme", "width") == 7
    with pytest.raises(AirflowConfigException, match="not found in config"):
        conf.get("acme", "height")


def test_a_variable_of_the_models_calls_its_default_default_var(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.models import Variable
    from airflow.sdk import Variable as Present

    monkeypatch.setenv("AIRFLOW_VAR_LIMITS", '{"rows": 5}')
    assert Variable.get("limits", default_var={}, deserialize_json=True) == {"rows": 5}
    assert Variable.get("limits", None, True) == {"rows": 5}
    assert Variable.setdefault("limits", {}, deserialize_json=True) == {"rows": 5}
    assert issubclass(Variable, Present)
    with pytest.raises(TypeError, match="default_var"):
        Present.get("limits", default_var={})  # type: ignore[call-arg]


def test_states_are_sets_of_names() -> None:
    from airflow.utils.state import DagRunState, State, TaskInstanceState

    assert State.SUCCESS == TaskInstanceState.SUCCESS == "success"
    assert TaskInstanceState.UPSTREAM_FAILED in State.finished
    assert None in State.unfinished
    assert DagRunState.FAILED == "failed"


def test_helpers_do_what_their_names_say() -> None:
    from airflow.utils import helpers

    assert list(helpers.chunks([1, 2, 3], 2)) == [[1, 2], [3]]
    assert helpers.merge_dicts({"a": {"x": 1}}, {"a": {"y": 2}}) == {"a": {"x": 1, "y": 2}}
    assert helpers.prune_dict({"a": None, "b": {"c": None, "d": 0}}) == {"b": {"d": 0}}
    assert helpers.prune_dict({"a": [], "b": 1}, mode="truthy") == {"b": 1}
    assert (helpers.exactly_one(1, 0), helpers.exactly_one(1, 1), helpers.at_most_one(None, 0)) == (True, False, True)
    assert helpers.convert_camel_to_snake("CamelCase") == "camel_case"
    assert helpers.partition(lambda n: n > 1, [1, 2, 3]) == ([1], [2, 3])
    with pytest.raises(ValueError, match="positive"):
        list(helpers.chunks([], 0))


def test_a_function_is_called_with_the_keyword_arguments_that_it_takes() -> None:
    from airflow.providers.common.compat.sdk import determine_kwargs
    from airflow.utils.operator_helpers import make_kwargs_callable

    assert determine_kwargs(lambda a, b: None, (), {"a": 1, "b": 2, "c": 3}) == {"a": 1, "b": 2}
    assert determine_kwargs(lambda **all: None, (), {"a": 1}) == {"a": 1}
    assert make_kwargs_callable(lambda a: a)(a=1, b=2) == 1
    with pytest.raises(ValueError, match="reserved"):
        determine_kwargs(lambda a: None, (1,), {"a": 1})


def test_a_dag_bag_has_the_dags_of_a_folder_and_what_is_wrong_with_others(tmp_path: Path) -> None:
    from airflow.models import DagBag

    (tmp_path / "good.py").write_text("from airflow.sdk import DAG\nwith DAG('a'): ...\nwith DAG('b'): ...")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "bad.py").write_text("from airflow.sdk import DAG\n1 / 0")
    (tmp_path / "other.py").write_text("raise SystemExit('this mentions no workflow at all')")
    bag = DagBag(dag_folder=str(tmp_path), include_examples=False)
    assert sorted(bag.dag_ids) == ["a", "b"]
    assert bag.get_dag("a").dag_id == "a"
    assert bag.get_dag("c") is None
    ((file, error),) = bag.import_errors.items()
    assert file.endswith("sub/bad.py")
    assert "ZeroDivisionError" in error


def test_what_measures_and_collects_may_be_called_and_goes_nowhere() -> None:
    from airflow.sdk.lineage import get_hook_lineage_collector as collector
    from airflow.stats import Stats

    Stats.incr("x", tags={"a": 1})
    with Stats.timer("x") as timer:
        pass
    assert timer.duration is not None
    collector().add_input_asset(context=None, uri="s3://x")
    assert not collector().has_collected


def test_mail_without_its_provider_says_what_to_install() -> None:
    from airflow.exceptions import AirflowOptionalProviderFeatureException
    from airflow.utils.email import send_email

    with pytest.raises(
        AirflowOptionalProviderFeatureException, match="pip install --no-deps apache-airflow-providers-smtp"
    ):
        send_email("a@b", "subject", "text")


def test_a_class_gets_a_logger(caplog: pytest.LogCaptureFixture) -> None:
    from airflow.utils.log.logging_mixin import LoggingMixin

    class Mine(LoggingMixin):
        def work(self) -> None:
            self.log.warning("careful")

    Mine().work()
    assert [record.message for record in caplog.records] == ["careful"]
    assert caplog.records[0].name.endswith("Mine")


def test_exceptions_keep_their_families() -> None:
    from airflow import exceptions
    from airflow.sdk.exceptions import AirflowException, AirflowSkipException

    assert exceptions.AirflowSkipException is AirflowSkipException
    assert issubclass(exceptions.DagRunAlreadyExists, AirflowException)
    assert issubclass(exceptions.DagNotFound, exceptions.AirflowNotFoundException)


def test_a_block_that_takes_too_long_times_out() -> None:
    from airflow.sdk.exceptions import AirflowTaskTimeout
    from airflow.sdk.execution_time.timeout import timeout

    def busy() -> Any:
        while True:
            pass

    with pytest.raises(AirflowTaskTimeout), timeout(seconds=0.05):
        busy()
