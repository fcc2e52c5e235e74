"""Constructs of the language used as they may not be: an error on that task or at that line, and nothing else."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.site import Run, Site, clean_environment, run_piper

FOLDER = "misused"


def errors_of(run: Run) -> dict[str, str]:
    """What each failed task that is not mapped says of itself."""
    return {name: run.error(name) for name, state in run.states.items() if state == "failed" and "[" not in name}


def test_what_cannot_be_mapped_over_fails_where_it_is_made(site: Site) -> None:
    run = site.run("mapping")
    errors = errors_of(run)
    assert errors.keys() == {"number", "nothing", "endless", "text"}
    assert "'int': others are mapped over this task, return a list or a dict" in errors["number"]
    assert "'str': others are mapped" in errors["text"]
    assert "did not push XCom for task mapping" in errors["nothing"]
    assert "100001 > 100000" in errors["endless"]
    assert {run.states[f"use_{name}"] for name in errors} == {"upstream_failed"}
    assert run.states["well"] == "success"


def test_an_element_that_does_not_fit_fails_its_instance_alone(site: Site) -> None:
    run = site.run("mapping")
    assert [run.states[f"use_fine[{index}]"] for index in range(3)] == ["success", "failed", "success"]
    assert "ZeroDivisionError" in run.attempts("use_fine", 1)[-1]["error"]
    assert [run.states[f"take[{index}]"] for index in range(3)] == ["success", "failed", "failed"]
    assert "missing a required argument: 'y'" in run.attempts("take", 1)[-1]["error"]
    assert "list[dict]" in run.attempts("take", 2)[-1]["error"]
    assert [run.states[f"labelled[{index}]"] for index in range(2)] == ["failed", "failed"]
    assert "ZeroDivisionError" in run.attempts("labelled", 0)[-1]["error"]


def test_a_branch_to_what_does_not_exist_fails(site: Site) -> None:
    run = site.run("branches")
    errors = errors_of(run)
    assert errors.keys() == {"unknown", "no_id", "raises"}
    assert "Invalid tasks found: 'lefft'" in errors["unknown"]
    assert "named by a task id, and not by 5" in errors["no_id"]
    assert {run.states[name] for name in ("left", "right", "under", "skipped")} == {"upstream_failed"}
    assert run.states["below"] == "skipped"
    assert (run.states["well"], run.states["after"]) == ("success", "success")


def test_a_teardown_may_stand_alone_and_one_whose_setup_failed_does_not_run(site: Site) -> None:
    assert site.run("setups").states == {
        "fails": "failed", "alone": "success", "well": "success",
        "broken": "failed", "work": "upstream_failed", "down": "upstream_failed",
    }  # fmt: skip


def test_a_value_that_cannot_be_kept_fails_its_task_alone(site: Site) -> None:
    run = site.ended(site.trigger("values"), 100)
    errors = errors_of(run)
    assert "memory limit" in errors["gigabyte"] or "write the data to a file" in errors["gigabyte"]
    assert "64 MiB as JSON, and may have 16: write the data to a file" in errors["large"]
    assert "return a JSON value" in errors["no_json"]
    assert "nan has no JSON form" in errors["not_a_number"]
    assert "contains itself, or too many levels" in errors["itself"]
    assert "contains itself, or too many levels" in errors["deep"]
    assert "return a dict, or set multiple_outputs=False" in errors["no_dict"]
    assert "execution_timeout" in errors["late"]
    assert {run.states[name] for name in run.states.keys() - errors.keys()} == {"success"}
    assert {"pulls_nothing", "well"} <= run.states.keys() - errors.keys()


HEAD = "from piper.operators.bash import BashOperator\nfrom piper.sdk import DAG, Param, task\n"

# What stands from the third line on, what is said, and the line.
WRONG: dict[str, tuple[str, str, int]] = {
    "maps_over_a_number": ("with DAG('w'):\n    @task\n    def t(x): ...\n    t.expand(x=5)\n", "expand", 6),
    "maps_over_nothing": ("with DAG('w'):\n    @task\n    def t(x): ...\n    t.expand()\n", "expand", 6),
    "maps_an_unknown_argument": ("with DAG('w'):\n    @task\n    def t(x): ...\n    t.expand(y=[1])\n", "y", 6),
    "maps_twice": ("with DAG('w'):\n    @task\n    def t(x): ...\n    t.partial(x=1).expand(x=[1])\n", "x", 6),
    "misspells_a_rule": (
        "with DAG('w'):\n    BashOperator(task_id='a', bash_command='true', trigger_rule='all_sucess')\n",
        "all_sucess",
        4,
    ),
    "a_param_that_fails_its_schema": (
        "with DAG('w', schedule='@daily', params={'n': Param(5, type='integer', maximum=3)}):\n    pass\n",
        "maximum of 3",
        3,
    ),
    "a_param_without_a_value": (
        "with DAG('w', schedule='@daily', params={'n': Param(type='integer')}):\n    pass\n",
        "Param has no default value",
        3,
    ),
    "negative_retries": (
        "with DAG('w'):\n    BashOperator(task_id='a', bash_command='true', retries=-1)\n",
        "retried -1 times",
        4,
    ),
    "no_slots": ("with DAG('w'):\n    BashOperator(task_id='a', bash_command='true', pool_slots=0)\n", "pool", 4),
    "a_teardown_that_is_a_setup": (
        "with DAG('w'):\n    a = BashOperator(task_id='a', bash_command='true').as_setup()\n    a.as_teardown()\n",
        "setup",
        5,
    ),
    "an_id_with_blanks": ("with DAG('w'):\n    BashOperator(task_id='a b', bash_command='true')\n", "'a b'", 4),
    "a_time_zone_that_is_none": (
        "import pendulum\nDAG('w', start_date=pendulum.datetime(2026, 1, 1, tz='Europe/Atlantis'))\n",
        "Europe/Atlantis",
        4,
    ),
}


def test_what_a_file_misuses_is_said_at_its_line(tmp_path: Path) -> None:
    for name, (text, _, _) in WRONG.items():
        (tmp_path / f"{name}.py").write_text(HEAD + text)
    (tmp_path / "well.py").write_text(f"{HEAD}with DAG('well'):\n    BashOperator(task_id='a', bash_command='true')\n")
    done = run_piper("validate", tmp_path, "-o", "json", environment=clean_environment())
    assert done.code == 1
    found = {Path(finding["file"]).stem: finding for finding in done.json}
    assert found.pop("well")["workflows"] == ["well"]
    said = {name: (finding["error_line"], finding["error"].partition("\n")[0]) for name, finding in found.items()}
    for name, (_, message, line) in WRONG.items():
        assert message in said[name][1], said
        assert said[name][0] == line, said
