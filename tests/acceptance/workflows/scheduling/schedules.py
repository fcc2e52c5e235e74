"""When runs begin."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from piper.operators.bash import BashOperator
from piper.operators.empty import EmptyOperator
from piper.operators.sensors.external_task import ExternalTaskSensor
from piper.sdk import DAG, CronDataIntervalTimetable, CronTriggerTimetable, task

DAY = timedelta(days=1)
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
START = TODAY - 4 * DAY

with DAG("caught_up", schedule="@daily", start_date=START, catchup=True):
    EmptyOperator(task_id="done")

with DAG("latest_only", schedule="@daily", start_date=START, catchup=False):
    EmptyOperator(task_id="done")

with DAG("intervals", schedule=CronDataIntervalTimetable("@daily", timezone="UTC"), start_date=START, catchup=True):

    @task
    def bounds(data_interval_start=None, data_interval_end=None):
        return [data_interval_start.isoformat(), data_interval_end.isoformat()]

    bounds()

with DAG("ended", schedule="@daily", start_date=START, end_date=START + DAY, catchup=True):
    EmptyOperator(task_id="done")

with DAG("zoned", schedule="30 7 * * *", start_date=datetime(2026, 1, 1, tzinfo=ZoneInfo("Australia/Lord_Howe"))):
    EmptyOperator(task_id="done")

with DAG(
    "zoned_by_timetable", schedule=CronTriggerTimetable("15 22 * * *", timezone="America/New_York"), start_date=START
):
    EmptyOperator(task_id="done")

with DAG("once", schedule="@once", start_date=START):
    EmptyOperator(task_id="done")

with DAG("ticking", schedule=timedelta(seconds=1), start_date=START, is_paused_upon_creation=True, max_active_runs=4):
    EmptyOperator(task_id="tick")

with DAG("one_at_a_time", schedule="@daily", start_date=START, catchup=True, max_active_runs=1):

    @task
    def interval():
        import time

        began = time.time()
        time.sleep(0.05)
        return [began, time.time()]

    interval()

with DAG("depends_on_past", schedule="@daily", start_date=START, catchup=True):

    @task(depends_on_past=True)
    def day(ds=None, ti=None):
        if ds == (START + 2 * DAY).date().isoformat() and ti.try_number == 1:
            raise ValueError("on the third day")
        return ds

    day()

for name, delta in (("producer", None), ("consumer", None), ("next_day", DAY)):
    with DAG(name, schedule="@daily", start_date=START + (delta or 0 * DAY), catchup=True) as dag:
        if name == "producer":
            BashOperator(task_id="make", bash_command="sleep 0.$((RANDOM % 5)); echo {{ ds }}") >> EmptyOperator(
                task_id="done"
            )
        else:

            @task
            def use(ds=None, ti=None):
                return ds

            (
                ExternalTaskSensor(
                    task_id="wait",
                    external_dag_id="producer",
                    external_task_id="make" if name == "consumer" else None,
                    execution_delta=delta,
                    mode="reschedule" if name == "consumer" else "poke",
                    poke_interval=0.2,
                    timeout=60,
                )
                >> use()
            )
