"""The public names, for type checkers and editors; at run time they are looked up one by one."""

from piper import (
    __version__ as __version__,
)
from piper.model.states import (
    TriggerRule as TriggerRule,
)
from piper.model.states import (
    WeightRule as WeightRule,
)
from piper.sdk.assets import (
    Asset as Asset,
)
from piper.sdk.assets import (
    AssetAccessControl as AssetAccessControl,
)
from piper.sdk.assets import (
    AssetAlias as AssetAlias,
)
from piper.sdk.assets import (
    AssetAll as AssetAll,
)
from piper.sdk.assets import (
    AssetAny as AssetAny,
)
from piper.sdk.assets import (
    Metadata as Metadata,
)
from piper.sdk.assets import (
    asset as asset,
)
from piper.sdk.branch import (
    BaseBranchOperator as BaseBranchOperator,
)
from piper.sdk.branch import (
    BranchMixIn as BranchMixIn,
)
from piper.sdk.branch import (
    SkipMixin as SkipMixin,
)
from piper.sdk.callbacks import (
    AsyncCallback as AsyncCallback,
)
from piper.sdk.callbacks import (
    SyncCallback as SyncCallback,
)
from piper.sdk.configuration import (
    conf as conf,
)
from piper.sdk.connection import (
    Connection as Connection,
)
from piper.sdk.dags import (
    DAG as DAG,
)
from piper.sdk.dags import (
    dag as dag,
)
from piper.sdk.deadlines import (
    BaseDeadlineReference as BaseDeadlineReference,
)
from piper.sdk.deadlines import (
    DeadlineAlert as DeadlineAlert,
)
from piper.sdk.deadlines import (
    DeadlineReference as DeadlineReference,
)
from piper.sdk.deadlines import (
    deadline_reference as deadline_reference,
)
from piper.sdk.decorators import (
    result as result,
)
from piper.sdk.decorators import (
    setup as setup,
)
from piper.sdk.decorators import (
    task as task,
)
from piper.sdk.decorators import (
    task_group as task_group,
)
from piper.sdk.decorators import (
    teardown as teardown,
)
from piper.sdk.edges import (
    EdgeModifier as EdgeModifier,
)
from piper.sdk.edges import (
    Label as Label,
)
from piper.sdk.edges import (
    chain as chain,
)
from piper.sdk.edges import (
    chain_linear as chain_linear,
)
from piper.sdk.edges import (
    cross_downstream as cross_downstream,
)
from piper.sdk.execution import (
    macros as macros,
)
from piper.sdk.execution.context import (
    Context as Context,
)
from piper.sdk.execution.current import (
    get_current_context as get_current_context,
)
from piper.sdk.group import (
    TaskGroup as TaskGroup,
)
from piper.sdk.hook import (
    BaseHook as BaseHook,
)
from piper.sdk.links import (
    BaseOperatorLink as BaseOperatorLink,
)
from piper.sdk.loader import (
    get_parsing_context as get_parsing_context,
)
from piper.sdk.notifier import (
    BaseNotifier as BaseNotifier,
)
from piper.sdk.operator import (
    BaseAsyncOperator as BaseAsyncOperator,
)
from piper.sdk.operator import (
    BaseOperator as BaseOperator,
)
from piper.sdk.params import (
    Param as Param,
)
from piper.sdk.params import (
    ParamsDict as ParamsDict,
)
from piper.sdk.retry_policy import (
    ExceptionRetryPolicy as ExceptionRetryPolicy,
)
from piper.sdk.retry_policy import (
    RetryAction as RetryAction,
)
from piper.sdk.retry_policy import (
    RetryDecision as RetryDecision,
)
from piper.sdk.retry_policy import (
    RetryPolicy as RetryPolicy,
)
from piper.sdk.retry_policy import (
    RetryRule as RetryRule,
)
from piper.sdk.sensor import (
    BaseSensorOperator as BaseSensorOperator,
)
from piper.sdk.sensor import (
    PokeReturnValue as PokeReturnValue,
)
from piper.sdk.template import (
    literal as literal,
)
from piper.sdk.timetables import (
    AssetOrTimeSchedule as AssetOrTimeSchedule,
)
from piper.sdk.timetables import (
    CronDataIntervalTimetable as CronDataIntervalTimetable,
)
from piper.sdk.timetables import (
    CronTriggerTimetable as CronTriggerTimetable,
)
from piper.sdk.timetables import (
    DeltaDataIntervalTimetable as DeltaDataIntervalTimetable,
)
from piper.sdk.timetables import (
    DeltaTriggerTimetable as DeltaTriggerTimetable,
)
from piper.sdk.timetables import (
    EventsTimetable as EventsTimetable,
)
from piper.sdk.timetables import (
    MultipleCronTriggerTimetable as MultipleCronTriggerTimetable,
)
from piper.sdk.timetables import (
    Timetable as Timetable,
)
from piper.sdk.variable import (
    Variable as Variable,
)
from piper.sdk.weights import (
    PriorityWeightStrategy as PriorityWeightStrategy,
)
from piper.sdk.xcom import (
    BaseXCom as BaseXCom,
)
from piper.sdk.xcom_arg import (
    XComArg as XComArg,
)
