"""`airflow.sdk` and its submodules (see `tables`)."""

from __future__ import annotations

LANGUAGE = {
    "airflow.sdk": (
        "piper.sdk: *; piper.compat.versions: __version__=TASK_SDK; lacks partitions: AllowedKeyMapper ChainMapper "
        "CronPartitionTimetable DayWindow FanOutMapper FixedKeyMapper HourWindow IdentityMapper MinimumCount "
        "MonthWindow PartitionMapper PartitionedAssetTimetable PartitionedAtRuntime ProductMapper QuarterWindow "
        "RollupMapper SegmentWindow StartOfDayMapper StartOfHourMapper StartOfMonthMapper StartOfQuarterMapper "
        "StartOfWeekMapper StartOfYearMapper WaitForAll WeekWindow Window YearWindow; lacks asset watchers: "
        "AssetWatcher; lacks state stores: NEVER_EXPIRE ResumableJobMixin; lacks object storage paths: "
        "ObjectStoragePath; lacks lineage: lineage; lacks secrets backends: SecretCache"
    ),
    "airflow.sdk._shared.module_loading": "piper.sdk.importing: import_string=import_path",
    "airflow.sdk.bases.branch": "piper.sdk: BaseBranchOperator BranchMixIn",
    "airflow.sdk.bases.decorator": (
        "piper.sdk.decorators: DecoratedOperator TaskDecorator get_unique_task_id is_decorated_task "
        "task_decorator_factory; piper.sdk.mapping: DecoratedMappedOperator; piper.compat.keywords: "
        "KeywordParameters determine_kwargs"
    ),
    "airflow.sdk.bases.hook": "piper.sdk: BaseHook",
    "airflow.sdk.bases.notifier": "piper.sdk: BaseNotifier",
    "airflow.sdk.bases.operator": "piper.sdk: BaseAsyncOperator BaseOperator chain chain_linear cross_downstream",
    "airflow.sdk.bases.operatorlink": "piper.sdk: BaseOperatorLink",
    "airflow.sdk.bases.resumablejobmixin": "lacks state stores: ResumableJobMixin",
    "airflow.sdk.bases.secrets_backend": "lacks secrets backends: BaseSecretsBackend",
    "airflow.sdk.bases.sensor": "piper.sdk: BaseSensorOperator PokeReturnValue; piper.sdk.sensor: poke_mode_only",
    "airflow.sdk.bases.skipmixin": "piper.sdk: SkipMixin; piper.sdk.branch: XCOM_SKIPMIXIN_KEY",
    "airflow.sdk.bases.timetable": "piper.sdk.timetables: BaseTimetable",
    "airflow.sdk.bases.xcom": "piper.sdk: BaseXCom",
    "airflow.sdk.configuration": "piper.sdk: conf",
    "airflow.sdk.definitions._internal.abstractoperator": (
        "piper.sdk.operator: AbstractOperator; piper.sdk.arguments: TaskStateChangeCallback=Callback"
    ),
    "airflow.sdk.definitions._internal.expandinput": "piper.sdk.mapping: ExpandInput MappedArgument",
    "airflow.sdk.definitions._internal.mixins": "piper.sdk.node: DependencyMixin; piper.sdk.xcom_arg: ResolveMixin",
    "airflow.sdk.definitions._internal.setup_teardown": "piper.sdk.setup_teardown: SetupTeardownContext",
    "airflow.sdk.definitions._internal.templater": (
        "piper.sdk.execution.templating: Templater; piper.sdk.template: LiteralValue; piper.sdk.execution.jinja: "
        "FILTERS NativeEnvironment SandboxedEnvironment"
    ),
    "airflow.sdk.definitions._internal.types": (
        "piper.sdk.placeholders: NOTSET; piper.operators.bash: SET_DURING_EXECUTION; piper.compat.types: ArgNotSet "
        "is_arg_set"
    ),
    "airflow.sdk.definitions.asset": (
        "piper.sdk: Asset AssetAccessControl AssetAlias AssetAll AssetAny; piper.sdk.assets: AssetBooleanCondition "
        "AssetNameRef AssetRef AssetUriRef BaseAsset Dataset Model; piper.sdk.execution.asset_events: "
        "AssetAliasEvent=AliasEvent; lacks asset watchers: AssetWatcher"
    ),
    "airflow.sdk.definitions.asset.access_control": "piper.sdk: AssetAccessControl",
    "airflow.sdk.definitions.asset.decorators": (
        "piper.sdk: asset; piper.sdk.asset_decorator: AssetDefinition MultiAssetDefinition"
    ),
    "airflow.sdk.definitions.asset.metadata": "piper.sdk: Metadata",
    "airflow.sdk.definitions.callback": "piper.sdk: AsyncCallback SyncCallback; piper.sdk.callbacks: Callback",
    "airflow.sdk.definitions.connection": "piper.sdk: Connection",
    "airflow.sdk.definitions.context": (
        "piper.sdk: Context get_current_context get_parsing_context; piper.sdk.execution.context: "
        "KNOWN_CONTEXT_KEYS; piper.sdk.loader: AirflowParsingContext=ParsingContext; piper.compat.contexts: "
        "context_merge"
    ),
    "airflow.sdk.definitions.dag": (
        "piper.sdk: DAG dag; piper.sdk.dags: TAG_MAX_LEN=TAG_LENGTH; piper.sdk.arguments: "
        "DagStateChangeCallback=Callback"
    ),
    "airflow.sdk.definitions.deadline": (
        "piper.sdk: BaseDeadlineReference DeadlineAlert DeadlineReference deadline_reference; piper.sdk.deadlines: "
        "AverageRuntimeDeadline DagRunLogicalDateDeadline DagRunQueuedAtDeadline FixedDatetimeDeadline"
    ),
    "airflow.sdk.definitions.decorators": (
        "piper.sdk: result setup task task_group teardown dag; piper.sdk.decorators: TaskDecorator "
        "TaskDecoratorCollection"
    ),
    "airflow.sdk.definitions.decorators.task_group": "piper.sdk: task_group",
    "airflow.sdk.definitions.edges": "piper.sdk: EdgeModifier Label",
    "airflow.sdk.definitions.mappedoperator": "piper.sdk.mapping: MappedOperator OperatorPartial",
    "airflow.sdk.definitions.param": "piper.sdk: Param ParamsDict; piper.sdk.params: DagParam process_params",
    "airflow.sdk.definitions.partition_mappers.allowed_key": "lacks partitions: AllowedKeyMapper",
    "airflow.sdk.definitions.partition_mappers.base": "lacks partitions: PartitionMapper RollupMapper",
    "airflow.sdk.definitions.partition_mappers.chain": "lacks partitions: ChainMapper",
    "airflow.sdk.definitions.partition_mappers.fixed_key": "lacks partitions: FixedKeyMapper",
    "airflow.sdk.definitions.partition_mappers.identity": "lacks partitions: IdentityMapper",
    "airflow.sdk.definitions.partition_mappers.product": "lacks partitions: ProductMapper",
    "airflow.sdk.definitions.partition_mappers.temporal": (
        "lacks partitions: FanOutMapper StartOfDayMapper StartOfHourMapper StartOfMonthMapper StartOfQuarterMapper "
        "StartOfWeekMapper StartOfYearMapper"
    ),
    "airflow.sdk.definitions.partition_mappers.wait_policy": "lacks partitions: MinimumCount WaitForAll WaitPolicy",
    "airflow.sdk.definitions.partition_mappers.window": (
        "lacks partitions: DayWindow HourWindow MonthWindow QuarterWindow SegmentWindow WeekWindow Window YearWindow"
    ),
    "airflow.sdk.definitions.retry_policy": (
        "piper.sdk: ExceptionRetryPolicy RetryAction RetryDecision RetryPolicy RetryRule"
    ),
    "airflow.sdk.definitions.taskgroup": "piper.sdk: TaskGroup; piper.sdk.group: MappedTaskGroup",
    "airflow.sdk.definitions.template": "piper.sdk: literal",
    "airflow.sdk.definitions.timetables.assets": (
        "piper.sdk: AssetOrTimeSchedule; piper.sdk.built_in_timetables: AssetTriggeredTimetable; lacks partitions: "
        "PartitionedAssetTimetable PartitionedAtRuntime"
    ),
    "airflow.sdk.definitions.timetables.events": "piper.sdk: EventsTimetable",
    "airflow.sdk.definitions.timetables.interval": "piper.sdk: CronDataIntervalTimetable DeltaDataIntervalTimetable",
    "airflow.sdk.definitions.timetables.simple": (
        "piper.sdk.built_in_timetables: ContinuousTimetable NullTimetable OnceTimetable"
    ),
    "airflow.sdk.definitions.timetables.trigger": (
        "piper.sdk: CronTriggerTimetable DeltaTriggerTimetable MultipleCronTriggerTimetable; lacks partitions: "
        "CronPartitionTimetable"
    ),
    "airflow.sdk.definitions.variable": "piper.sdk: Variable",
    "airflow.sdk.definitions.xcom_arg": (
        "piper.sdk: XComArg; piper.sdk.xcom_arg: ConcatXComArg MapXComArg PlainXComArg ZipXComArg"
    ),
    "airflow.sdk.exceptions": "is piper.sdk.exceptions",
    "airflow.sdk.execution_time.cache": "lacks secrets backends: SecretCache",
    "airflow.sdk.execution_time.context": (
        "piper.sdk.execution.environment: AIRFLOW_VAR_NAME_FORMAT_MAPPING context_to_airflow_vars; "
        "piper.sdk.execution.accessors: ConnectionAccessor VariableAccessor; piper.sdk.execution.asset_events: "
        "InletEventsAccessor InletEventsAccessors=InletEvents OutletEventAccessor=OutletEvent "
        "OutletEventAccessors=OutletEvents TriggeringAssetEventsAccessor=TriggeringEvents; lacks state stores: "
        "NEVER_EXPIRE AssetStateStoreAccessor AssetStateStoreAccessors TaskStateStoreAccessor"
    ),
    "airflow.sdk.execution_time.lazy_sequence": "piper.sdk.execution.xcoms: LazyXComSequence",
    "airflow.sdk.execution_time.macros": "is piper.sdk.execution.macros",
    "airflow.sdk.execution_time.secrets_masker": "piper.sdk.execution.masking: mask_secret redact",
    "airflow.sdk.execution_time.task_runner": (
        "piper.sdk.execution.instance: RuntimeTaskInstance; lacks supervisor: SUPERVISOR_COMMS"
    ),
    "airflow.sdk.execution_time.timeout": "piper.compat.types: timeout",
    "airflow.sdk.execution_time.xcom": "piper.sdk: XCom=BaseXCom",
    "airflow.sdk.io": "lacks object storage paths: ObjectStoragePath attach get_fs has_fs",
    "airflow.sdk.io.fs": "lacks object storage paths: get_fs has_fs",
    "airflow.sdk.io.path": "lacks object storage paths: ObjectStoragePath",
    "airflow.sdk.lineage": (
        "piper.compat.lineage: HookLineage HookLineageCollector HookLineageReader NoOpCollector "
        "get_hook_lineage_collector"
    ),
    "airflow.sdk.listener": "piper.compat.listeners: get_listener_manager",
    "airflow.sdk.log": "piper.sdk.execution.masking: mask_secret redact",
    "airflow.sdk.observability.stats": "piper.compat.stats: Stats",
    "airflow.sdk.plugins_manager": "piper.compat.plugins: AirflowPlugin",
    "airflow.sdk.serde": "piper.sdk.execution.serde: serialize=to_json deserialize=from_json",
    "airflow.sdk.timezone": "is piper.sdk.timezone",
    "airflow.sdk.types": (
        "piper.sdk.execution.instance: RuntimeTaskInstanceProtocol=RuntimeTaskInstance "
        "TaskInstance=RuntimeTaskInstance; piper.sdk.execution.dag_run: DagRunProtocol=DagRun; piper.compat.types: "
        "TaskInstanceKey"
    ),
}
