"""Greets a few people every morning: try `piper run examples/hello.py`."""

from datetime import datetime
from zoneinfo import ZoneInfo

from piper.operators.bash import BashOperator
from piper.sdk import dag, task


@dag(
    schedule="0 7 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Zurich")),
    params={"names": ["Ada", "Grace", "Edsger"]},
)
def hello():
    """Says hello to everybody in `names`, then goodbye."""

    @task
    def people(params) -> list[str]:
        return sorted(params["names"])

    @task
    def greet(name: str, ds: str | None = None) -> str:
        print(f"Hello {name}, today is {ds}.")
        return name

    @task
    def count(greeted) -> int:
        return len(greeted)

    goodbye = BashOperator(
        task_id="goodbye",
        bash_command="echo {{ ti.xcom_pull('count') }} people were greeted on {{ ds }}. Goodbye!",
    )

    greeted = greet.expand(name=people())  # one instance for each name
    count(greeted) >> goodbye


hello()
