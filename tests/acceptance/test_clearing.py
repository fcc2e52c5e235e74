"""Clearing and marking: versions, groups, ranges, other workflows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.site import Site, wait_until

HEAD = """
from datetime import UTC, datetime, timedelta
from piper.operators.bash import BashOperator
from piper.operators.empty import EmptyOperator
from piper.operators.sensors.external_task import ExternalTaskMarker
from piper.sdk import DAG, task, task_group

START = datetime(2026, 1, 1, tzinfo=UTC)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("clearing"))
    site.start()
    yield site
    assert site.stop() == 0
    trouble = [line for line in site.log.read_text().splitlines() if " ERROR " in line or "Traceback" in line]
    assert trouble == []


def version_of(site: Site, workflow: str) -> int:
    version: int = site.get(f"/workflows/{workflow}")["version"]
    return version


def publish_next(site: Site, workflow: str, text: str) -> None:
    """Publish a changed file and wait until its version is there."""
    before = version_of(site, workflow)
    site.publish(f"{workflow}.py", HEAD + text)
    wait_until(lambda: version_of(site, workflow) > before, what="the new version")


BROKEN = """
with DAG("changing", schedule=None, start_date=START):
    @task
    def load():
        return "kept"

    @task
    def compute(value, ti=None):
        raise ValueError("a mistake")

    @task
    def obsolete(value):
        raise ValueError("no longer needed")

    value = load()
    compute(value)
    obsolete(value)
"""
MENDED = """
with DAG("changing", schedule=None, start_date=START):
    @task
    def load():
        return "not run again"

    @task
    def compute(value, ti=None):
        return [value, ti.try_number]

    @task
    def report(value):
        return value

    report(compute(load()))
"""


def test_a_failed_run_goes_on_with_the_mended_file_and_only_with_what_failed(site: Site) -> None:
    site.publish("changing.py", HEAD + BROKEN)
    run = site.run("changing")
    assert run.states == {"load": "success", "compute": "failed", "obsolete": "failed"}
    publish_next(site, "changing", MENDED)
    site.did("runs", "clear", str(run.id), "--only-failed")
    again = site.ended(run.row)
    assert again.state == "success"
    assert again.states == {"load": "success", "compute": "success", "obsolete": "removed", "report": "success"}
    assert again.xcom("report") == ["kept", 2], "what had succeeded was not run again"
    assert [each["state"] for each in again.attempts("obsolete")] == ["failed"], "its history is kept"


def test_a_pinned_clear_runs_the_version_that_the_run_had(site: Site) -> None:
    site.publish("pinned.py", HEAD + BROKEN.replace("changing", "pinned"))
    run = site.run("pinned")
    publish_next(site, "pinned", MENDED.replace("changing", "pinned"))
    site.did("runs", "clear", str(run.id), "--only-failed", "--version", "pinned")
    again = site.ended(run.row)
    assert again.states == {"load": "success", "compute": "failed", "obsolete": "failed"}
    assert again.tasks["compute"]["try_number"] == 2


SCOPED = """
with DAG("scoped", schedule=None, start_date=START):
    @task
    def up(ti=None):
        return ti.try_number

    @task_group(group_id="middle")
    def middle():
        @task
        def work(ti=None):
            return ti.try_number

        @task
        def more(ti=None):
            return ti.try_number

        work() >> more()

    @task(trigger_rule="all_done")
    def down(ti=None):
        return ti.try_number

    @task
    def beside(ti=None):
        return ti.try_number

    first = up().as_setup()
    first >> middle() >> down().as_teardown(setups=first)
    beside()
"""


def test_a_group_is_cleared_with_its_setup_and_teardown(site: Site) -> None:
    site.publish("scoped.py", HEAD + SCOPED)
    run = site.run("scoped")
    assert run.state == "success"
    shown = site.did("tasks", "clear", str(run.id), "--group", "middle", "--dry-run").err
    assert "would clear 4 tasks" in shown
    site.did("tasks", "clear", str(run.id), "--group", "middle")
    again = site.ended(run.row)
    tries = {name: row["try_number"] for name, row in again.tasks.items()}
    assert tries == {"up": 2, "middle.work": 2, "middle.more": 2, "down": 2, "beside": 1}


DAILY = """
with DAG("ranged", schedule=None, start_date=START):
    @task
    def tries(ti=None):
        return ti.try_number

    @task(trigger_rule="all_done")
    def after(ti=None):
        return ti.try_number

    tries() >> after()
"""


def test_tasks_are_cleared_and_marked_in_a_range_of_dates(site: Site) -> None:
    site.publish("ranged.py", HEAD + DAILY)
    runs = [site.run("ranged", "--logical-date", f"2026-01-0{day}") for day in range(1, 6)]
    span = ("--from", "2026-01-02", "--to", "2026-01-04")
    shown = site.did("tasks", "clear", "ranged", "tries", *span, "--dry-run", "-o", "json").json
    assert (shown["runs"], len(shown["affected"])) == (3, 3)
    site.did("tasks", "clear", "ranged", "tries", "--downstream", *span)
    ended = [site.ended(run.row) for run in runs]
    assert [run.tasks["tries"]["try_number"] for run in ended] == [1, 2, 2, 2, 1]
    site.did("tasks", "mark", "ranged", "after", "--state", "skipped", "--from", "2026-01-05")
    assert site.states(runs[4].id) == {"tries": "success", "after": "skipped"}
    assert site.piper("tasks", "clear", "ranged", "tries", "--from", "2030-01-01").code == 3
    assert site.piper("runs", "clear", str(runs[0].id), "--from", "2026-01-01").code == 2
    actions = [row["action"] for row in site.items("/audit")]
    assert actions.count("run.clear") >= 1, "people's commands are audited"


MANY = """
with DAG("many", schedule=None, start_date=START):
    @task(isolation="warm")
    def each(number):
        return number

    each.expand(number=list(range(120)))
"""


def test_who_clears_very_much_is_asked_first(site: Site) -> None:
    site.publish("many.py", HEAD + MANY)
    run = site.run("many")
    refused = site.piper("runs", "clear", str(run.id))
    assert refused.code == 2
    assert "clear 120 tasks of 1 run" in refused.err
    assert "--yes" in refused.err
    assert set(site.states(run.id).values()) == {"success"}
    site.did("tasks", "clear", str(run.id), "each", "--map-index", "7")
    again = site.ended(run.row)
    assert [name for name, row in again.tasks.items() if row["try_number"] == 2] == ["each[7]"]
    site.did("runs", "clear", str(run.id), "--yes")
    assert {row["try_number"] for row in site.ended(run.row).tasks.values()} == {2, 3}


PARENT = """
with DAG("parent", schedule=None, start_date=START):
    BashOperator(task_id="make", bash_command="echo {{ ti.try_number }}") >> ExternalTaskMarker(
        task_id="mark", external_dag_id="child", external_task_id="use"
    )
with DAG("child", schedule=None, start_date=START):
    (
        EmptyOperator(task_id="before")
        >> BashOperator(task_id="use", bash_command="echo {{ ti.try_number }}")
        >> ExternalTaskMarker(
            task_id="on", external_dag_id="grandchild", external_task_id="end", logical_date="{{ ds }}T00:00:00+00:00"
        )
    )
with DAG("grandchild", schedule=None, start_date=START):
    BashOperator(task_id="end", bash_command="echo {{ ti.try_number }}") >> ExternalTaskMarker(
        task_id="back", external_dag_id="parent", external_task_id="mark"
    )
"""


def test_a_recursive_clear_follows_markers_through_other_workflows(site: Site) -> None:
    site.publish("family.py", HEAD + PARENT)
    names = ("parent", "child", "grandchild")
    runs = {name: site.run(name, "--logical-date", "2026-02-03") for name in names}
    alone = site.did("tasks", "clear", str(runs["parent"].id), "make", "--downstream", "--dry-run", "-o", "json").json
    assert alone["runs"] == 1
    site.did("tasks", "clear", str(runs["parent"].id), "make", "--downstream", "--recursive")
    ended = {name: site.ended(run.row) for name, run in runs.items()}
    tries: dict[str, Any] = {f"{n}.{t}": row["try_number"] for n, r in ended.items() for t, row in r.tasks.items()}
    again = {name for name, count in tries.items() if count == 2}
    assert again == {"parent.make", "parent.mark", "child.use", "child.on", "grandchild.end", "grandchild.back"}
    assert tries["child.before"] == 1, "what does not wait is left alone"


def test_what_runs_can_be_cleared_alone(site: Site, tmp_path: Path) -> None:
    text = f"""
with DAG("held", schedule=None, start_date=START):
    BashOperator(task_id="done", bash_command="true")
    BashOperator(task_id="hold", bash_command="touch {tmp_path}/{{{{ ti.try_number }}}}; "
        "while [ ! -e {tmp_path}/go ]; do sleep 0.05; done")
"""
    site.publish("held.py", HEAD + text)
    run = site.trigger("held")
    wait_until(lambda: (tmp_path / "1").exists() and site.states(run["id"])["done"] == "success")
    site.did("runs", "clear", str(run["id"]), "--only-running")
    wait_until((tmp_path / "2").exists)
    (tmp_path / "go").touch()
    ended = site.ended(run)
    assert {name: row["try_number"] for name, row in ended.tasks.items()} == {"done": 1, "hold": 2}
