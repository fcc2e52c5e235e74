"""The authoring language, as its author sees it run."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from tests.acceptance.site import Run, Site

FOLDER = "language"


# --- templates ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def templates(site: Site) -> Run:
    """A run of `templates`, with the variables and connections that it speaks of."""
    site.did("variables", "set", "plain", "text")
    site.did("variables", "set", "nested", '{"list": [1, 2]}')
    about = ("--type", "http", "--host", "example", "--port", "81", "--extra", '{"region": "north"}', "--password")
    site.did("connections", "set", "site", *about, stdin="s3cret-word\n")
    return site.run("templates", "--logical-date", "2026-03-01T06:30", "-p", "n=4")


def test_templates_know_the_dates_of_their_run(templates: Run) -> None:
    assert templates.xcom("dates") == (
        "2026-03-01 20260301 2026-03-01T06:30:00+00:00 20260301T063000 2026-03-04 "
        "2026-03-01T06:30:00+00:00 2026-03-01 20260301T063000 02 01.03.26"
    )


def test_templates_know_their_task_and_their_params(templates: Run) -> None:
    # The shell takes the quotes; the type of a run is shown as Airflow shows it.
    assert templates.xcom("names") == (
        "templates names names 1 manual__2026-03-01T06:30:00+00:00 DagRunType.MANUAL 5 {n: 4} "
        "templates__names__20260301"
    )
    assert templates.xcom("told") == "4 templates"
    assert templates.xcom("from_file") == "hello 4 of 2026-03-01"
    assert templates.xcom("shared") == [4, "2026-03-01"]


def test_templates_read_variables_and_connections(templates: Run) -> None:
    assert templates.xcom("stored") == "text 2 else example:81 north else"


def test_a_task_without_code_pulls_what_any_other_pulls(templates: Run) -> None:
    names = templates.xcom("names")
    assert templates.xcom("pulled") == f"{names}|[[4, 2026-03-01], 10, 20, 30]|[10, 20, 30]|20|0"


def test_a_connections_password_is_masked_in_logs_and_rendered_fields(templates: Run, site: Site) -> None:
    assert "it is ***" in templates.log("hidden")
    assert "s3cret" not in templates.log("hidden")
    assert "s3cret" not in site.did("tasks", "render", str(templates.id), "hidden", "-o", "json").out


def test_a_dags_own_macros_are_known_in_its_templates(site: Site) -> None:
    assert site.run("templates_with_macros").xcom("macro") == "42"


def test_a_template_that_raises_fails_its_task_alone(site: Site) -> None:
    run = site.run("template_raises")
    assert run.states == {
        "undefined": "failed",
        "wrong": "failed",
        "syntax": "failed",
        "lacking": "failed",
        "well": "success",
    }
    assert "'no_such_name' is undefined" in run.error("undefined")
    assert "ZeroDivisionError" in run.error("wrong")
    assert "bash_command" in run.log("wrong"), "the field is named"
    assert "TemplateSyntaxError" in run.error("syntax")
    assert "piper variables set no_such_variable" in run.error("lacking")
    assert [attempt["try_number"] for attempt in run.attempts("wrong")] == [1, 2]


# --- what tasks leave for others, and how they follow them ---------------------------------------


def test_xcoms_pass_between_tasks_whatever_their_size(site: Site) -> None:
    run = site.run("xcoms")
    assert (run.state, run.xcom("look")) == ("success", 200_000)


def test_a_task_is_tried_again_as_often_as_it_says(site: Site) -> None:
    run = site.run("retries")
    assert run.state == "failed"
    assert {name: (task["state"], task["try_number"]) for name, task in run.tasks.items()} == {
        "third_time": ("success", 3),
        "never": ("failed", 2),
        "at_once": ("failed", 1),
        "command": ("failed", 2),
    }
    waits = [
        (datetime.fromisoformat(after["queued_at"]) - datetime.fromisoformat(before["ended_at"])).total_seconds()
        for before, after in pairwise(run.attempts("third_time"))
    ]
    assert 0.9 <= waits[0] < 2.5, "no wait is shorter than a second once it is to grow"
    assert len(waits) == 2


def test_every_trigger_rule_decides_as_it_says(site: Site) -> None:
    run = site.run("trigger_rules")
    found = {name: state for name, state in run.states.items() if "_" in name}
    for name, expected in {
        "all_success": ("skipped|upstream_failed", "success", "skipped|upstream_failed"),
        "all_failed": ("skipped", "skipped", "skipped"),
        "all_done": ("success", "success", "success"),
        "all_done_min_one_success": ("skipped", "success", "skipped"),
        "one_success": ("success", "success", "upstream_failed"),
        "one_failed": ("success", "skipped", "success"),
        "one_done": ("success", "success", "success"),
        "none_failed": ("upstream_failed", "success", "upstream_failed"),
        "none_failed_min_one_success": ("upstream_failed", "success", "upstream_failed"),
        "none_skipped": ("skipped", "success", "skipped"),
        "all_skipped": ("skipped", "skipped", "skipped"),
    }.items():
        for case, state in zip(("mixed", "good", "not_good"), expected, strict=True):
            assert found.pop(f"{case}_{name}") in state.split("|"), f"{case}_{name}"
    assert found == {}


def test_a_branch_skips_what_it_did_not_choose(site: Site) -> None:
    states = site.run("branches").states
    assert [name for name, state in states.items() if state == "skipped"] == ["right", "group.beside", "no"]
    assert set(states.values()) == {"skipped", "success"}


def test_a_short_circuit_skips_all_that_follows_or_what_follows_at_once(site: Site) -> None:
    states = site.run("short_circuits").states
    assert {name: states[name] for name in "abcde"} == {
        "a": "skipped", "b": "skipped", "c": "skipped", "d": "success", "e": "success",
    }  # fmt: skip


def test_a_mapped_group_runs_once_for_each_element(site: Site) -> None:
    run = site.run("groups")
    assert run.state == "success"
    assert [run.xcom("each.add", map_index=index) for index in range(3)] == [3, 6, 9]
    assert run.xcom("total") == 18
    assert run.states["unprefixed"] == "success"


def test_mapped_tasks_have_an_instance_for_each_combination(site: Site) -> None:
    run = site.run("mapping")
    assert run.state == "success"
    assert [run.xcom("pair", map_index=index) for index in range(4)] == [
        [1, "a", "z"], [1, "b", "z"], [2, "a", "z"], [2, "b", "z"],
    ]  # fmt: skip
    assert [run.xcom("of_mapping", map_index=index) for index in range(2)] == [1, 5]
    assert [run.xcom("commands", map_index=index) for index in range(2)][1] == "two"
    assert [run.xcom("calls", map_index=index) for index in range(2)] == [2, 3]
    assert [run.states[f"half[{index}]"] for index in range(3)] == ["success", "skipped", "success"]
    assert run.tasks["half[2]"]["label"] == "2!"
    assert run.xcom("collect") == [0, 1], "what was skipped has left nothing"
    assert (run.states["none_at_all"], run.states["after_nothing"]) == ("skipped", "success")


# --- sensors ------------------------------------------------------------------------------------


def test_sensors_wait_in_both_modes(site: Site, tmp_path: Path) -> None:
    run = site.run("sensors", "-p", f"folder={tmp_path}")
    assert run.states == {
        "poke": "success",
        "reschedule": "success",
        "value": "success",
        "use": "success",
        "late_poke": "failed",
        "late_reschedule": "failed",
        "soft_poke": "skipped",
        "soft_reschedule": "skipped",
    }
    assert (run.xcom("value"), run.xcom("use")) == ([1, 2], 3)
    for mode in ("poke", "reschedule"):
        assert (tmp_path / mode).read_text() == "xxx"
        assert run.tasks[mode]["try_number"] == 1, "waiting is no failure"
        assert "timed out" in run.error(f"late_{mode}")
