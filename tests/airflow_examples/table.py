"""How each example ends on Airflow 3.3.2, and why some are meant to fail, to skip or to wait.

The plain files and the asset files were run on Airflow itself (`dag.test()`, airflow-semantics Appendix D.2, and
once more for this table); the four that need other DAGs or a triggerer follow its predictions. What depends on the
day or the hour is a function of the moment; nothing here is left to chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

FAILED, SKIPPED, UPSTREAM_FAILED = "failed", "skipped", "upstream_failed"


@dataclass(frozen=True)
class End:
    """How a run of one DAG ends."""

    dag_id: str
    instances: int
    """How many task instances it has; those that are not named below succeed."""
    state: str = "success"
    others: Mapping[str, str] = field(default_factory=dict)
    """Task instance → state, of those that do not succeed."""
    why: str = ""
    """Why it fails, or why those tasks do not succeed."""
    conf: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """For the name of a test."""
        return f"{self.dag_id}-with-conf" if self.conf else self.dag_id


def skipped(*tasks: str) -> dict[str, str]:
    """These tasks are skipped."""
    return dict.fromkeys(tasks, SKIPPED)


def plain(now: datetime) -> dict[str, list[End]]:
    """The 39 files that need nothing but the language and the standard operators.

    Arguments:
        now: when they run, which is also their logical date.
    """
    weekend, monday = now.weekday() >= 5, now.weekday() == 0
    afternoon = now.hour >= 15
    condition_false = skipped("false_1", "false_2", "task_4", "task_6")
    unlucky = (
        "the condition is False; task_4 is right below a short circuit that leaves rules alone, task_7 is all_done"
    )
    return {
        # --- airflow/example_dags -------------------------------------------------------------------
        "example_branch_labels": [End("example_branch_labels", 7)],
        "example_branch_python_dop_operator_3": [
            End(
                "example_branch_dop_operator_v3",
                3,
                others=skipped("empty_task_2" if now.minute % 2 == 0 else "empty_task_1"),
                why="it branches by the parity of the logical date's minute",
            )
        ],
        "example_complex": [End("example_complex", 37)],
        "example_custom_weight": [End("example_custom_weight", 4)],
        "example_display_name": [End("example_display_name", 2)],
        "example_dynamic_task_mapping": [
            End("example_dynamic_task_mapping", 4),
            End("example_task_mapping_second_order", 7),
            End("example_task_group_mapping", 6),
        ],
        "example_dynamic_task_mapping_with_no_taskflow_operators": [
            End("example_dynamic_task_mapping_with_no_taskflow_operators", 4)
        ],
        "example_failed_dag": [
            End("example_failed_dag", 1, FAILED, {"fail_task": FAILED}, "its task raises, to show a traceback")
        ],
        "example_latest_only_with_trigger": [End("latest_only_with_trigger", 5)],
        "example_nested_branch_dag": [
            End(
                "example_nested_branch_dag",
                9,
                others=skipped("branch_2", "false_1", "false_2", "false_3", "join_2", "true_2"),
                why="the branches choose true_1 and, below join_1, nothing that leads to the second branch",
            )
        ],
        "example_params_trigger_ui": [End("example_params_trigger_ui", 12)],
        "example_params_ui_tutorial": [
            End("example_params_ui_tutorial", 1, conf={"required_field": "a text that is long enough"})
        ],
        "example_passing_params_via_test_command": [
            End(
                "example_passing_params_via_test_command",
                3,
                FAILED,
                {"also_run_this": FAILED},
                "a template asks for a param that nobody gives, and that is an error (StrictUndefined)",
            ),
            End("example_passing_params_via_test_command", 3, conf={"foo": "bar"}),
        ],
        "example_setup_teardown": [End("example_setup_teardown", 6)],
        "example_setup_teardown_taskflow": [End("example_setup_teardown_taskflow", 9)],
        "example_simplest_dag": [End("example_simplest_dag", 1)],
        "example_skip_dag": [
            End(
                "example_skip_dag",
                8,
                others=skipped("all_success", "final_1", "skip_operator_1", "skip_operator_2"),
                why="two tasks skip themselves; what needs all of its upstream tasks is skipped with them",
            )
        ],
        "example_task_group": [End("example_task_group", 9)],
        "example_task_group_decorator": [End("example_task_group_decorator", 17)],
        "example_trigger_target_dag": [End("example_trigger_target_dag", 2)],
        "example_workday_timetable": [End("example_workday_timetable", 1)],
        "example_xcom": [End("example_xcom", 6)],
        "example_xcomargs": [End("example_xcom_args", 2), End("example_xcom_args_with_operators", 4)],
        "tutorial": [End("tutorial", 3)],
        "tutorial_dag": [End("tutorial_dag", 3)],
        "tutorial_taskflow_api": [End("tutorial_taskflow_api", 3)],
        "tutorial_taskflow_templates": [End("tutorial_taskflow_templates", 1)],
        # --- airflow/providers/standard/example_dags ----------------------------------------------------
        "example_bash_decorator": [
            End(
                "example_bash_decorator",
                13,
                others=skipped("this_will_skip", *([] if weekend else ["sleep_in"])),
                why="exit code 99 skips; nobody sleeps in on a working day",
            )
        ],
        "example_bash_operator": [
            End(
                "example_bash_operator",
                9,
                others=skipped("this_will_skip", "run_this_last"),
                why="exit code 99 skips, and the last task needs all of its upstream tasks",
            )
        ],
        "example_branch_datetime_operator": [
            End(
                "example_branch_datetime_operator",
                3,
                others=skipped("date_in_range"),
                why="it is not October 2020",
            ),
            End(
                "example_branch_datetime_operator_2",
                3,
                others=skipped("date_outside_range" if afternoon else "date_in_range"),
                why="in range is from 15:00 UTC to midnight",
            ),
            End(
                "example_branch_datetime_operator_3",
                3,
                others=skipped("date_in_range"),
                why="the logical date is not in October 2020",
            ),
        ],
        "example_branch_day_of_week_operator": [
            End(
                "example_weekday_branch_operator",
                6,
                others=skipped("branch_false", "make_weekend_choice", "branch_weekend", "branch_mid_week")
                if monday
                else skipped("branch_true", "branch_mid_week" if weekend else "branch_weekend"),
                why="it branches by the day of the week",
            )
        ],
        "example_external_task_child_deferrable": [End("child_dag", 1)],
        "example_latest_only": [End("latest_only", 2)],
        "example_measurement_correction_decorator": [End("example_measurement_correction_decorator", 4)],
        "example_measurement_correction_operator": [End("example_measurement_correction_operator", 4)],
        "example_sensor_decorator": [End("example_sensor_decorator", 2)],
        "example_short_circuit_decorator": [
            End("example_short_circuit_decorator", 14, others=condition_false, why=unlucky)
        ],
        "example_short_circuit_operator": [
            End("example_short_circuit_operator", 14, others=condition_false, why=unlucky)
        ],
        "example_trigger_controller_dag": [End("example_trigger_controller_dag", 1)],
    }


ASSETS = {
    "example_asset_alias": [
        End("asset_s3_bucket_producer", 1),
        End("asset_alias_example_alias_producer", 1),
        End("asset_s3_bucket_consumer", 1),
        End("asset_alias_example_alias_consumer", 1),
    ],
    "example_asset_alias_with_no_taskflow": [
        End("asset_s3_bucket_producer_with_no_taskflow", 1),
        End("asset_alias_example_alias_producer_with_no_taskflow", 1),
        End("asset_s3_bucket_consumer_with_no_taskflow", 1),
        End("asset_alias_example_alias_consumer_with_no_taskflow", 1),
    ],
    "example_asset_allow_teams": [End("team_analytics_producer", 1), End("team_ml_consumer", 1)],
    "example_asset_decorator": [
        End("asset1_producer", 1),
        End("asset2_producer", 1),
        End("consumes_asset_decorator", 1),
    ],
    "example_assets": [
        End("asset_produces_1", 1),
        End("asset_produces_2", 1),
        End("asset_consumes_1", 1),
        End("asset_consumes_1_and_2", 1),
        End("asset_consumes_1_never_scheduled", 1),
        End("asset_consumes_unknown_never_scheduled", 1),
        End("consume_1_and_2_with_asset_expressions", 1),
        End("consume_1_or_2_with_asset_expressions", 1),
        End("consume_1_or_both_2_and_3_with_asset_expressions", 1),
        End("conditional_asset_and_time_based_timetable", 1),
    ],
    "example_inlet_event_extra": [
        End("read_asset_event", 1),
        End(
            "read_asset_event_from_classic",
            1,
            FAILED,
            {"read_asset_event_from_classic": FAILED},
            "it asks for the last event of an asset that has none yet; the other DAG takes a slice, which is empty",
        ),
    ],
    "example_outlet_event_extra": [
        End("asset_with_extra_by_yield", 1),
        End("asset_with_extra_by_context", 1),
        End("asset_with_extra_from_classic_operator", 1),
    ],
}
"""The 7 asset files without partition, watcher or state store. Here each DAG is run by hand."""

SENSORS = End(
    "example_sensors",
    16,
    others=skipped(
        "timeout_after_second_date_in_the_future",
        "Sensor_fails_after_3_seconds",
        "failure_timeout_sensor_python",
        "week_day_sensor_failing_on_timeout",
    ),
    why="four sensors time out, which soft_fail makes a skip; a deferred one is not told its timeout and waits an hour",
)
TIME_DELTA = End("example_time_delta_sensor_async", 2)
MARKER_PARENT = End("example_external_task_marker_parent", 1)
MARKER_CHILD = End(
    "example_external_task_marker_child",
    3,
    FAILED,
    {"child_task2": FAILED, "child_task3": UPSTREAM_FAILED},
    "child_task2 waits for a task group that the parent does not have",
)
MARKER_CHILD_ALONE = End(
    "example_external_task_marker_child",
    3,
    FAILED,
    {"child_task1": FAILED, "child_task2": UPSTREAM_FAILED, "child_task3": UPSTREAM_FAILED},
    "no run of the parent has its logical date, so that child_task1 times out",
)
PARENT_DEFERRABLE = End("example_external_task", 4)

NAMED = {
    "example_sensors": [SENSORS],
    "example_time_delta_sensor_async": [TIME_DELTA],
    "example_external_task_marker_dag": [MARKER_PARENT, MARKER_CHILD, MARKER_CHILD_ALONE],
    "example_external_task_parent_deferrable": [PARENT_DEFERRABLE],
}
"""Four more that need a triggerer, other DAGs, or both."""

REMAINING: dict[str, int | str] = {
    # (c): need a network or a cluster, and must load
    "example_kubernetes_executor": 0,
    "example_local_kubernetes_executor": 0,
    "example_dag_decorator": 1,
    "example_retry_policy": 1,
    "tutorial_objectstorage": "ModuleNotFoundError: No module named 'requests'",
    # (a-venv)
    "tutorial_taskflow_api_virtualenv": "task decorator 'virtualenv' not found: Piper has no virtual environments yet",
    "example_branch_operator": (
        "Piper has no airflow.providers.standard.operators.python.BranchExternalPythonOperator: "
        "virtual environments come later"
    ),
    "example_branch_operator_decorator": (
        "task decorator 'branch_external_python' not found: Piper has no virtual environments yet"
    ),
    "example_python_decorator": "task decorator 'virtualenv' not found: Piper has no virtual environments yet",
    "example_python_operator": (
        "Piper has no airflow.providers.standard.operators.python.ExternalPythonOperator: "
        "virtual environments come later"
    ),
    # (b): features that come later
    "example_asset_partition": "Piper has no airflow.sdk.AllowedKeyMapper: partitions come later",
    "example_asset_state_store": 2,
    "example_asset_with_watchers": (
        "Piper has no airflow.providers.standard.triggers.file.DirectoryFileDeleteTrigger: asset watchers come later"
    ),
    "example_hitl_operator": (
        "Piper has no airflow.providers.standard.operators.hitl.ApprovalOperator: human in the loop comes later"
    ),
    "example_task_state_store": (
        "Piper has no airflow.sdk.execution_time.context.NEVER_EXPIRE: state stores come later"
    ),
    "example_task_state_store_async": (
        "Piper has no airflow.sdk.execution_time.context.NEVER_EXPIRE: state stores come later"
    ),
    "example_task_state_store_mapped": 1,
}
"""The other 17: how many DAGs they have, or the line with which they fail to load. The state store examples that
load fail when they run, with a line that says what Piper does not have."""
