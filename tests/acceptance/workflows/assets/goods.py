"""Tasks that change assets in every way, and workflows that wait for them."""

from piper.operators.bash import BashOperator
from piper.operators.empty import EmptyOperator
from piper.sdk import DAG, Asset, AssetAlias, Metadata, asset, task
from piper.sdk.exceptions import AirflowSkipException

orders, prices = Asset("orders", "s3://shop/orders"), Asset("prices", "s3://shop/prices")
latest = AssetAlias("latest")

with DAG("makes_orders", schedule=None, params={"rows": 17}):

    @task(outlets=[orders])
    def make(params):
        yield Metadata(orders, {"rows": params["rows"]})

    make()

with DAG("makes_prices", schedule=None):
    BashOperator(task_id="make", bash_command="true", outlets=[prices])

with DAG("makes_many", schedule=None):

    @task(outlets=[latest])
    def make_one(number, outlet_events):
        outlet_events[latest].add(Asset(f"s3://shop/part-{number}"), {"number": number})

    make_one.expand(number=[1, 2, 3])

with DAG("makes_badly", schedule=None):

    @task(outlets=[orders])
    def fails():
        raise ValueError("no orders today")

    @task(outlets=[orders])
    def skips():
        raise AirflowSkipException

    @task(outlets=[orders])
    def says_too_much(outlet_events):
        outlet_events[orders].extra = {"text": "x" * 100_000}

    @task(outlets=[orders])
    def says_no_json(outlet_events):
        outlet_events[orders].extra = {"thing": object()}

    @task(outlets=[latest])
    def adds_no_asset(outlet_events):
        outlet_events[latest].add("s3://shop/part")

    fails(), skips(), says_too_much(), says_no_json(), adds_no_asset()

with DAG("waits_for_orders", schedule=[orders]):

    @task(inlets=[orders])
    def look(triggering_asset_events, inlet_events):
        events = triggering_asset_events[orders]
        return {
            "rows": [event.extra.get("rows") for event in events],
            "from": [event.source_dag_run.run_id if event.source_dag_run else None for event in events],
            "latest": inlet_events[orders][-1].extra.get("rows"),
        }

    look()

with DAG("waits_for_both", schedule=orders & prices):
    EmptyOperator(task_id="end")

with DAG("waits_for_parts", schedule=[latest]):

    @task(inlets=[latest])
    def count(triggering_asset_events):
        return sorted(event.extra["number"] for event in triggering_asset_events[latest])

    count()


@asset(schedule=Asset.ref(name="prices"))
def offers(self, prices, context):
    return [self.name, prices.uri, context["run_id"].partition("__")[0]]
