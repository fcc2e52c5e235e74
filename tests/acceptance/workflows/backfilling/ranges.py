"""Workflows to be backfilled. What their tasks do follows from params, and is left as XComs."""

import time
from datetime import datetime

from piper.operators.empty import EmptyOperator
from piper.sdk import DAG, Param, task

LATER = datetime(2040, 1, 1)

with DAG("scored", schedule="30 2 * * *", start_date=LATER, params={"model": "v1", "broken": ""}) as scored:

    @task
    def score(params=None, logical_date=None, data_interval_end=None, run_id=None):
        day = logical_date.strftime("%Y-%m-%d")
        if params["broken"] == day:
            raise ValueError(f"{day} is broken")
        return {"day": day, "model": params["model"], "at": time.time()}

    score()

with DAG("slow", schedule="@daily", start_date=LATER, params={"seconds": Param(0.5, type="number")}) as slow:

    @task(pool="narrow")
    def work(params=None):
        time.sleep(params["seconds"])

    work()

with DAG("chained", schedule="@daily", start_date=LATER) as chained:

    @task(depends_on_past=True)
    def link():
        return time.time()

    link()

with DAG("long", schedule="@hourly", start_date=LATER) as long:
    EmptyOperator(task_id="nothing")

with DAG("by_hand", schedule=None) as by_hand:
    EmptyOperator(task_id="nothing")
