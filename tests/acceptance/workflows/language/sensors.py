"""Tasks that wait."""

from datetime import datetime
from pathlib import Path

from piper.operators.sensors.python import PythonSensor
from piper.sdk import DAG, PokeReturnValue, task

START = datetime(2026, 1, 1)


def poked(file: str, times: int) -> bool:
    with Path(file).open("a") as notes:
        notes.write("x")
    return len(Path(file).read_text()) >= times


with DAG("sensors", schedule=None, start_date=START, params={"folder": "/tmp"}):
    for mode in ("poke", "reschedule"):
        PythonSensor(
            task_id=mode,
            mode=mode,
            poke_interval=0.2,
            python_callable=poked,
            op_args=["{{ params.folder }}/" + mode, 3],
        )

    @task.sensor(poke_interval=0.1, mode="reschedule")
    def value(params, ti=None):
        return PokeReturnValue(is_done=poked(params["folder"] + "/value", 2), xcom_value=[1, 2])

    @task
    def use(found):
        return sum(found)

    use(value())
    for mode in ("poke", "reschedule"):
        PythonSensor(task_id=f"late_{mode}", mode=mode, poke_interval=0.1, timeout=0.5, python_callable=lambda: False)
        PythonSensor(
            task_id=f"soft_{mode}",
            mode=mode,
            poke_interval=0.1,
            timeout=0.3,
            soft_fail=True,
            python_callable=lambda: False,
        )
