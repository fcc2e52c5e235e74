"""1,000 workflows of five tasks from one file that takes a second to import, all due at one instant.

The instant is given by the benchmark in a file beside this one, so that every load of the file sees the same.
"""

import time
from datetime import datetime, timedelta
from pathlib import Path

from piper.operators.python import PythonOperator
from piper.sdk import DAG, chain

DUE = datetime.fromisoformat(Path(__file__).with_name("due.txt").read_text().strip())

time.sleep(1)


def noop():
    return None


for number in range(1_000):
    with DAG(f"burst_{number:04}", schedule=timedelta(days=365), start_date=DUE, catchup=True):
        chain(*(PythonOperator(task_id=f"t{i}", python_callable=noop) for i in range(5)))
