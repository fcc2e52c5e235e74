"""Runs that somebody steers."""

import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from piper.operators.bash import BashOperator
from piper.operators.empty import EmptyOperator
from piper.sdk import DAG, Asset, Param, task

START = datetime(2026, 1, 1)


def appear(file: str) -> None:
    """Wait until a file is there."""
    while not Path(file).exists():
        time.sleep(0.01)


with DAG("steps", schedule=None, start_date=START):

    @task
    def first(ti=None):
        return ti.try_number

    @task
    def second(number, ti=None, params=None):
        if ti.try_number == 1:
            raise ValueError("the first time")
        return [number, ti.try_number]

    second(first()) >> EmptyOperator(task_id="third") >> BashOperator(task_id="fourth", bash_command="echo {{ ts }}")

with DAG("waiting", schedule=None, start_date=START, params={"folder": "/tmp"}):

    @task
    def held(params):
        folder = Path(params["folder"])
        (folder / "begun").touch()
        try:
            appear(params["folder"] + "/go")
        finally:
            (folder / "cleaned").touch()

    held() >> EmptyOperator(task_id="after") >> EmptyOperator(task_id="last")

with DAG("deaf", schedule=None, start_date=START, params={"folder": "/tmp"}):

    @task
    def hears_nothing(params):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        Path(params["folder"], "begun").touch()
        try:
            time.sleep(60)
        except BaseException:
            time.sleep(60)

    hears_nothing()

with DAG("talking", schedule=None, start_date=START, params={"folder": "/tmp"}):

    @task
    def talk(params):
        for word in ("one", "two", "three"):
            print(f"the word is {word}", flush=True)
            appear(f"{params['folder']}/{word}")

    talk()

with DAG(
    "strict",
    schedule=None,
    start_date=START,
    params={
        "count": Param(1, type="integer", minimum=1, maximum=5),
        "name": Param("x", type="string", minLength=1),
        "day": Param(None, type=["null", "string"], format="date"),
        "must": Param(type="string"),
    },
):

    @task
    def show(params):
        return dict(params)

    show()

with DAG("cleared", schedule=timedelta(days=1), start_date=datetime.now(UTC) - timedelta(days=3), catchup=True):

    @task
    def tries(ti=None):
        return ti.try_number

    tries() >> EmptyOperator(task_id="after")

with DAG("endless", schedule=None, start_date=START, tags=["a tag"], description="Retries for long."):

    @task(retries=100, retry_delay=timedelta(minutes=10))
    def again():
        raise ValueError("again")

    again()

with DAG("hears", schedule=[Asset("orders"), Asset("customers")], start_date=START):
    EmptyOperator(task_id="heard")
