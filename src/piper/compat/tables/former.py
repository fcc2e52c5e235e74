"""Modules and names of Airflow 1 and 2 that 3.3.2 no longer has, and what they are called now (see `tables`)."""

from __future__ import annotations

FORMER = {
    # --- Airflow 2 ----------------------------------------------------------------------------------
    "airflow.datasets": "airflow.sdk: Dataset=Asset DatasetAlias=AssetAlias DatasetAll=AssetAll DatasetAny=AssetAny",
    "airflow.datasets.metadata": "airflow.sdk: Metadata",
    "airflow.io": "airflow.sdk: ObjectStoragePath",
    "airflow.models.baseoperator": "airflow.sdk: BaseOperatorLink",
    "airflow.lineage": "lacks lineage: AUTO apply_lineage prepare_lineage",
    "airflow.lineage.entities": "lacks lineage: Column File Table Tag User",
    "airflow.models": "lacks database: DagPickle ImportError KnownEvent KnownEventType SlaMiss TaskFail",
    "airflow.models.asset": "lacks database: AssetActive AssetAliasModel AssetDagRunQueue AssetEvent AssetModel",
    "airflow.models.crypto": "lacks database: get_fernet",
    "airflow.models.dag": (
        "airflow.sdk.definitions.param: DagParam; airflow.sdk.definitions.dag: DagStateChangeCallback; "
        "lacks database: DagOwnerAttributes get_asset_triggered_next_run_info "
        "get_last_dagrun"
    ),
    "airflow.models.dagcode": "lacks database: DagCode",
    "airflow.models.dagpickle": "lacks database: DagPickle",
    "airflow.models.dagwarning": "lacks database: DagWarning DagWarningType",
    "airflow.models.errors": "lacks database: ImportError ParseImportError",
    "airflow.models.log": "lacks database: Log",
    "airflow.models.renderedtifields": "lacks database: RenderedTaskInstanceFields",
    "airflow.models.serialized_dag": "lacks database: SerializedDagModel",
    "airflow.models.slamiss": "lacks database: SlaMiss",
    "airflow.models.taskfail": "lacks database: TaskFail",
    "airflow.models.taskinstance": "airflow.sdk: Context",
    "airflow.models.taskreschedule": "lacks database: TaskReschedule",
    "airflow.models.datasets": "airflow.sdk: Dataset=Asset",
    "airflow.models.expandinput": "airflow.sdk.definitions._internal.expandinput: ExpandInput",
    "airflow.models.mappedoperator": "airflow.sdk.definitions.mappedoperator: MappedOperator",
    "airflow.models.operator": "airflow.sdk.definitions._internal.abstractoperator: Operator=AbstractOperator",
    "airflow.models.taskmixin": "airflow.models.taskmixin: TaskMixin=DependencyMixin",
    "airflow.models.xcom_arg": "airflow.sdk.definitions.xcom_arg: PlainXComArg",
    "airflow.operators.dummy": "piper.compat.former: DummyOperator",
    "airflow.operators.python": "airflow.sdk: task; piper.compat.former: is_venv_installed",
    "airflow.operators.subdag": "lacks subdags: SubDagOperator",
    "airflow.secrets": "lacks secrets backends: BaseSecretsBackend",
    "airflow.secrets.local_filesystem": "lacks secrets backends: LocalFilesystemBackend",
    "airflow.sensors": "airflow.providers.standard.sensors.time: TimeSensor",
    "airflow.sensors.external_task_sensor": (
        "airflow.providers.standard.sensors.external_task: ExternalTaskMarker ExternalTaskSensor"
    ),
    "airflow.sensors.smart_sensor": "lacks smart sensors: SmartSensorOperator",
    "airflow.timetables.datasets": "piper.compat.former: DatasetOrTimeSchedule",
    "airflow.utils.dag_parsing_context": "airflow.sdk: get_parsing_context",
    "airflow.utils.dates": "piper.compat.former: days_ago date_range parse_execution_date round_time",
    "airflow.utils.decorators": "piper.compat.former: apply_defaults",
    "airflow.utils.db": "airflow.utils.session: create_session",
    "airflow.utils.edgemodifier": "airflow.sdk: EdgeModifier",
    "airflow.utils.file": "piper.compat.former: TemporaryDirectory",
    "airflow.utils.helpers": "airflow.sdk: chain cross_downstream",
    "airflow.utils.log.secrets_masker": "airflow.sdk.log: mask_secret redact",
    "airflow.utils.module_loading": "airflow.sdk._shared.module_loading: import_string",
    "airflow.utils.operator_helpers": (
        "airflow.sdk.execution_time.context: AIRFLOW_VAR_NAME_FORMAT_MAPPING context_to_airflow_vars"
    ),
    "airflow.utils.template": "airflow.sdk: literal",
    "airflow.utils.weekday": "airflow.providers.standard.utils.weekday: WeekDay",
    "airflow.models.dataset": "lacks database: DatasetModel DatasetEvent",
    "airflow.kubernetes.pod_generator": "airflow.providers.cncf.kubernetes.pod_generator: PodGenerator",
    "airflow.kubernetes.secret": "airflow.providers.cncf.kubernetes.secret: Secret",
    # --- Airflow 1 ----------------------------------------------------------------------------------
    "airflow.configuration": "piper.compat.former: get getboolean getfloat getint",
    "airflow.contrib.kubernetes.secret": "airflow.providers.cncf.kubernetes.secret: Secret",
    "airflow.hooks.base_hook": "airflow.sdk.bases.hook: BaseHook",
    "airflow.hooks.dbapi_hook": "airflow.providers.common.sql.hooks.sql: DbApiHook",
    "airflow.hooks.http_hook": "airflow.providers.http.hooks.http: HttpHook",
    "airflow.hooks.mysql_hook": "airflow.providers.mysql.hooks.mysql: MySqlHook",
    "airflow.hooks.postgres_hook": "airflow.providers.postgres.hooks.postgres: PostgresHook",
    "airflow.hooks.sqlite_hook": "airflow.providers.sqlite.hooks.sqlite: SqliteHook",
    "airflow.hooks.S3_hook": "airflow.providers.amazon.aws.hooks.s3: S3Hook",
    "airflow.operators.bash_operator": "airflow.providers.standard.operators.bash: BashOperator",
    "airflow.operators.branch_operator": "airflow.providers.standard.operators.branch: BaseBranchOperator",
    "airflow.operators.dagrun_operator": ("airflow.providers.standard.operators.trigger_dagrun: TriggerDagRunOperator"),
    "airflow.operators.dummy_operator": "piper.compat.former: DummyOperator",
    "airflow.operators.email_operator": "airflow.providers.smtp.operators.smtp: EmailOperator",
    "airflow.operators.http_operator": "airflow.providers.http.operators.http: SimpleHttpOperator=HttpOperator",
    "airflow.operators.latest_only_operator": "airflow.providers.standard.operators.latest_only: LatestOnlyOperator",
    "airflow.operators.mysql_operator": (
        "airflow.providers.common.sql.operators.sql: MySqlOperator=SQLExecuteQueryOperator"
    ),
    "airflow.operators.postgres_operator": (
        "airflow.providers.common.sql.operators.sql: PostgresOperator=SQLExecuteQueryOperator"
    ),
    "airflow.operators.python_operator": (
        "airflow.providers.standard.operators.python: BranchPythonOperator PythonOperator PythonVirtualenvOperator "
        "ShortCircuitOperator"
    ),
    "airflow.operators.sqlite_operator": (
        "airflow.providers.common.sql.operators.sql: SqliteOperator=SQLExecuteQueryOperator"
    ),
    "airflow.operators.subdag_operator": "lacks subdags: SubDagOperator",
    "airflow.sensors.base_sensor_operator": "airflow.sdk.bases.sensor: BaseSensorOperator",
    "airflow.sensors.date_time_sensor": "airflow.providers.standard.sensors.date_time: DateTimeSensor",
    "airflow.sensors.http_sensor": "airflow.providers.http.sensors.http: HttpSensor",
    "airflow.sensors.s3_key_sensor": "airflow.providers.amazon.aws.sensors.s3: S3KeySensor",
    "airflow.sensors.sql_sensor": "airflow.providers.common.sql.sensors.sql: SqlSensor",
    "airflow.sensors.time_delta_sensor": "airflow.providers.standard.sensors.time_delta: TimeDeltaSensor",
    "airflow.contrib.hooks.fs_hook": "airflow.providers.standard.hooks.filesystem: FSHook",
    "airflow.contrib.operators.slack_webhook_operator": (
        "airflow.providers.slack.operators.slack_webhook: SlackWebhookOperator"
    ),
    "airflow.contrib.operators.ssh_operator": "airflow.providers.ssh.operators.ssh: SSHOperator",
    "airflow.contrib.sensors.bash_sensor": "airflow.providers.standard.sensors.bash: BashSensor",
    "airflow.contrib.sensors.file_sensor": "airflow.providers.standard.sensors.filesystem: FileSensor",
    "airflow.contrib.sensors.python_sensor": "airflow.providers.standard.sensors.python: PythonSensor",
    "airflow.contrib.sensors.weekday_sensor": "airflow.providers.standard.sensors.weekday: DayOfWeekSensor",
    "airflow.contrib.utils.weekday": "airflow.providers.standard.utils.weekday: WeekDay",
}
