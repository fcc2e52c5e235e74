"""The public names."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import piper.sdk
from piper.sdk import _HOMES, _NOT_YET

AIRFLOW = """
__version__ AllowedKeyMapper Asset AssetAccessControl AssetAlias AssetAll AssetAny AssetWatcher AssetOrTimeSchedule
PartitionedAtRuntime PartitionedAssetTimetable AsyncCallback SyncCallback BaseAsyncOperator BaseOperator chain
chain_linear cross_downstream BaseBranchOperator BranchMixIn BaseDeadlineReference DeadlineAlert DeadlineReference
deadline_reference BaseHook BaseNotifier BaseOperatorLink BaseSensorOperator PokeReturnValue BaseXCom ChainMapper
Connection Context get_current_context get_parsing_context CronDataIntervalTimetable DeltaDataIntervalTimetable
CronTriggerTimetable CronPartitionTimetable DeltaTriggerTimetable MultipleCronTriggerTimetable DAG dag DagRunState
TaskInstanceState TriggerRule WeightRule DayWindow HourWindow MonthWindow QuarterWindow SegmentWindow WeekWindow
Window YearWindow EdgeModifier Label EventsTimetable ExceptionRetryPolicy RetryAction RetryDecision RetryPolicy
RetryRule FanOutMapper StartOfDayMapper StartOfHourMapper StartOfMonthMapper StartOfQuarterMapper StartOfWeekMapper
StartOfYearMapper FixedKeyMapper IdentityMapper Metadata MinimumCount WaitForAll NEVER_EXPIRE ObjectStoragePath Param
ParamsDict PartitionMapper RollupMapper ProductMapper ResumableJobMixin SkipMixin TaskGroup TaskInstance Variable
XComArg asset conf literal lineage macros result setup task task_group teardown
""".split()  # noqa: SIM905 - 98 lines otherwise


def test_every_name_of_airflow_is_there_or_says_that_it_is_not_there_yet() -> None:
    assert len(AIRFLOW) == 98
    assert set(AIRFLOW) <= _HOMES.keys() | _NOT_YET.keys()
    assert not _HOMES.keys() & _NOT_YET.keys()


@pytest.mark.parametrize("name", sorted(_HOMES))
def test_a_name_leads_to_what_it_names(name: str) -> None:
    module, _, attribute = _HOMES[name].partition(":")
    found = getattr(piper.sdk, name)
    assert found is (
        importlib.import_module(f"{module}.macros")
        if name == "macros"
        else getattr(importlib.import_module(module), attribute)
    )


@pytest.mark.parametrize("name", sorted(_NOT_YET))
def test_a_name_of_later_says_so_in_one_line_with_the_nearest(name: str) -> None:
    nearest = _NOT_YET[name][1]
    assert nearest in _HOMES
    with pytest.raises(ImportError, match=f"piper.sdk has no {name} yet: .*; the nearest is {nearest}$"):
        getattr(piper.sdk, name)


def test_other_names_are_no_attributes() -> None:
    assert not hasattr(piper.sdk, "nothing")
    assert {"DAG", "task"} <= set(dir(piper.sdk))


def test_importing_a_part_does_not_hide_a_name() -> None:
    for path in Path(piper.sdk.__file__ or "").parent.glob("*.py"):
        assert path.stem not in _HOMES, f"a module called {path.stem} would hide the name"


def test_type_checkers_see_the_same_names() -> None:
    stub = Path(piper.sdk.__file__ or "").with_suffix(".pyi")
    seen: dict[str, str] = {}
    for statement in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                seen[alias.asname or alias.name] = f"{statement.module}:{alias.name}"
    assert seen == _HOMES
