"""How tasks follow one another."""

from datetime import datetime, timedelta

from piper.operators.bash import BashOperator
from piper.operators.empty import EmptyOperator
from piper.operators.python import BranchPythonOperator, PythonOperator, ShortCircuitOperator
from piper.sdk import DAG, TriggerRule, chain, dag, task, task_group
from piper.sdk.exceptions import AirflowFailException, AirflowSkipException

START = datetime(2026, 1, 1)


@dag(schedule=None, start_date=START)
def xcoms():
    @task(multiple_outputs=True)
    def several() -> dict:
        return {"one": 1, "two": [1, 2], "when": datetime(2026, 2, 3)}

    @task
    def push(ti=None):
        ti.xcom_push(key="mine", value={"a": 1})
        return "x" * 200_000

    @task
    def look(one, two, when, long, ti=None):
        assert (one, two, when.year) == (1, [1, 2], 2026)
        assert ti.xcom_pull("push", key="mine") == {"a": 1}
        assert ti.xcom_pull(task_ids=["several", "push"])[0]["one"] == 1
        assert ti.xcom_pull("nothing") is None
        return len(long)

    @task
    def nothing():
        return None

    found = several()
    long = push()
    nothing() >> look(found["one"], found["two"], found["when"], long)


xcoms()


@dag(schedule=None, start_date=START)
def retries():
    @task(retries=3, retry_delay=timedelta(milliseconds=100), retry_exponential_backoff=True)
    def third_time(ti=None):
        if ti.try_number < 3:
            raise ValueError(f"try {ti.try_number}")
        return ti.try_number

    @task(retries=1, retry_delay=timedelta(0))
    def never():
        raise ValueError("no")

    @task(retries=5)
    def at_once():
        raise AirflowFailException("it makes no sense to try again")

    BashOperator(task_id="command", bash_command="exit 3", retries=1, retry_delay=timedelta(0))
    third_time()
    never()
    at_once()


retries()

with DAG("trigger_rules", schedule=None, start_date=START):
    good = EmptyOperator(task_id="good")
    bad = BashOperator(task_id="bad", bash_command="false")
    skipped = BashOperator(task_id="skipped", bash_command="exit 99")
    for rule in TriggerRule:
        if rule not in (TriggerRule.ALWAYS, TriggerRule.ALL_DONE_SETUP_SUCCESS):
            [good, bad, skipped] >> EmptyOperator(task_id=f"mixed_{rule}", trigger_rule=rule)
            [good] >> EmptyOperator(task_id=f"good_{rule}", trigger_rule=rule)
            [skipped, bad] >> EmptyOperator(task_id=f"not_good_{rule}", trigger_rule=rule)


with DAG("branches", schedule=None, start_date=START):

    @task.branch
    def choose():
        return ["left", "group.inside"]

    left, right, join = (EmptyOperator(task_id=name) for name in ("left", "right", "join"))
    join.trigger_rule = "none_failed_min_one_success"

    @task_group
    def group():
        EmptyOperator(task_id="inside") >> EmptyOperator(task_id="after")
        EmptyOperator(task_id="beside")

    choose() >> [left, right, group()] >> join
    BranchPythonOperator(task_id="old", python_callable=lambda: "yes") >> [
        EmptyOperator(task_id="yes"),
        EmptyOperator(task_id="no"),
    ]

with DAG("short_circuits", schedule=None, start_date=START):

    @task.short_circuit
    def closed():
        return False

    @task.short_circuit(ignore_downstream_trigger_rules=False)
    def half_closed():
        return []

    opened = ShortCircuitOperator(task_id="opened", python_callable=lambda: True)
    chain(closed(), EmptyOperator(task_id="a"), EmptyOperator(task_id="b", trigger_rule="all_done"))
    chain(half_closed(), EmptyOperator(task_id="c"), EmptyOperator(task_id="d", trigger_rule="all_done"))
    opened >> EmptyOperator(task_id="e")


@dag(schedule=None, start_date=START)
def groups():
    @task
    def numbers():
        return [1, 2, 3]

    @task
    def double(x):
        return 2 * x

    @task
    def add(x, y):
        return x + y

    @task_group
    def each(x):
        return add(double(x), x)

    @task
    def total(values):
        return sum(values)

    @task_group(prefix_group_id=False)
    def plain():
        EmptyOperator(task_id="unprefixed")

    total(each.expand(x=numbers())) >> plain()


groups()


@dag(schedule=None, start_date=START)
def mapping():
    @task
    def some(n: int):
        return list(range(n))

    @task
    def nothing():
        return []

    @task(map_index_template="{{ x }}!")
    def half(x):
        if x == 1:
            raise AirflowSkipException("odd")
        return x // 2

    @task
    def pair(x, y, z):
        return [x, y, z]

    @task(trigger_rule="none_failed")
    def collect(values):
        return list(values)

    @task
    def of_mapping(a, b=0):
        return a + b

    @task(trigger_rule="all_done")
    def after_nothing():
        return "done"

    halves = half.expand(x=some(3))
    collect(halves)
    pair.partial(z="z").expand(x=[1, 2], y=["a", "b"])
    of_mapping.expand_kwargs([{"a": 1}, {"a": 2, "b": 3}])
    half.override(task_id="none_at_all").expand(x=nothing()) >> after_nothing()
    BashOperator.partial(task_id="commands").expand(bash_command=["echo {{ ds }}", "echo two; exit 0"])
    PythonOperator.partial(task_id="calls", python_callable=lambda x: x + 1).expand(op_args=[[1], [2]])


mapping()
