"""Tasks that wait in every way there is."""

import asyncio
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from piper.operators.sensors.date_time import DateTimeSensorAsync
from piper.operators.sensors.external_task import ExternalTaskSensor
from piper.operators.sensors.filesystem import FileSensor
from piper.operators.trigger_dagrun import TriggerDagRunOperator
from piper.sdk import DAG, BaseOperator
from piper.sdk.trigger import BaseTrigger, TaskSkippedEvent, TriggerEvent

FOLDER = Path(os.environ.get("WAITING_FOLDER", "/nowhere"))


class There(BaseTrigger):
    """Fires once a file is there."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def serialize(self):
        return f"{__name__}.There", {"name": self.name}

    async def run(self):
        print("looking for", self.name)
        while not (FOLDER / self.name).exists():
            await asyncio.sleep(0.02)
        yield TriggerEvent(self.name)

    async def on_kill(self):
        (FOLDER / f"{self.name}.killed").touch()


class Fails(BaseTrigger):
    """Fails the first time, and ends its task as skipped the second."""

    def serialize(self):
        return f"{__name__}.Fails", {}

    async def run(self):
        if self.task_instance.try_number == 1:
            raise ConnectionError("nobody answers")
        yield TaskSkippedEvent()


class Blocks(BaseTrigger):
    """Stands still."""

    def serialize(self):
        return f"{__name__}.Blocks", {}

    async def run(self):
        time.sleep(600)
        yield TriggerEvent(None)


class Waits(BaseOperator):
    """Waits for a trigger, twice if it is told to."""

    def __init__(self, *, trigger, again=None, timeout=None, **kwargs):
        super().__init__(**kwargs)
        self.trigger = trigger
        self.again = again
        self.wait_timeout = timeout

    def execute(self, context):
        context["ti"].xcom_push(key="before", value=os.getpid())
        self.defer(trigger=self.trigger, method_name="go_on", timeout=self.wait_timeout)

    def go_on(self, context, event=None):
        if self.again is not None:
            trigger, self.again = self.again, None
            self.defer(trigger=trigger, method_name="end", kwargs={"first": event})
        return event

    def end(self, context, first, event):
        return [first, event, context["ti"].try_number]


with DAG("twice"):
    Waits(task_id="wait", trigger=There("one"), again=There("two"))

with DAG("held"):
    Waits(task_id="wait", trigger=There("never"))

with DAG("unlucky"):
    Waits(task_id="fails", trigger=Fails(), retries=1, retry_delay=timedelta(0))
    Waits(task_id="late", trigger=There("nothing"), timeout=timedelta(seconds=0.5))
    FileSensor(task_id="soft", filepath=str(FOLDER / "nothing"), deferrable=True, timeout=0.5, soft_fail=True)

with DAG("blocked"):
    Waits(task_id="blocks", trigger=Blocks())
    Waits(task_id="other", trigger=There("other"))

with DAG("from_the_start"):
    soon = datetime.now(UTC) + timedelta(seconds=1)
    both = {"start_from_trigger": True, "end_from_trigger": True}
    DateTimeSensorAsync(task_id="no_worker", target_time=soon, **both)
    DateTimeSensorAsync(task_id="one_worker", target_time=soon, start_from_trigger=True)
    DateTimeSensorAsync(task_id="template", target_time="{{ dag_run.run_after.isoformat() }}", **both)

with DAG("child"):
    Waits(task_id="work", trigger=There("child"))

with DAG("parent"):
    TriggerDagRunOperator(
        task_id="start",
        trigger_dag_id="child",
        logical_date="{{ logical_date }}",
        wait_for_completion=True,
        deferrable=True,
        poke_interval=0.1,
    )
    ExternalTaskSensor(
        task_id="watch", external_dag_id="child", external_task_id="work", deferrable=True, poke_interval=0.1
    )
