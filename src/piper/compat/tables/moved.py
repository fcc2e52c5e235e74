"""Modules that 3.3.2 has under a former name, and the present one (see `tables`)."""

from __future__ import annotations

MOVED = {
    "airflow.decorators": "airflow.sdk: dag setup task task_group teardown",
    "airflow.decorators.base": (
        "airflow.sdk.bases.decorator: DecoratedMappedOperator DecoratedOperator TaskDecorator get_unique_task_id "
        "task_decorator_factory; airflow.sdk.definitions.decorators: TaskDecoratorCollection"
    ),
    "airflow.hooks.base": "airflow.sdk.bases.hook: BaseHook",
    "airflow.hooks.filesystem": "airflow.providers.standard.hooks.filesystem: FSHook",
    "airflow.hooks.package_index": "airflow.providers.standard.hooks.package_index: PackageIndexHook",
    "airflow.hooks.subprocess": "airflow.providers.standard.hooks.subprocess: SubprocessHook",
    "airflow.io": "airflow.sdk.io: attach get_fs has_fs",
    "airflow.io.path": "airflow.sdk.io.path: ObjectStoragePath",
    "airflow.lineage.hook": (
        "airflow.sdk.lineage: HookLineage HookLineageCollector HookLineageReader NoOpCollector "
        "get_hook_lineage_collector"
    ),
    "airflow.macros": "airflow.sdk.execution_time.macros: *",
    "airflow.models.abstractoperator": (
        "airflow.sdk.definitions._internal.abstractoperator: AbstractOperator TaskStateChangeCallback"
    ),
    "airflow.models.baseoperator": ("airflow.sdk.bases.operator: BaseOperator chain chain_linear cross_downstream"),
    "airflow.models.baseoperatorlink": "airflow.sdk: BaseOperatorLink",
    "airflow.models.operator": "airflow.sdk: BaseOperator",
    "airflow.models.param": "airflow.sdk: Param; airflow.sdk.definitions.param: ParamsDict",
    "airflow.models.skipmixin": "airflow.sdk.bases.skipmixin: SkipMixin",
    "airflow.notifications.basenotifier": "airflow.sdk.bases.notifier: BaseNotifier",
    "airflow.operators.bash": "airflow.providers.standard.operators.bash: BashOperator",
    "airflow.operators.branch": "airflow.providers.standard.operators.branch: BaseBranchOperator BranchMixIn",
    "airflow.operators.datetime": "airflow.providers.standard.operators.datetime: BranchDateTimeOperator",
    "airflow.operators.email": "airflow.providers.smtp.operators.smtp: EmailOperator",
    "airflow.operators.empty": "airflow.providers.standard.operators.empty: EmptyOperator",
    "airflow.operators.generic_transfer": "airflow.providers.common.sql.operators.generic_transfer: GenericTransfer",
    "airflow.operators.latest_only": "airflow.providers.standard.operators.latest_only: LatestOnlyOperator",
    "airflow.operators.python": (
        "airflow.providers.standard.operators.python: BranchExternalPythonOperator BranchPythonOperator "
        "BranchPythonVirtualenvOperator ExternalPythonOperator PythonOperator PythonVirtualenvOperator "
        "ShortCircuitOperator; airflow.sdk: get_current_context"
    ),
    "airflow.operators.smooth": "airflow.providers.standard.operators.smooth: SmoothOperator",
    "airflow.operators.trigger_dagrun": "airflow.providers.standard.operators.trigger_dagrun: TriggerDagRunOperator",
    "airflow.operators.weekday": "airflow.providers.standard.operators.weekday: BranchDayOfWeekOperator",
    "airflow.secrets.cache": "airflow.sdk.execution_time.cache: SecretCache",
    "airflow.sensors.base": "airflow.sdk.bases.sensor: BaseSensorOperator PokeReturnValue poke_mode_only",
    "airflow.sensors.bash": "airflow.providers.standard.sensors.bash: BashSensor",
    "airflow.sensors.date_time": "airflow.providers.standard.sensors.date_time: DateTimeSensor DateTimeSensorAsync",
    "airflow.sensors.external_task": (
        "airflow.providers.standard.sensors.external_task: ExternalDagLink ExternalTaskMarker ExternalTaskSensor"
    ),
    "airflow.sensors.filesystem": "airflow.providers.standard.sensors.filesystem: FileSensor",
    "airflow.sensors.python": "airflow.providers.standard.sensors.python: PythonSensor",
    "airflow.sensors.time_delta": "airflow.providers.standard.sensors.time_delta: TimeDeltaSensor TimeDeltaSensorAsync",
    "airflow.sensors.time_sensor": "airflow.providers.standard.sensors.time: TimeSensor TimeSensorAsync",
    "airflow.sensors.weekday": "airflow.providers.standard.sensors.weekday: DayOfWeekSensor",
    "airflow.triggers.external_task": (
        "airflow.providers.standard.triggers.external_task: DagStateTrigger WorkflowTrigger"
    ),
    "airflow.triggers.file": "airflow.providers.standard.triggers.file: FileTrigger",
    "airflow.triggers.temporal": "airflow.providers.standard.triggers.temporal: DateTimeTrigger TimeDeltaTrigger",
    "airflow.utils.setup_teardown": "airflow.sdk.definitions._internal.setup_teardown: SetupTeardownContext",
    "airflow.utils.task_group": "airflow.sdk: TaskGroup",
    "airflow.utils.timeout": "airflow.sdk.execution_time.timeout: timeout",
    "airflow.utils.timezone": "airflow.sdk.timezone: *",
    "airflow.utils.trigger_rule": "airflow.task.trigger_rule: *",
    "airflow.utils.weight_rule": "airflow.task.weight_rule: WeightRule",
    "airflow.utils.xcom": "airflow.models.xcom: XCOM_RETURN_KEY",
}
