"""Every day: yesterday's departures and weather, and today's planned flights, into the warehouse.

The sources deliver in time, so a run reads what lies in the day before its logical date, and the plan for the day
itself. (Where a source is late by up to some days, that is the `delay` of its `Source`, and the window moves.)
"""

from __future__ import annotations

from datetime import date, timedelta

import pendulum
import warehouse

from piper.sdk import DAG, log_metric, log_output, task

with DAG(
    dag_id="flights_ingest",
    description="Planned flights, departures and weather into daily partitions",
    schedule="@daily",
    # The airports are in New York, and so is midnight.
    start_date=pendulum.datetime(2013, 7, 22, tz="America/New_York"),
    end_date=pendulum.datetime(2013, 7, 28, tz="America/New_York"),
    catchup=True,
    default_args={"owner": "data-platform", "retries": 2, "retry_delay": timedelta(seconds=5)},
    tags=["example", "flights"],
    doc_md=__doc__,
):

    @task(pool="warehouse")
    def load(table: str, ds: str) -> int:
        """Replace the newest partition that is complete, and add those before it that are missing."""
        source = warehouse.SOURCES[table]
        today = date.fromisoformat(ds)
        with warehouse.writing() as db:
            rows = warehouse.ingest(db, source, today)
        log_metric("rows", rows)
        log_output(table, {"partition": str(today - source.delay), "rows": rows})
        return rows

    @task
    def check(ds: str) -> dict[str, int]:
        """See that every partition has come, and nothing came twice."""
        with warehouse.reading() as db:
            rows = {
                source.table: warehouse.check_partition(db, source.table, date.fromisoformat(ds) - source.delay)
                for source in warehouse.SOURCES.values()
            }
        for table, number in rows.items():
            log_metric(f"{table}_rows", number)
        return rows

    [load.override(task_id=f"load_{table}")(table) for table in warehouse.SOURCES] >> check()
