"""Three hourly workflows of five tasks, paused: the runs of a backfill are made and none begins."""

from datetime import UTC, datetime

from piper.operators.empty import EmptyOperator
from piper.sdk import DAG, chain

for number in range(3):
    with DAG(
        f"backfilled_{number}",
        schedule="@hourly",
        start_date=datetime(2099, 1, 1, tzinfo=UTC),
        is_paused_upon_creation=True,
    ):
        chain(*(EmptyOperator(task_id=f"step_{i}") for i in range(5)))
