"""Twenty tasks in a row, each of which defers once to a trigger that fires at once."""

from piper.sdk import DAG, BaseOperator
from piper.sdk.trigger import BaseTrigger, TriggerEvent


class AtOnce(BaseTrigger):
    """Fires."""

    def serialize(self):
        return f"{__name__}.AtOnce", {}

    async def run(self):
        yield TriggerEvent(None)


class Waits(BaseOperator):
    """Defers, and goes on."""

    def execute(self, context):
        self.defer(trigger=AtOnce(), method_name="go_on")

    def go_on(self, context, event=None):
        return None


with DAG("deferral_chain_20", schedule=None):
    before = Waits(task_id="t0")
    for number in range(1, 20):
        after = Waits(task_id=f"t{number}")
        before >> after
        before = after
