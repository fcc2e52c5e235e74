"""Constructs used as they may not be, which only shows when they run; beside each, something that is well."""

from datetime import datetime, timedelta

from piper.operators.bash import BashOperator
from piper.operators.empty import EmptyOperator
from piper.operators.python import BranchPythonOperator
from piper.sdk import DAG, task

START = datetime(2026, 1, 1)

with DAG("mapping", schedule=None, start_date=START):

    @task
    def number():
        return 5

    @task
    def nothing():
        return None

    @task
    def endless():
        return list(range(100_001))

    @task
    def text():
        return "abc"

    @task
    def fine():
        return [1, 0, 2]

    @task
    def use(x):
        return 10 // x

    @task(map_index_template="{{ 1 // 0 }}")
    def labelled(x):
        return x

    @task
    def take(x, y):
        return x

    @task
    def mixed():
        return [{"x": 1, "y": 2}, {"x": 1, "wrong": 2}, 3]

    for source in (number, nothing, endless, text, fine):
        use.override(task_id=f"use_{source.function.__name__}").expand(x=source())
    labelled.expand(x=[1, 2])
    take.expand_kwargs(mixed())
    EmptyOperator(task_id="well")

with DAG("branches", schedule=None, start_date=START):

    @task.branch
    def unknown():
        return "lefft"

    @task.branch
    def elsewhere():
        return "well"

    @task.branch
    def no_id():
        return 5

    left, right = (EmptyOperator(task_id=name) for name in ("left", "right"))
    unknown() >> [left, right]
    elsewhere() >> EmptyOperator(task_id="below")
    no_id() >> EmptyOperator(task_id="under")
    BranchPythonOperator(task_id="raises", python_callable=lambda: 1 // 0) >> EmptyOperator(task_id="skipped")
    EmptyOperator(task_id="well") >> EmptyOperator(task_id="after")

with DAG("setups", schedule=None, start_date=START):
    # A teardown without a setup runs when what is before it has ended, however.
    fails = BashOperator(task_id="fails", bash_command="exit 1")
    fails >> BashOperator(task_id="alone", bash_command="true").as_teardown()
    # A setup that fails: its work does not run, nor does its teardown; what does not need it does.
    broken = BashOperator(task_id="broken", bash_command="exit 1").as_setup()
    down = BashOperator(task_id="down", bash_command="true").as_teardown(setups=broken)
    broken >> EmptyOperator(task_id="work") >> down
    EmptyOperator(task_id="well")

with DAG("values", schedule=None, start_date=START):

    @task
    def gigabyte():
        return "x" * (1 << 30)

    @task
    def large():
        return "x" * (64 << 20)

    @task
    def no_json():
        return open("/dev/null")

    @task
    def not_a_number():
        return float("nan")

    @task
    def itself():
        found = []
        found.append(found)
        return found

    @task
    def deep():
        found = []
        for _ in range(100_000):
            found = [found]
        return found

    @task(multiple_outputs=True)
    def no_dict():
        return [1]

    @task
    def pulls_nothing(ti=None):
        return ti.xcom_pull(task_ids="no_such_task")

    @task(execution_timeout=timedelta(seconds=0.5))
    def late():
        import time

        time.sleep(60)

    @task
    def well():
        return "w" * 1_000_000

    for function in (gigabyte, large, no_json, not_a_number, itself, deep, no_dict, pulls_nothing, late, well):
        function()
