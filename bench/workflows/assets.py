"""One workflow that changes an asset, and 1,000 that are scheduled by it; and one whose success is 1,000 changes."""

from piper.operators.empty import EmptyOperator
from piper.sdk import DAG, Asset, AssetAlias, task

orders, many = Asset("orders"), AssetAlias("many")

with DAG("changes_one", schedule=None):

    @task(outlets=[orders])
    def change():
        return None

    change()

with DAG("changes_1000", schedule=None):

    @task(outlets=[many])
    def change_many(outlet_events):
        for number in range(1_000):
            outlet_events[many].add(Asset("counter"), {"number": number})

    change_many()

for number in range(1_000):
    with DAG(f"consumer_{number:04}", schedule=[orders]):
        EmptyOperator(task_id="end")

with DAG("counts", schedule=[many]):
    EmptyOperator(task_id="end")
