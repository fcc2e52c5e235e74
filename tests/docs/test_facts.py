"""What the documents say about the code, and the code says otherwise one day."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from itertools import islice, takewhile
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from bench.goals import GOALS
from bench.peers import COMPARABLE
from bench.report import rows
from docs.sections import DOCS

from piper import telemetry
from piper.model.schedule import CronTimetable
from piper.model.states import TriggerRule
from piper.sdk.execution.context import KNOWN_CONTEXT_KEYS
from piper.settings import describe_settings, load_settings
from piper.timetables import ticks_after
from tests.architecture.source import ROOT, modules_of
from tests.docs.documents import documents

ZONE = "Europe/Zurich"
HALF_A_DAY = timedelta(hours=12)


def table_below(text: str, mark: str) -> Iterator[list[str]]:
    """The cells of the table that follows a mark, its head left out."""
    lines = takewhile(lambda line: line.startswith("|"), text.partition(mark)[2].strip().splitlines())
    for line in list(lines)[2:]:
        yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_the_guide_tells_when_cron_fires_where_clocks_change() -> None:
    guide = (DOCS / "guide" / "schedules.md").read_text()
    days = {"29 March": datetime(2026, 3, 28, 23, tzinfo=UTC), "25 October": datetime(2026, 10, 24, 22, tzinfo=UTC)}
    checked = 0
    for expression, day, piper, _airflow in table_below(guide, "<!-- clock changes -->"):
        if day not in days:
            continue
        begin = days[day] - timedelta(minutes=1)
        following = islice(ticks_after(CronTimetable((expression.strip("`"),), ZONE), begin), 10)
        ticks = [tick for tick in following if tick.astimezone(ZoneInfo(ZONE)).hour < 5 and tick - begin < HALF_A_DAY]
        said = re.findall(r"(\d\d:\d\d) \((\d\d:\d\d)\)", piper)
        assert said == [(f"{t.astimezone(ZoneInfo(ZONE)):%H:%M}", f"{t:%H:%M}") for t in ticks], expression
        checked += 1
    assert checked == 4


def test_the_guide_tells_every_key_of_the_context() -> None:
    guide = (DOCS / "guide" / "templates.md").read_text()
    rows = table_below(guide, "<!-- context keys -->")
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert told == KNOWN_CONTEXT_KEYS


def test_the_guide_tells_every_trigger_rule() -> None:
    guide = (DOCS / "guide" / "dependencies.md").read_text()
    told = {name for row in table_below(guide, "by its *trigger rule*:") for name in re.findall(r"`(\w+)`", row[0])}
    assert told == set(TriggerRule)


def test_every_metric_is_told() -> None:
    told = {row[0].strip("`") for row in table_below((DOCS / "operations.md").read_text(), "workflow, task or team.")}
    assert told == set(re.findall(r"^    (piper_\w+)", telemetry.__doc__ or "", re.MULTILINE))


def test_every_setting_acts_on_something() -> None:
    code = "\n".join(
        path.read_text() for path in modules_of("piper") if path.name != "settings.py" or path.parent.name == "worker"
    )
    properties = {
        "core.airflow_mode": "for_files",
        "core.plugins_folder": "plugins",
        "database.url": "database_url",
    }
    idle = set()
    for setting in describe_settings():
        section, key = setting.name.split(".")
        key = properties.get(setting.name, key)
        if not re.search(rf"\b(settings\.{section}|settings|told|{section})\.{key}\b(?! import)", code):
            idle.add(setting.name)
    assert idle <= {"executor.backend"}, "there is one engine yet"


def test_settings_that_are_shown_are_settings(tmp_path: Path) -> None:
    shown = [
        text
        for path in documents()
        for text in re.findall(r"^```toml\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)
    ]
    assert shown
    for text in shown:
        (tmp_path / "piper.toml").write_text(text)
        assert load_settings({"PIPER_HOME": str(tmp_path)}).origins


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_make_target_of_the_documents_exists(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split())
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(), re.MULTILINE))
    assert named - targets == set()


def test_contributing_tells_every_verb_but_help_itself() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)) - {"help"}
    told = set(re.findall(r"^\| `make ([a-z-]+)", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE))
    assert targets - told == set()


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_name_of_the_code_that_a_document_uses_exists(path: Path) -> None:
    settings = {setting.name for setting in describe_settings()}
    packages = {found.stem for found in (ROOT / "src" / "piper").iterdir()}
    named = set(re.findall(r"`(?:piper\.)?([a-z_]+(?:\.\w+)+)", path.read_text())) - settings
    ours = {name for name in named if name.partition(".")[0] in packages and not name.endswith(".py")}
    assert {name for name in ours if not exists(f"piper.{name}")} == set()


def exists(name: str) -> bool:
    """Whether a dotted name is a module, or leads from one to something in it."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def test_the_architecture_page_places_every_layer() -> None:
    page = (DOCS / "architecture.md").read_text().partition("## Layers")[2].partition("## ")[0]
    placed = set(re.findall(r"\w+", page.partition("```text")[2].partition("```")[0]))
    packages = {path.parent.name for path in (ROOT / "src" / "piper").glob("*/__init__.py")}
    modules = {path.stem for path in (ROOT / "src" / "piper").glob("*.py")} - {"__init__", "__main__"}
    assert (packages | modules) - placed == set()


def test_every_figure_with_a_goal_is_told_and_reported() -> None:
    page = (DOCS / "benchmarks.md").read_text()
    told = set(re.findall(r"`(\w+\.\w+)`", page)) | {"chain_50.hop_p99_s"}  # told as …p99_s
    assert GOALS.keys() - told == set()
    assert set(COMPARABLE) - GOALS.keys() == set()
    measured = {"startup.ready_s": {"value": 3.0, "unit": "s", "runs": [2.0, 3.0, 4.0]}}
    reported = {row[0]: row for row in rows(measured)}
    assert reported.keys() == GOALS.keys()
    assert reported["startup.ready_s"][3:5] == ("3 (2–4) s", "NO")
    assert reported["system.pss_mb"][3:5] == ("–", "")
