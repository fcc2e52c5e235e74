"""Which names there are, in which mode, and what is said about those that there are not (airflow-semantics §2)."""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from piper import compat
from piper.compat.finder import DeprecatedImportWarning
from piper.compat.tables import LACKING, Row, former_texts, table_for
from piper.compat.tables.language import LANGUAGE
from piper.compat.tables.library import LIBRARY
from piper.compat.tables.moved import MOVED
from piper.model.errors import AuthorError
from piper.sdk import DAG, Asset, BaseOperator, task
from tests.unit.compat.conftest import Load

ALL_98 = [
    "__version__",
    "AllowedKeyMapper",
    "Asset",
    "AssetAccessControl",
    "AssetAlias",
    "AssetAll",
    "AssetAny",
    "AssetWatcher",
    "AssetOrTimeSchedule",
    "PartitionedAtRuntime",
    "PartitionedAssetTimetable",
    "AsyncCallback",
    "SyncCallback",
    "BaseAsyncOperator",
    "BaseOperator",
    "chain",
    "chain_linear",
    "cross_downstream",
    "BaseBranchOperator",
    "BranchMixIn",
    "BaseDeadlineReference",
    "DeadlineAlert",
    "DeadlineReference",
    "deadline_reference",
    "BaseHook",
    "BaseNotifier",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "PokeReturnValue",
    "BaseXCom",
    "ChainMapper",
    "Connection",
    "Context",
    "get_current_context",
    "get_parsing_context",
    "CronDataIntervalTimetable",
    "DeltaDataIntervalTimetable",
    "CronTriggerTimetable",
    "CronPartitionTimetable",
    "DeltaTriggerTimetable",
    "MultipleCronTriggerTimetable",
    "DAG",
    "dag",
    "DagRunState",
    "TaskInstanceState",
    "TriggerRule",
    "WeightRule",
    "DayWindow",
    "HourWindow",
    "MonthWindow",
    "QuarterWindow",
    "SegmentWindow",
    "WeekWindow",
    "Window",
    "YearWindow",
    "EdgeModifier",
    "Label",
    "EventsTimetable",
    "ExceptionRetryPolicy",
    "RetryAction",
    "RetryDecision",
    "RetryPolicy",
    "RetryRule",
    "FanOutMapper",
    "StartOfDayMapper",
    "StartOfHourMapper",
    "StartOfMonthMapper",
    "StartOfQuarterMapper",
    "StartOfWeekMapper",
    "StartOfYearMapper",
    "FixedKeyMapper",
    "IdentityMapper",
    "Metadata",
    "MinimumCount",
    "WaitForAll",
    "NEVER_EXPIRE",
    "ObjectStoragePath",
    "Param",
    "ParamsDict",
    "PartitionMapper",
    "RollupMapper",
    "ProductMapper",
    "ResumableJobMixin",
    "SkipMixin",
    "TaskGroup",
    "TaskInstance",
    "Variable",
    "XComArg",
    "asset",
    "conf",
    "literal",
    "lineage",
    "macros",
    "result",
    "setup",
    "task",
    "task_group",
    "teardown",
]


def names_of(tables: dict[str, str]) -> list[tuple[str, str]]:
    return [(module, name) for module, text in tables.items() for name in Row(text).names]


# --- what there is --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("name", ALL_98)
def test_each_of_the_98_names_of_the_sdk_is_there_or_says_what_is_lacking(name: str) -> None:
    sdk = import_module("airflow.sdk")
    try:
        found = getattr(sdk, name)
    except ImportError as error:
        assert str(error).startswith(f"Piper has no airflow.sdk.{name}: ")  # noqa: PT017
        assert "; the nearest is " in str(error)  # noqa: PT017
    else:
        assert found is not None


@pytest.mark.usefixtures("strict")
@pytest.mark.filterwarnings("ignore::piper.compat.finder.DeprecatedImportWarning")
@pytest.mark.parametrize(("module", "name"), names_of(LANGUAGE | LIBRARY | MOVED))
def test_every_name_of_today_is_there_or_says_what_is_lacking(module: str, name: str) -> None:
    assert_resolves(module, name)


@pytest.mark.usefixtures("lenient")
@pytest.mark.filterwarnings("ignore::piper.compat.finder.DeprecatedImportWarning")
@pytest.mark.parametrize(("module", "name"), names_of(former_texts()))
def test_every_former_name_is_there_in_the_lenient_mode(module: str, name: str) -> None:
    assert_resolves(module, name)


def assert_resolves(module: str, name: str) -> None:
    try:
        getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        assert "which is not installed: pip install --no-deps apache-airflow-providers-" in str(error)  # noqa: PT017
    except ImportError as error:
        assert any(f": {why}; the nearest is {nearest}" in str(error) for why, nearest in LACKING.values())  # noqa: PT017


@pytest.mark.usefixtures("strict")
def test_names_are_the_same_objects_under_every_path() -> None:
    import airflow
    import airflow.providers.common.compat.sdk as compat_sdk
    import airflow.sdk.definitions.asset
    import airflow.sdk.timezone

    assert airflow.DAG is airflow.sdk.DAG is compat_sdk.DAG is DAG
    assert airflow.sdk.definitions.asset.Asset is airflow.Dataset is Asset
    assert airflow.sdk.timezone is import_module("piper.sdk.timezone") is compat_sdk.timezone
    assert import_module("piper.sdk.timezone").__spec__.name == "piper.sdk.timezone"
    assert airflow.__version__ == "3.3.2"


@pytest.mark.usefixtures("strict")
def test_a_star_import_gives_the_names_that_there_are() -> None:
    names: dict[str, Any] = {}
    exec("from airflow.sdk.bases.sensor import *", names)
    assert {"BaseSensorOperator", "PokeReturnValue", "poke_mode_only"} <= names.keys()
    exec("from airflow.exceptions import *", names)
    assert {"AirflowSkipException", "DagRunNotFound"} <= names.keys()


def test_the_tables_are_read_when_something_of_airflow_is_imported_and_not_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables = [f"piper.compat.tables.{name}" for name in ("former", "language", "library", "moved", "provided")]
    for name in tables:
        monkeypatch.delitem(sys.modules, name, raising=False)
    table_for.cache_clear()
    compat.install()
    DAG("d", schedule="@daily")
    assert not set(tables) & sys.modules.keys()
    import_module("airflow.sdk")
    assert set(tables) <= sys.modules.keys()


@pytest.mark.usefixtures("strict")
def test_importing_a_name_imports_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("piper.operators")]:
        monkeypatch.delitem(sys.modules, name)
    from airflow.providers.standard.operators.empty import EmptyOperator  # noqa: F401

    assert [name for name in sys.modules if name.startswith("piper.operators.")] == ["piper.operators.empty"]
    monkeypatch.delitem(sys.modules, "piper.operators.empty")


# --- names that have changed ----------------------------------------------------------------------------


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize(
    ("module", "name", "now"),
    [
        ("airflow.decorators", "task", "airflow.sdk.task"),
        ("airflow.operators.python", "PythonOperator", "airflow.providers.standard.operators.python.PythonOperator"),
        ("airflow.operators.empty", "EmptyOperator", "airflow.providers.standard.operators.empty.EmptyOperator"),
        ("airflow.sensors.base", "BaseSensorOperator", "airflow.sdk.bases.sensor.BaseSensorOperator"),
        ("airflow.sensors.filesystem", "FileSensor", "airflow.providers.standard.sensors.filesystem.FileSensor"),
        ("airflow.models.baseoperator", "BaseOperator", "airflow.sdk.bases.operator.BaseOperator"),
        ("airflow.models.param", "Param", "airflow.sdk.Param"),
        ("airflow.hooks.base", "BaseHook", "airflow.sdk.bases.hook.BaseHook"),
        (
            "airflow.triggers.temporal",
            "DateTimeTrigger",
            "airflow.providers.standard.triggers.temporal.DateTimeTrigger",
        ),
        ("airflow.utils.task_group", "TaskGroup", "airflow.sdk.TaskGroup"),
        ("airflow.utils.trigger_rule", "TriggerRule", "airflow.task.trigger_rule.TriggerRule"),
        ("airflow.utils.timezone", "utcnow", "airflow.sdk.timezone.utcnow"),
        ("airflow.notifications.basenotifier", "BaseNotifier", "airflow.sdk.bases.notifier.BaseNotifier"),
        ("airflow.macros", "ds_add", "airflow.sdk.execution_time.macros.ds_add"),
    ],
)
def test_a_name_that_has_moved_works_and_its_warning_says_where_to(module: str, name: str, now: str) -> None:
    with pytest.warns(DeprecatedImportWarning, match=f"{module}.{name} is {now} now"):
        found = getattr(import_module(module), name)
    home, _, last = now.rpartition(".")
    assert found is getattr(import_module(home), last)


FORMER_NAMES = [
    ("airflow.operators.dummy", "DummyOperator", "airflow.providers.standard.operators.empty.EmptyOperator"),
    ("airflow.operators.dummy_operator", "DummyOperator", "airflow.providers.standard.operators.empty.EmptyOperator"),
    ("airflow.operators.bash_operator", "BashOperator", "airflow.providers.standard.operators.bash.BashOperator"),
    ("airflow.operators.python_operator", "PythonOperator", "operators.python.PythonOperator"),
    ("airflow.operators.dagrun_operator", "TriggerDagRunOperator", "operators.trigger_dagrun.TriggerDagRunOperator"),
    ("airflow.operators.latest_only_operator", "LatestOnlyOperator", "operators.latest_only.LatestOnlyOperator"),
    ("airflow.sensors.external_task_sensor", "ExternalTaskSensor", "sensors.external_task.ExternalTaskSensor"),
    ("airflow.sensors.base_sensor_operator", "BaseSensorOperator", "airflow.sdk.bases.sensor.BaseSensorOperator"),
    ("airflow.contrib.sensors.file_sensor", "FileSensor", "sensors.filesystem.FileSensor"),
    ("airflow.datasets", "Dataset", "airflow.sdk.Asset"),
    ("airflow.datasets", "DatasetAlias", "airflow.sdk.AssetAlias"),
    ("airflow.hooks.base_hook", "BaseHook", "airflow.sdk.bases.hook.BaseHook"),
    ("airflow.utils.dates", "days_ago", "a fixed start_date"),
    ("airflow.utils.decorators", "apply_defaults", "nothing"),
    ("airflow.utils.helpers", "chain", "airflow.sdk.chain"),
    ("airflow.models.dag", "DagParam", "airflow.sdk.definitions.param.DagParam"),
]


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize(("module", "name", "now"), FORMER_NAMES)
def test_a_former_name_works_in_the_lenient_mode_and_its_warning_says_what_to_use(
    module: str, name: str, now: str
) -> None:
    with pytest.warns(DeprecatedImportWarning, match=now):
        assert getattr(import_module(module), name) is not None


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize(("module", "name", "now"), FORMER_NAMES)
def test_a_former_name_is_an_import_error_in_the_strict_mode(module: str, name: str, now: str) -> None:
    with pytest.raises(ImportError):
        exec(f"from {module} import {name}")


@pytest.mark.usefixtures("lenient")
@pytest.mark.filterwarnings("ignore::piper.compat.finder.DeprecatedImportWarning")
def test_a_dummy_operator_keeps_its_type_and_is_passed_without_a_worker() -> None:
    from airflow.operators.dummy_operator import DummyOperator

    dummy = DummyOperator(task_id="x", dag=DAG("d"))
    assert (dummy.task_type, dummy.inert) == ("DummyOperator", True)


@pytest.mark.usefixtures("lenient")
def test_each_file_is_told_of_its_former_names_by_line(load: Load) -> None:
    text = """
        from airflow.operators.bash_operator import BashOperator
        from airflow.utils.dates import days_ago
    """
    for _ in range(2):  # in one process, as the files of a test run are
        said = load(text).warnings
        assert [line.partition(": ")[0] for line in said] == ["flows.py:2", "flows.py:3"]
        assert "airflow.providers.standard.operators.bash.BashOperator" in said[0]


# --- names that there are not ---------------------------------------------------------------------------


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "from airflow.sdk import AssetWatcher",
            "ImportError: Piper has no airflow.sdk.AssetWatcher: asset watchers come later; the nearest is Asset",
        ),
        (
            "from airflow.providers.standard.operators.hitl import HITLOperator",
            (
                "Piper has no airflow.providers.standard.operators.hitl.HITLOperator: human in the loop comes later; "
                "the nearest is BranchPythonOperator"
            ),
        ),
        (
            "from airflow.sdk import BaseOprator",
            "ImportError: Piper has no airflow.sdk.BaseOprator (did you mean 'BaseOperator'?)",
        ),
        (
            "import airflow.operators.pyhton",
            "ModuleNotFoundError: Piper has no airflow.operators.pyhton (did you mean 'airflow.operators.python'?)",
        ),
        (
            "from airflow.operators.dummy import X",
            "Piper has no airflow.operators.dummy (did you mean 'airflow.operators",
        ),
        (
            "from airflow.operators.bash import PythonOperator",
            (
                "Piper has no airflow.operators.bash.PythonOperator: import it from "
                "airflow.providers.standard.operators.python"
            ),
        ),
        (
            "from airflow.operators import GithubToS3Operator",
            "Piper has no airflow.operators.GithubToS3Operator: import it from the module that defines it",
        ),
        (
            "from airflow.www import utils",
            "Piper has no airflow.www: it is inside Airflow; the nearest is the REST API",
        ),
        (
            "from airflow.providers.postgres.hooks.postgres import PostgresHook",
            (
                "airflow.providers.postgres.hooks.postgres is not installed: "
                "pip install --no-deps apache-airflow-providers-postgres"
            ),
        ),
        (
            "import airflow.providers.google.cloud.hooks.gcs",
            (
                "airflow.providers.google.cloud.hooks.gcs is not installed: "
                "pip install --no-deps apache-airflow-providers-google"
            ),
        ),
        (
            "from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator",
            "pip install --no-deps apache-airflow-providers-cncf-kubernetes",
        ),
    ],
)
def test_a_file_that_wants_a_name_which_there_is_not_fails_with_one_line_about_it(
    line: str, message: str, load: Load
) -> None:
    with pytest.raises(AuthorError) as caught:
        load(line)
    assert caught.value.line == 1
    for part in message.split(".*"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("lenient")
def test_a_former_name_of_another_provider_says_what_to_install() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"pip install --no-deps apache-airflow-providers-postgres$"):
        exec("from airflow.hooks.postgres_hook import PostgresHook")


@pytest.mark.usefixtures("lenient")
def test_the_packages_of_airflow_1_have_the_names_of_their_modules(load: Load) -> None:
    text = "from airflow.sensors import ExternalTaskSensor\nfrom airflow.operators import LatestOnlyOperator"
    said = load(text).warnings
    assert ["airflow.providers.standard" in line for line in said] == [True, True]
    with pytest.raises(ModuleNotFoundError, match=r"airflow.hooks.S3Hook is airflow.providers.amazon.aws.hooks.s3.S3"):
        exec("from airflow.hooks import S3Hook")
    names: dict[str, Any] = {}
    with pytest.warns(DeprecatedImportWarning):
        exec("from airflow.operators import *", names)
    assert {"BashOperator", "ExternalTaskSensor"} <= names.keys()
    assert "HiveOperator" not in names  # its provider is not installed


def test_importing_airflow_alone_leads_to_its_modules_in_the_lenient_mode_only(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
        import airflow
        from airflow.operators import bash_operator

        start = airflow.utils.dates.days_ago(3)
        with airflow.models.DAG("d", start_date=start):
            airflow.operators.bash_operator.BashOperator(task_id="a", bash_command="true")
    """
    assert "d" in load(text).dags
    compat.uninstall()
    monkeypatch.setenv(compat.VARIABLE, "strict")
    with pytest.raises(AuthorError, match="bash_operator"):
        load(text)
    with pytest.raises(AuthorError, match="module 'airflow' has no attribute 'utils'"):
        load("import airflow\nairflow.utils.dates.days_ago(3)")


@pytest.mark.usefixtures("lenient")
def test_a_provider_that_lacks_a_former_name_is_told_from_one_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operators = tmp_path / "airflow/providers/mysql/operators"
    operators.mkdir(parents=True)
    (operators / "cargo.py").write_text("import no_such_library")
    (operators / "hive.py").write_text("Other = 1")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="which the installed apache-airflow-providers-mysql does not have"):
        exec("from airflow.hooks.mysql_hook import MySqlHook")
    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_library'"):
        import_module("airflow.providers.mysql.operators.cargo")


@pytest.mark.usefixtures("lenient")
def test_what_is_gone_for_good_names_what_there_is_in_its_place() -> None:
    with pytest.raises(ImportError, match="subdags are gone; the nearest is TaskGroup"):
        exec("from airflow.operators.subdag import SubDagOperator")


@pytest.mark.usefixtures("strict")
def test_names_of_the_metadata_database_can_be_imported_and_say_what_is_the_matter_when_used() -> None:
    from airflow.models import DagModel, DagRun, TaskInstance
    from airflow.utils.session import create_session, provide_session

    assert isinstance(TaskInstance, type)
    assert isinstance(DagRun, type)

    @provide_session
    def count(session: Any = None) -> int:
        return len(session)

    assert count(session=[1]) == 1
    for use in (count, create_session, DagModel, lambda: DagModel.get_current("x")):
        with pytest.raises(RuntimeError, match="Direct database access via the ORM is not allowed"):
            use()


def test_without_the_import_layer_there_is_no_airflow() -> None:
    with warnings.catch_warnings(), pytest.raises(ModuleNotFoundError):
        import_module("airflow")
    assert BaseOperator is not None
    assert task is not None
