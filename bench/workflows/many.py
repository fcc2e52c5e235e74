"""5,000 workflows of five tasks from one file, scheduled once a year so that nothing is due."""

from datetime import UTC, datetime

from piper.operators.empty import EmptyOperator
from piper.operators.python import PythonOperator
from piper.sdk import DAG, chain


def noop():
    return None


for number in range(5_000):
    with DAG(f"many_{number:04}", schedule="0 0 1 1 *", start_date=datetime(2099, 1, 1, tzinfo=UTC), tags=["many"]):
        chain(
            EmptyOperator(task_id="begin"),
            *(PythonOperator(task_id=f"step_{i}", python_callable=noop) for i in range(3)),
            EmptyOperator(task_id="end"),
        )
