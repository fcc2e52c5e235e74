"""What stands in template fields, on tasks that need their file and on tasks that their spec says everything about."""

from datetime import datetime

from piper.operators.bash import BashOperator
from piper.sdk import DAG, Param, Variable, get_current_context, task

START = datetime(2026, 1, 1)


def twice(number: int) -> int:
    return 2 * number


with DAG("templates", schedule=None, start_date=START, params={"n": Param(3, type="integer", minimum=1)}):
    dates = BashOperator(
        task_id="dates",
        bash_command="echo '{{ ds }} {{ ds_nodash }} {{ ts }} {{ ts_nodash }} {{ macros.ds_add(ds, 3) }} "
        "{{ logical_date.isoformat() }} {{ data_interval_start | ds }} {{ data_interval_end | ts_nodash }} "
        '{{ macros.datetime(2020, 1, 2).strftime("%d") }} {{ macros.ds_format(ds, "%Y-%m-%d", "%d.%m.%y") }}\'',
    )
    names = BashOperator(
        task_id="names",
        bash_command="echo '{{ dag.dag_id }} {{ task.task_id }} {{ ti.task_id }} {{ ti.try_number }} {{ run_id }} "
        "{{ dag_run.run_type }} {{ params.n + 1 }} {{ dag_run.conf }} {{ task_instance_key_str }}'",
    )
    stored = BashOperator(
        task_id="stored",
        bash_command='echo \'{{ var.value.plain }} {{ var.json.nested.list[1] }} {{ var.value.get("none", "else") }} '
        "{{ conn.site.host }}:{{ conn.site.port }} {{ conn.site.extra_dejson.region }} "
        '{{ conn.get("none", "else") }}\'',
    )
    pulled = BashOperator(
        task_id="pulled",
        bash_command='echo \'{{ ti.xcom_pull("names") }}|{{ ti.xcom_pull(task_ids=["shared", "mapped"]) }}|'
        '{{ ti.xcom_pull("mapped") }}|{{ ti.xcom_pull("mapped", map_indexes=1) }}|'
        '{{ ti.xcom_pull("no_such", default=0) }}\'',
    )
    hidden = BashOperator(
        task_id="hidden", bash_command='echo "it is $PASSWORD"', env={"PASSWORD": "{{ conn.site.password }}"}
    )
    from_file = BashOperator(task_id="from_file", bash_command="greet.sh")
    told = BashOperator(task_id="told", bash_command='echo "$WHOM $AIRFLOW_CTX_DAG_ID"', env={"WHOM": "{{ params.n }}"})

    @task
    def shared(params, ds=None, **context):
        assert Variable.get("plain") == "text"
        assert get_current_context()["ds"] == ds
        assert "ds" not in context
        return [params["n"], ds]

    @task
    def mapped(x):
        return x * 10

    [shared(), mapped.expand(x=[1, 2, 3]), names] >> pulled

with DAG("templates_with_macros", schedule=None, start_date=START, user_defined_macros={"twice": twice}) as dag:
    BashOperator(task_id="macro", bash_command="echo {{ twice(21) }}")

with DAG("template_raises", schedule=None, start_date=START):
    undefined = BashOperator(task_id="undefined", bash_command="echo {{ no_such_name.part }}")
    wrong = BashOperator(task_id="wrong", bash_command="echo {{ 1 // 0 }}", retries=1, retry_delay=0)
    syntax = BashOperator(task_id="syntax", bash_command="echo {{ ds ")
    lacking = BashOperator(task_id="lacking", bash_command="echo {{ var.value.no_such_variable }}")
    well = BashOperator(task_id="well", bash_command="echo well")
