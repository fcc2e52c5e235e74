"""How many tasks run at a time, in which order, and for how long."""

import time
from datetime import datetime, timedelta

from piper.operators.bash import BashOperator
from piper.operators.python import PythonOperator
from piper.sdk import DAG, task

START = datetime(2026, 1, 1)


def spend(seconds: float = 0.05) -> list[float]:
    began = time.time()
    time.sleep(seconds)
    return [began, time.time()]


with DAG("pooled", schedule=None, start_date=START):
    for weight in (1, 3, 2, 5, 4):
        PythonOperator(
            task_id=f"weight_{weight}",
            python_callable=spend,
            pool="single",
            priority_weight=weight,
            weight_rule="absolute",
        )

with DAG("heavy", schedule=None, start_date=START):
    for number in range(4):
        PythonOperator(task_id=f"heavy_{number}", python_callable=spend, pool="triple", pool_slots=2)

with DAG("few_at_a_time", schedule=None, start_date=START, max_active_tasks=2):
    PythonOperator.partial(task_id="each", python_callable=spend).expand(op_args=[[0.05]] * 8)

with DAG("limited_task", schedule=None, start_date=START):
    PythonOperator.partial(task_id="each", python_callable=spend, max_active_tis_per_dagrun=1).expand(
        op_args=[[0.05]] * 5
    )

with DAG("no_such_pool", schedule=None, start_date=START):
    BashOperator(task_id="stuck", bash_command="true", pool="missing")

with DAG("too_big", schedule=None, start_date=START):
    BashOperator(task_id="stuck", bash_command="true", pool="single", pool_slots=2)

with DAG("task_timeout", schedule=None, start_date=START):
    BashOperator(task_id="bash", bash_command="sleep 60", execution_timeout=timedelta(seconds=0.5))

    @task(execution_timeout=timedelta(seconds=0.5), retries=1, retry_delay=timedelta(0))
    def python():
        time.sleep(60)

    @task(execution_timeout=timedelta(seconds=0.5))
    def cleans_up():
        try:
            time.sleep(60)
        finally:
            print("cleaned up")

    python()
    cleans_up()

with DAG("run_timeout", schedule=None, start_date=START, dagrun_timeout=timedelta(seconds=1)):
    BashOperator(task_id="first", bash_command="true") >> BashOperator(task_id="long", bash_command="sleep 60")
    BashOperator(task_id="also", bash_command="sleep 60", retries=3)
