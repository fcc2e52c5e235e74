"""Plugins: macros and listeners out of a bundle's folder `plugins`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from piper.compat import plugins
from piper.sdk.execution import listening
from piper.sdk.execution.macros import Macros
from piper.testing import run_dag
from tests.unit.compat.conftest import Load


@pytest.fixture(autouse=True)
def no_plugins() -> Iterator[None]:
    yield
    listening.listeners.clear()
    Macros.plugins.clear()


FLOW = """
    from airflow.sdk import DAG, task
    with DAG("d") as dag:
        @task
        def fine(): return 1
        @task
        def bad(): raise ValueError("no")
        @task
        def templated(value): return value
        fine(); bad(); templated("{{ macros.shifts.shift_of(3) }}")
"""


@pytest.mark.usefixtures("strict")
def test_a_plugins_macros_and_listeners_take_effect(load: Load) -> None:
    loaded = load(
        FLOW,
        plugins__shifts="""
            from airflow.listeners import hookimpl
            from airflow.plugins_manager import AirflowPlugin
            import shift_listener

            def shift_of(hour):
                return "night" if hour < 6 else "day"

            class Shifts(AirflowPlugin):
                name = "shifts"
                macros = [shift_of]
                listeners = [shift_listener]
        """,
        plugins__shift_listener="""
            from airflow.listeners import hookimpl
            said = []

            @hookimpl
            def on_task_instance_running(previous_state, task_instance):
                said.append(f"{task_instance.task_id} was {previous_state}")

            @hookimpl
            def on_task_instance_success(task_instance):
                said.append(f"{task_instance.task_id} well")
                raise RuntimeError("a listener's trouble changes nothing")

            @hookimpl
            def on_task_instance_failed(previous_state, task_instance, error):
                said.append(f"{task_instance.task_id} {error!r}")
        """,
    )
    result = run_dag(loaded.dags["d"])
    assert result["templated"].result == "night"
    assert (result["fine"].state, result["bad"].state) == ("success", "failed")
    (listener,) = listening.listeners
    assert listener.said[:4] == ["fine was queued", "fine well", "bad was queued", "bad ValueError('no')"]


@pytest.mark.usefixtures("strict")
def test_a_plugin_that_cannot_be_loaded_is_left_out_and_the_file_is_told(load: Load) -> None:
    loaded = load(FLOW, plugins__broken="raise ValueError('no such thing')")
    assert list(loaded.dags) == ["d"]
    (said,) = loaded.warnings
    assert "plugins/broken.py is left out: ValueError: no such thing" in said


@pytest.mark.usefixtures("strict")
def test_a_plugin_without_a_name_is_left_out(load: Load) -> None:
    text = "from airflow.plugins_manager import AirflowPlugin\nclass Nameless(AirflowPlugin): ..."
    (said,) = load(FLOW, plugins__nameless=text).warnings
    assert "ValueError: plugin Nameless needs a name" in said


@pytest.mark.usefixtures("strict")
def test_there_is_a_folder_of_plugins_for_all_bundles(
    load: Load, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = tmp_path_factory.mktemp("common")
    (common / "all.py").write_text(
        "from airflow.plugins_manager import AirflowPlugin\n"
        "class All(AirflowPlugin):\n    name = 'all'\n    macros = [len]\n"
    )
    monkeypatch.setenv(plugins.VARIABLE, str(common))
    load(FLOW)
    assert Macros.plugins["all"].len is len


@pytest.mark.usefixtures("strict")
def test_a_timetable_and_a_strategy_need_no_registration(load: Load) -> None:
    loaded = load(
        """
        from mine import Never, Last
        from airflow.sdk import DAG, task
        with DAG("d", schedule=Never()) as dag:
            task(task_id="x", weight_rule=Last())(print)()
        """,
        mine="""
        from airflow.task.priority_strategy import PriorityWeightStrategy
        from airflow.timetables.base import DagRunInfo, Timetable

        class Never(Timetable):
            def next_dagrun_info(self, *, last_automated_data_interval, restriction):
                return None

        class Last(PriorityWeightStrategy):
            def get_weight(self, ti):
                return -5
        """,
    )
    from piper.sdk.specs import spec_of

    assert spec_of(loaded.dags["d"], file="flows.py").tasks[0].priority == -5
