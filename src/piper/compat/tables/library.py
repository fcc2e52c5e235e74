"""The other modules of Airflow 3.3.2, and the standard provider (see `tables`)."""

from __future__ import annotations

LIBRARY = {
    "airflow": (
        "piper.sdk: DAG Asset XComArg Dataset=Asset; piper.compat.versions: __version__=AIRFLOW; "
        "piper.sdk.exceptions: AirflowException"
    ),
    "airflow.configuration": "piper.sdk: conf; piper.sdk.exceptions: AirflowConfigException",
    "airflow.dag_processing.dagbag": "piper.compat.dag_bag: DagBag",
    "airflow.exceptions": "piper.sdk.exceptions: *; piper.compat.exceptions: *",
    "airflow.listeners": "piper.compat.listeners: hookimpl",
    "airflow.listeners.listener": "piper.compat.listeners: get_listener_manager",
    "airflow.plugins_manager": "piper.compat.plugins: AirflowPlugin",
    "airflow.policies": "piper.compat.listeners: hookimpl",
    "airflow.security.permissions": "is piper.compat.permissions",
    "airflow.secrets.base_secrets": "lacks secrets backends: BaseSecretsBackend",
    "airflow.settings": "piper.compat.database: Session configure_orm; piper.compat.types: TIMEZONE",
    "airflow.stats": "piper.compat.stats: Stats",
    "airflow.observability.stats": "piper.compat.stats: Stats",
    "airflow.typing_compat": "typing: Literal ParamSpec Self TypeAlias TypeGuard Unpack assert_never",
    "airflow.version": "piper.compat.versions: version=AIRFLOW",
    # --- models: the classes of a metadata database that user code cannot reach ---------------------
    "airflow.models": (
        "piper.sdk: DAG BaseOperator BaseOperatorLink BaseXCom Connection Param SkipMixin XCom=BaseXCom DeadlineAlert; "
        "piper.compat.variables: Variable; piper.sdk.mapping: MappedOperator; piper.sdk.execution.instance: "
        "TaskInstance=RuntimeTaskInstance; piper.sdk.execution.dag_run: DagRun; piper.compat.dag_bag: DagBag; "
        "piper.compat.database: ID_LEN Base Callback DagModel DagTag DagWarning DbCallbackRequest Deadline "
        "HITLDetail Job Log Pool RenderedTaskInstanceFields TaskReschedule Team Trigger clear_task_instances"
    ),
    "airflow.models.base": "piper.compat.database: ID_LEN Base",
    "airflow.models.connection": "piper.sdk: Connection",
    "airflow.models.dag": "piper.sdk: DAG dag; piper.compat.database: DagModel DagTag",
    "airflow.models.dagbag": "piper.compat.dag_bag: DagBag; piper.compat.database: DBDagBag",
    "airflow.models.dagrun": "piper.sdk.execution.dag_run: DagRun DagRunType",
    "airflow.models.pool": "piper.compat.database: Pool",
    "airflow.models.taskinstance": (
        "piper.sdk.execution.instance: TaskInstance=RuntimeTaskInstance; piper.compat.database: clear_task_instances "
        "TaskReschedule"
    ),
    "airflow.models.taskinstancekey": "piper.compat.types: TaskInstanceKey",
    "airflow.models.taskmixin": "piper.sdk.node: DependencyMixin",
    "airflow.models.trigger": "piper.compat.database: Trigger",
    "airflow.models.variable": "piper.compat.variables: Variable",
    "airflow.models.xcom": "piper.sdk: XCom=BaseXCom BaseXCom; piper.model.spec: XCOM_RETURN_KEY=RETURN_KEY",
    "airflow.models.xcom_arg": "piper.sdk: XComArg",
    # --- when, in which order -----------------------------------------------------------------------
    "airflow.task.priority_strategy": "piper.sdk: PriorityWeightStrategy",
    "airflow.task.trigger_rule": "piper.model.states: TriggerRule",
    "airflow.task.weight_rule": "piper.model.states: WeightRule",
    "airflow.timetables.assets": (
        "piper.sdk: AssetOrTimeSchedule; piper.sdk.built_in_timetables: AssetTriggeredTimetable"
    ),
    "airflow.timetables.base": "piper.sdk: Timetable; piper.sdk.timetables: DagRunInfo DataInterval TimeRestriction",
    "airflow.timetables.events": "piper.sdk: EventsTimetable",
    "airflow.timetables.interval": "piper.sdk: CronDataIntervalTimetable DeltaDataIntervalTimetable",
    "airflow.timetables.simple": (
        "piper.sdk.built_in_timetables: AssetTriggeredTimetable ContinuousTimetable NullTimetable OnceTimetable"
    ),
    "airflow.timetables.trigger": (
        "piper.sdk: CronTriggerTimetable DeltaTriggerTimetable MultipleCronTriggerTimetable; lacks partitions: "
        "CronPartitionTimetable"
    ),
    "airflow.triggers.base": (
        "piper.sdk.trigger: BaseEventTrigger BaseTaskEndEvent BaseTrigger StartTriggerArgs TaskFailedEvent "
        "TaskSkippedEvent TaskSuccessEvent TriggerEvent"
    ),
    "airflow.partition_mappers.base": "lacks partitions: PartitionMapper RollupMapper",
    "airflow.partition_mappers.window": (
        "lacks partitions: DayWindow HourWindow MonthWindow QuarterWindow SegmentWindow WeekWindow Window YearWindow"
    ),
    # --- utils --------------------------------------------------------------------------------------
    "airflow.utils.context": "piper.sdk: Context; piper.compat.contexts: context_merge",
    "airflow.utils.dates": "piper.timetables: cron_presets=PRESETS",
    "airflow.utils.db": "piper.compat.database: initdb provide_session resetdb",
    "airflow.utils.edgemodifier": "piper.sdk: Label",
    "airflow.utils.email": "piper.compat.mail: send_email",
    "airflow.utils.helpers": "piper.compat.helping: *",
    "airflow.utils.log.logging_mixin": "piper.compat.logs: LoggingMixin",
    "airflow.utils.net": "piper.compat.types: get_hostname",
    "airflow.utils.operator_helpers": "piper.compat.keywords: KeywordParameters determine_kwargs make_kwargs_callable",
    "airflow.utils.session": "piper.compat.database: NEW_SESSION create_session provide_session",
    "airflow.utils.state": (
        "piper.compat.states: State TerminalTIState IntermediateTIState; piper.model.states: DagRunState=RunState "
        "TaskInstanceState=TaskState"
    ),
    "airflow.utils.process_utils": "piper.compat.types: execute_in_subprocess",
    "airflow.utils.strings": "piper.compat.types: get_random_string to_boolean",
    "airflow.utils.types": (
        "piper.sdk.execution.dag_run: DagRunType; piper.compat.types: ArgNotSet DagRunTriggeredByType; "
        "piper.sdk.placeholders: NOTSET"
    ),
    # --- providers ----------------------------------------------------------------------------------
    "airflow.providers.common.compat.sdk": (
        "piper.sdk: Asset AssetAlias AssetAll AssetAny BaseBranchOperator BaseHook BaseNotifier BaseOperator "
        "BaseOperatorLink BaseSensorOperator BranchMixIn Connection Context DAG DagRunState EdgeModifier "
        "ExceptionRetryPolicy Label Metadata Param PokeReturnValue RetryAction RetryDecision RetryPolicy RetryRule "
        "SkipMixin TaskGroup TaskInstanceState TriggerRule Variable WeightRule XComArg chain chain_linear conf "
        "cross_downstream dag get_current_context get_parsing_context literal setup task task_group teardown "
        "XCom=BaseXCom timezone; piper.sdk.decorators: DecoratedOperator TaskDecorator get_unique_task_id "
        "task_decorator_factory; piper.sdk.mapping: DecoratedMappedOperator MappedOperator; piper.compat.keywords: "
        "KeywordParameters determine_kwargs; piper.sdk.sensor: poke_mode_only; piper.compat.plugins: AirflowPlugin; "
        "piper.compat.types: TaskInstanceKey timeout; piper.operators.bash: SET_DURING_EXECUTION; "
        "piper.compat.contexts: context_merge; piper.sdk.execution.environment: AIRFLOW_VAR_NAME_FORMAT_MAPPING "
        "context_to_airflow_vars; piper.model.spec: XCOM_RETURN_KEY=RETURN_KEY; piper.compat.lineage: HookLineage "
        "HookLineageCollector HookLineageReader NoOpCollector get_hook_lineage_collector; piper.sdk.exceptions: "
        "AirflowConfigException AirflowException AirflowFailException AirflowNotFoundException "
        "AirflowOptionalProviderFeatureException AirflowSensorTimeout AirflowSkipException AirflowTaskTimeout "
        "DagRunTriggerException DownstreamTasksSkipped ParamValidationError TaskDeferred XComNotFound; "
        "piper.compat.stats: Stats; piper.sdk.execution.masking: mask_secret redact; piper.compat.listeners: "
        "get_listener_manager hookimpl; lacks object storage paths: ObjectStoragePath io; lacks state stores: "
        "ResumableJobMixin; lacks chained retry policies: ChainRetryPolicy"
    ),
    "airflow.providers.standard.decorators.bash": "piper.compat.decorators: bash_task",
    "airflow.providers.standard.decorators.branch_python": "piper.compat.decorators: branch_task",
    "airflow.providers.standard.decorators.python": "piper.compat.decorators: python_task",
    "airflow.providers.standard.decorators.sensor": "piper.compat.decorators: sensor_task",
    "airflow.providers.standard.decorators.short_circuit": "piper.compat.decorators: short_circuit_task",
    "airflow.providers.standard.decorators.stub": "lacks other languages: stub",
    "airflow.providers.standard.exceptions": "is piper.compat.provider_exceptions",
    "airflow.providers.standard.hooks.filesystem": "piper.operators.hooks.filesystem: FSHook",
    "airflow.providers.standard.hooks.package_index": "lacks virtual environments: PackageIndexHook",
    "airflow.providers.standard.hooks.subprocess": (
        "piper.operators.hooks.subprocess: SubprocessHook SubprocessResult working_directory"
    ),
    "airflow.providers.standard.operators.bash": "piper.operators.bash: BashOperator",
    "airflow.providers.standard.operators.branch": "piper.sdk: BaseBranchOperator BranchMixIn",
    "airflow.providers.standard.operators.datetime": (
        "piper.operators.datetime: BranchDateTimeOperator target_times_as_dates"
    ),
    "airflow.providers.standard.operators.empty": "piper.operators.empty: EmptyOperator",
    "airflow.providers.standard.operators.hitl": (
        "lacks human in the loop: ApprovalOperator HITLBranchOperator HITLEntryOperator HITLOperator"
    ),
    "airflow.providers.standard.operators.latest_only": "piper.operators.latest_only: LatestOnlyOperator",
    "airflow.providers.standard.operators.python": (
        "piper.sdk: get_current_context; piper.operators.python: BranchPythonOperator PythonOperator "
        "ShortCircuitOperator; lacks virtual environments: BranchExternalPythonOperator "
        "BranchPythonVirtualenvOperator ExternalPythonOperator PythonVirtualenvOperator"
    ),
    "airflow.providers.standard.operators.smooth": "piper.operators.smooth: SmoothOperator",
    "airflow.providers.standard.operators.trigger_dagrun": (
        "piper.operators.trigger_dagrun: DagIsPaused TriggerDagRunLink TriggerDagRunOperator"
    ),
    "airflow.providers.standard.operators.weekday": "piper.operators.weekday: BranchDayOfWeekOperator",
    "airflow.providers.standard.sensors.bash": "piper.operators.sensors.bash: BashSensor",
    "airflow.providers.standard.sensors.date_time": (
        "piper.operators.sensors.date_time: DateTimeSensor DateTimeSensorAsync"
    ),
    "airflow.providers.standard.sensors.external_task": (
        "piper.operators.sensors.external_task: ExternalDagLink ExternalTaskMarker ExternalTaskSensor"
    ),
    "airflow.providers.standard.sensors.filesystem": "piper.operators.sensors.filesystem: FileSensor",
    "airflow.providers.standard.sensors.python": "piper.operators.sensors.python: PythonSensor",
    "airflow.providers.standard.sensors.time": "piper.operators.sensors.time: TimeSensor TimeSensorAsync",
    "airflow.providers.standard.sensors.time_delta": (
        "piper.operators.sensors.time_delta: TimeDeltaSensor TimeDeltaSensorAsync WaitSensor"
    ),
    "airflow.providers.standard.sensors.weekday": "piper.operators.sensors.weekday: DayOfWeekSensor",
    "airflow.providers.standard.triggers.external_task": (
        "piper.operators.triggers.external_task: DagStateTrigger WorkflowTrigger"
    ),
    "airflow.providers.standard.triggers.file": (
        "piper.operators.triggers.file: FileTrigger; lacks asset watchers: DirectoryFileDeleteTrigger FileDeleteTrigger"
    ),
    "airflow.providers.standard.triggers.hitl": (
        "lacks human in the loop: HITLTrigger HITLTriggerEventFailurePayload HITLTriggerEventSuccessPayload"
    ),
    "airflow.providers.standard.triggers.temporal": (
        "piper.operators.triggers.temporal: DateTimeTrigger TimeDeltaTrigger"
    ),
    "airflow.providers.standard.utils.skipmixin": "piper.sdk: SkipMixin",
    "airflow.providers.standard.utils.weekday": "piper.operators.weekday: WeekDay",
}
