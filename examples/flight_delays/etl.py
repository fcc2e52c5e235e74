"""Every day: from what has been ingested, the features of the day's flights, as an intermediate table.

All the thinking is one SQL statement in `warehouse.py`; it looks back from the day, never forward. What trains or
predicts after this reads `select * from features`.
"""

from __future__ import annotations

from datetime import date, timedelta

import pendulum
import warehouse

from piper.operators.sensors.external_task import ExternalTaskSensor
from piper.sdk import DAG, log_metric, log_output, task

with DAG(
    dag_id="flights_etl",
    description="Features of the day's flights",
    schedule="@daily",
    start_date=pendulum.datetime(2013, 7, 22, tz="America/New_York"),
    end_date=pendulum.datetime(2013, 7, 28, tz="America/New_York"),
    catchup=True,
    default_args={"owner": "data-platform", "retries": 2, "retry_delay": timedelta(seconds=5)},
    tags=["example", "flights"],
    doc_md=__doc__,
):
    wait_for_ingest = ExternalTaskSensor(
        task_id="wait_for_ingest",
        external_dag_id="flights_ingest",  # its run of the same logical date
        failed_states=["failed"],
        mode="reschedule",
        poke_interval=2,
        timeout=600,
    )

    @task(pool="warehouse")
    def build_features(ds: str) -> int:
        """Compute the features of the day's flights; of earlier days only where they are missing."""
        with warehouse.writing() as db:
            rows = warehouse.build_features(db, date.fromisoformat(ds))
        log_metric("rows", rows)
        log_output("features", {"partition": ds, "rows": rows})
        return rows

    @task
    def check_features(ds: str) -> None:
        """See that every planned flight has its features, once, and that they are known often enough."""
        day = date.fromisoformat(ds)
        with warehouse.reading() as db:
            rows = warehouse.check_partition(db, "features", day)
            planned = warehouse.count(db, "flights", day)
            unknown = warehouse.unknown_share(db, day)
        log_metric("unknown_share", unknown)
        if rows != planned or unknown > 0.2:
            raise ValueError(f"{rows} of {planned} flights have features, of which {unknown:.0%} are unknown")

    wait_for_ingest >> build_features() >> check_features()
