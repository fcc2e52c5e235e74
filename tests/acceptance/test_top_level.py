"""Old files read variables and connections at their top level: they make their workflows of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.site import Site, clean_environment, run_piper, wait_until

SHOPS = """
import json
from airflow.hooks.base import BaseHook
from airflow.models import Variable
from airflow.operators.bash import BashOperator
from airflow.operators.python import PythonOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent
from airflow.sdk import BaseOperator, DAG, task

SHOPS = Variable.get("shops", deserialize_json=True)
GREETING = Variable.get("greeting", default_var="hello")
try:
    HOST = BaseHook.get_connection("shop").host
except Exception:
    HOST = "nowhere"
print("the token is", Variable.get("shop_token", default_var="not there"))

class Soon(BaseTrigger):
    def __init__(self, greeting):
        self.greeting = greeting
    def serialize(self):
        return (f"{__name__}.Soon", {"greeting": self.greeting})
    async def run(self):
        yield TriggerEvent(f"{self.greeting} {len(SHOPS) > 0}")

class Waits(BaseOperator):
    def execute(self, context):
        self.defer(trigger=Soon(GREETING), method_name="after")
    def after(self, context, event):
        return event

def called(context):
    print("called back at", HOST)

with DAG("shops", schedule=Variable.get("shops_schedule", default_var=None), on_success_callback=called):
    for shop in SHOPS:
        BashOperator(task_id=f"greet_{shop}", bash_command=f"echo {GREETING} {shop} at {HOST}")
        PythonOperator(task_id=f"count_{shop}", python_callable=lambda shop=shop: f"{GREETING} {len(SHOPS)} {shop}")

    @task(isolation="warm")
    def each(shop):
        return f"{GREETING} {shop}"

    each.expand(shop=SHOPS)
    Waits(task_id="waits")
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    # What is half a minute otherwise (`serializer.changes.LOOKUP_INTERVAL`).
    site = Site(tmp_path_factory.mktemp("top"), PIPER_SERIALIZER__RELOAD_INTERVAL="1s")
    site.publish("shops.py", SHOPS)
    site.start()
    yield site
    assert site.stop() == 0, site.log.read_text()


def test_a_workflow_is_made_of_variables_runs_and_changes_with_them(site: Site) -> None:
    error = site.error_of("shops.py")
    assert "Variable shops not found: create it with `piper variables set shops`" in error["error"]
    assert error["error_line"] == 10

    site.did("variables", "set", "shops", '["a", "b"]')
    run = site.run("shops")
    assert run.state == "success"
    names = ["count_a", "count_b", "each[0]", "each[1]", "greet_a", "greet_b", "waits"]
    assert sorted(run.tasks) == names
    assert run.xcom("greet_a") == "hello a at nowhere"
    assert run.xcom("count_b") == "hello 2 b"
    assert [run.xcom("each", map_index=index) for index in range(2)] == ["hello a", "hello b"]
    assert run.xcom("waits") == "hello True"

    site.did("variables", "set", "shops", '["b", "c", "d"]')
    site.did("variables", "set", "shops_schedule", "0 4 * * *")
    site.did("variables", "set", "greeting", "salut")
    site.did("variables", "set", "shop_token", stdin="t0ps3cret\n")
    site.did("connections", "set", "shop", "--type", "http", "--host", "example.org")
    wait_until(lambda: len(site.get("/workflows/shops/versions")["items"]) > 1, what="a second version")
    wait_until(lambda: "0 4" in str(site.get("/workflows/shops")["schedule"]), what="the schedule of the variable")
    wait_until(lambda: "example.org" in site.did("workflows", "export", "shops").out, what="the host of the connection")
    run = site.run("shops")
    assert run.state == "success"
    assert sorted(run.tasks) == [
        *("count_b", "count_c", "count_d", "each[0]", "each[1]", "each[2]"),
        *("greet_b", "greet_c", "greet_d", "waits"),
    ]
    assert run.xcom("greet_c") == "salut c at example.org"
    assert run.xcom("count_d") == "salut 3 d"
    assert run.xcom("waits") == "salut True"
    assert "the token is ***" in run.log("count_d")
    callback = site.piper("runs", "callbacks", str(run.id), "--logs")
    assert "called back at example.org" in callback.out, callback
    assert "t0ps3cret" not in callback.out
    assert "t0ps3cret" not in site.log.read_text()


def test_one_task_of_such_a_file_runs_alone_with_what_the_environment_says(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "shops.py"
    file.write_text(SHOPS)
    home = clean_environment(PIPER_HOME=str(tmp_path / "home"))
    done = run_piper(
        "tasks", "execute", "shops", "count_a", "--file", file, environment=home | {"AIRFLOW_VAR_SHOPS": '["a"]'}
    )
    assert (done.code, done.out.splitlines()[-1]) == (0, 'return_value: "hello 1 a"'), done
    without = run_piper("validate", file, environment=home)
    assert without.code == 1
    assert f"{file}:10:" in without.out
    assert "AIRFLOW_VAR_SHOPS" in without.out
    assert run_piper("validate", file, environment=home | {"AIRFLOW_VAR_SHOPS": "[]"}).code == 0


def test_piper_run_reads_the_variables_of_the_home_that_is_set(site: Site, tmp_path: Path) -> None:
    own = Site(tmp_path / "own")
    own.start()
    own.did("variables", "set", "shops", '["z"]')
    assert own.stop() == 0
    file = tmp_path / "shops.py"
    file.write_text(SHOPS)
    done = run_piper("run", file, environment=own.environment)
    assert done.code == 0, done
    assert "hello z at nowhere" in done.err
