"""The flight delays example without its workflows: what every task may rely on, on the real data."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).parents[3] / "examples" / "flight_delays"
MONDAY = date(2013, 7, 22)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def example() -> Iterator[SimpleNamespace]:
    """The example's modules, found as a bundle's are: by its folder."""
    sys.path.insert(0, str(FOLDER))
    names = ("warehouse", "registry", "model", "results")
    modules: dict[str, ModuleType] = {name: importlib.import_module(name) for name in names}
    yield SimpleNamespace(**modules)
    sys.path.remove(str(FOLDER))
    for name in names:
        del sys.modules[name]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLIGHT_DELAYS_HOME", str(tmp_path))
    return tmp_path


def ingest(example: Any, day: date) -> None:
    for source in example.warehouse.SOURCES.values():
        with example.warehouse.writing() as db:
            example.warehouse.ingest(db, source, day)


def build(example: Any, day: date) -> None:
    with example.warehouse.writing() as db:
        example.warehouse.build_features(db, day)


def learn(example: Any, day: date) -> bool:
    """Train, validate, deploy or keep, predict, compare: a run of the third workflow. Whether it deployed."""
    warehouse, registry, model = example.warehouse, example.registry, example.model
    with warehouse.reading() as db:
        examples = registry.examples(db, registry.training_days(day))
        unseen = registry.examples(db, registry.validation_days(day))
        serving = registry.deployed(db, day - DAY)
    trained = model.train(examples, str(day))
    file, sha256 = model.save(trained, warehouse.home() / "models")
    late = unseen["late"].astype(bool)
    scores = model.score(model.predict(trained, unseen), late, trained.base_rate)
    better = scores.better_than_baseline
    if serving:
        known = model.load(serving.file, serving.sha256)
        better = better and scores.log_loss <= model.score(model.predict(known, unseen), late, known.base_rate).log_loss
    first, last = registry.training_days(day)
    row = {"model_version": trained.version, "trained_on": day, "first_day": first, "last_day": last}
    row |= {"flights": len(examples["late"]), "file": file.name, "sha256": sha256, "base_rate": trained.base_rate}
    with warehouse.writing() as db:
        registry.register(db, row | {"file": str(file)}, scores.as_numbers())
        if better:
            registry.deploy(db, trained.version, day)
        now = registry.deployed(db, day)
        probability = model.predict(model.load(now.file, now.sha256), registry.features(db, day))
        rows = registry.write_predictions(db, day, now.version, probability.tolist())
        registry.sample_for_review(db, day, now.version, model.sample_size(rows))
        registry.measure_accuracy(db, day - DAY)
    return bool(better)


def contents(example: Any, *tables: str) -> dict[str, list[tuple[Any, ...]]]:
    with example.warehouse.reading() as db:
        return {table: db.execute(f"select * from {table} order by all").fetchall() for table in tables}


def test_every_stage_run_twice_leaves_the_tables_as_they_were(example: Any, home: Path) -> None:
    tables = example.results.TABLES
    for day in (MONDAY, MONDAY + DAY):
        ingest(example, day)
        build(example, day)
        learn(example, day)
    once = contents(example, *tables)
    for day in (MONDAY, MONDAY + DAY):
        ingest(example, day)
        build(example, day)
        learn(example, day)
    assert contents(example, *tables) == once
    assert {table: len(rows) for table, rows in once.items() if table in ("predictions", "accuracy", "models")} == {
        "predictions": 1997,
        "accuracy": 1,
        "models": 2,
    }


def test_days_may_run_in_any_order(example: Any, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tables = ("flights", "departures", "weather", "features")
    for day in (MONDAY, MONDAY + DAY, MONDAY + 2 * DAY):
        ingest(example, day)
        build(example, day)
    in_order = contents(example, *tables)
    monkeypatch.setenv("FLIGHT_DELAYS_HOME", str(tmp_path / "other"))
    for day in (MONDAY + 2 * DAY, MONDAY, MONDAY + DAY):
        ingest(example, day)
    for day in (MONDAY + DAY, MONDAY + 2 * DAY, MONDAY):
        build(example, day)
    assert contents(example, *tables) == in_order


def test_features_know_nothing_of_their_own_day_or_later(example: Any, home: Path) -> None:
    ingest(example, MONDAY)
    build(example, MONDAY)
    before = contents(example, "features")
    ingest(example, MONDAY + DAY)  # brings Monday's departures and weather
    with example.warehouse.writing() as db:
        db.execute("update departures set delay = 999 where day >= ?", [MONDAY])
        db.execute("update weather set pressure = 0, rain = 99 where day >= ?", [MONDAY])
    build(example, MONDAY)
    assert contents(example, "features") == before


def test_what_a_task_began_to_write_is_not_there_if_it_fails(example: Any, home: Path) -> None:
    ingest(example, MONDAY)
    before = contents(example, "flights")
    with pytest.raises(ZeroDivisionError), example.warehouse.writing() as db:
        db.execute("delete from flights").fetchone()[0] / 0
    assert contents(example, "flights") == before


def test_a_partition_that_is_empty_or_has_a_flight_twice_is_found(example: Any, home: Path) -> None:
    ingest(example, MONDAY)
    with example.warehouse.writing() as db:
        assert example.warehouse.check_partition(db, "flights", MONDAY) == 1000
        assert example.warehouse.check_partition(db, "weather", MONDAY - DAY) == 72
        with pytest.raises(ValueError, match=r"flights has no rows for 2014-01-01"):
            example.warehouse.check_partition(db, "flights", date(2014, 1, 1))
        db.execute("insert into flights select * from flights where day = ? limit 2", [MONDAY])
        with pytest.raises(ValueError, match=r"flights has 2 rows twice"):
            example.warehouse.check_partition(db, "flights", MONDAY)


def test_the_week_of_the_demo_has_models_that_are_deployed_and_models_that_are_not(example: Any, home: Path) -> None:
    deployed = []
    for n in range(7):
        ingest(example, MONDAY + n * DAY)
        build(example, MONDAY + n * DAY)
        deployed.append(learn(example, MONDAY + n * DAY))
    assert deployed == [True, True, True, True, False, False, False]
    with example.warehouse.reading() as db:
        query = "select sum(accuracy * flights) / sum(flights), sum(baseline_accuracy * flights) / sum(flights)"
        (accuracy, baseline), *_ = db.execute(f"{query} from accuracy").fetchall()
        (least,), *_ = db.execute("select min(auc) from accuracy").fetchall()
        unknown = db.execute("select * from predictions anti join models using (model_version)").fetchall()
    assert accuracy > baseline + 0.03
    assert least > 0.6
    assert unknown == []
    assert example.results.main() == 0


def test_accuracy_counts_what_came_true(example: Any, home: Path) -> None:
    with example.warehouse.writing() as db:
        rows = [(100, 0.9), (20, 0.4), (16, 0.6), (15, 0.4), (0, 0.1), (None, 0.9)]
        for flight, (delay, probability) in enumerate(rows):
            key = [MONDAY, MONDAY, "XX", flight]
            db.execute("insert into departures values (?, ?, ?, ?, ?, ?)", [*key, delay, delay is None])
            db.execute("insert into predictions values (?, ?, ?, ?, 'm', ?, ?)", [*key, probability, probability > 0.5])
        db.execute("insert into models (model_version, base_rate) values ('m', 0.2)")
        (found,) = example.registry.measure_accuracy(db, MONDAY)
    assert found == {
        "day": MONDAY,
        "model_version": "m",
        "flights": 5,
        "late_share": pytest.approx(0.6),
        "accuracy": pytest.approx(0.8),
        "baseline_accuracy": pytest.approx(0.4),
        "auc": pytest.approx(5.5 / 6),  # of six pairs five are in order and one is a tie
    }


def test_a_review_sample_takes_its_share_of_every_stratum_and_keeps_answers(example: Any, home: Path) -> None:
    ingest(example, MONDAY)
    build(example, MONDAY)
    warehouse, registry = example.warehouse, example.registry
    with warehouse.writing() as db:
        probability = [n / 1000 for n in range(1000)]
        registry.write_predictions(db, MONDAY, "m", probability)
        chosen = registry.sample_for_review(db, MONDAY, "m", 280)
        strata = db.execute("select stratum, count(*) from reviews group by all").fetchall()
        db.execute("update reviews set label = true where flight % 2 = 0")
        (answered,), *_ = db.execute("select count(*) from reviews where label").fetchall()
        assert registry.sample_for_review(db, MONDAY, "m", 280) == chosen
        assert db.execute("select count(*) from reviews where label").fetchall() == [(answered,)]
    assert 280 <= chosen <= 286
    assert len(strata) == 6
    assert min(number for _, number in strata) >= 30


def test_the_sample_is_as_large_as_its_statistics_ask(example: Any) -> None:
    assert [example.model.sample_size(n) for n in (0, 1, 1000, 1_000_000)] == [0, 1, 278, 384]


def test_the_same_rows_make_the_same_model_and_other_rows_another(example: Any, home: Path) -> None:
    ingest(example, MONDAY)
    build(example, MONDAY)
    with example.warehouse.reading() as db:
        examples = example.registry.examples(db, (MONDAY - 8 * DAY, MONDAY - 2 * DAY))
    one, other = example.model.train(examples, "x"), example.model.train(examples, "x")
    assert one.version == other.version
    assert np.array_equal(example.model.predict(one, examples), example.model.predict(other, examples))
    examples["late"] = ~examples["late"].astype(bool)
    assert example.model.train(examples, "x").version != one.version


def test_a_model_file_that_is_not_the_registered_one_is_not_loaded(example: Any, tmp_path: Path) -> None:
    file = tmp_path / "model.joblib"
    file.write_bytes(b"anything")
    with pytest.raises(ValueError, match="is not the model that was registered"):
        example.model.load(file, "0" * 64)
