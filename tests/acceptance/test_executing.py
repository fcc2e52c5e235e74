"""`piper tasks execute`: one task alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.site import Site, clean_environment, run_piper

TEXT = """
from datetime import datetime
from piper.sdk import DAG, Param, task

with DAG("alone", schedule=None, start_date=datetime(2026, 1, 1), params={"factor": Param(1, type="integer")}):

    @task
    def load(ti=None):
        ti.xcom_push("unit", "apples")
        return [1, 2, 3]

    @task(retries=3)
    def add(values, ds=None, params=None, ti=None):
        print("adding", values, "on", ds)
        print("pulled", ti.xcom_pull(task_ids="load", key="unit"))
        if params["factor"] == 0:
            raise ValueError("no factor")
        return sum(values) * params["factor"]

    @task(trigger_rule="all_failed")
    def after(total):
        raise AssertionError("never")

    @task
    def each(value, ti=None):
        return [ti.map_index, value]

    loaded = load()
    after(add(loaded))
    each.expand(value=loaded)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("executing"))
    site.publish("alone.py", TEXT)
    site.start()
    site.has("alone")
    yield site
    assert site.stop() == 0


def test_a_task_runs_alone_with_what_a_run_has_left_and_the_run_stays_as_it_is(site: Site) -> None:
    run = site.run("alone", "--logical-date", "2026-03-04")
    before = site.items(f"/runs/{run.id}/tasks")
    done = site.piper("tasks", "execute", "alone", "add", "--run", str(run.id), "-o", "json")
    assert done.code == 0, done.err
    assert done.json["state"] == "success"
    assert done.json["result"] == 6
    assert done.json["logical_date"].startswith("2026-03-04")
    assert "adding [1, 2, 3] on 2026-03-04" in done.err, "its log is shown while it runs"
    assert "pulled apples" in done.err
    mapped = site.piper("tasks", "execute", "alone", "each", "--run", str(run.id), "--map-index", "2", "-o", "json")
    assert mapped.json["result"] == [2, 3], mapped.err
    assert site.items(f"/runs/{run.id}/tasks") == before
    assert len(site.runs("alone")) == 1


def test_values_of_other_tasks_can_be_given_and_no_instance_need_run(tmp_path: Path) -> None:
    file = tmp_path / "alone.py"
    file.write_text(TEXT)
    done = run_piper(
        "tasks", "execute", "alone", "add", "--file", file, "--xcom", "load=[4, 5]", "--xcom", 'load/unit="pears"',
        "-p", "factor=2", "--logical-date", "2026-05-06", environment=clean_environment(PIPER_HOME=str(tmp_path)),
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.out.splitlines() == ["add success", "return_value: 18"]
    assert "adding [4, 5] on 2026-05-06" in done.err
    assert "each" not in done.err, "of tasks that do not run nothing is told"
    assert "pulled pears" in done.err


def test_a_failure_is_not_tried_again_and_is_the_exit_code(site: Site) -> None:
    done = site.piper("tasks", "execute", "alone", "add", "--xcom", "load=[1]", "-p", "factor=0", "-o", "json")
    assert done.code == 1
    assert (done.json["state"], done.json["result"]) == ("failed", None)
    assert "no factor" in done.json["error"]
    assert json.loads(done.out)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("alone", "ad"), 3, "did you mean 'add'"),
        (("alne", "add"), 3, "alne"),
        (("alone", "each", "--xcom", "load=[1]"), 2, "--map-index"),
        (("alone", "add", "--map-index", "1"), 2, "not mapped"),
        (("alone", "add", "--xcom", "load"), 2, "TASK=VALUE"),
        (("alone", "add", "--xcom", "load={"), 2, "not JSON"),
    ],
)
def test_what_is_wrong_with_the_command_is_said(site: Site, arguments: tuple[str, ...], code: int, words: str) -> None:
    done = site.piper("tasks", "execute", *arguments)
    assert (done.code, words in done.err) == (code, True), done
