"""What becomes of models in the flight delays example: registered, deployed, predicting, compared with the truth.

As in `warehouse`, what is written for a day replaces what was there for that day and that model, and depends on
nothing that came later. A model version is never overwritten by another: its name says what it follows from.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warehouse import DAY, KEY, LATE_AFTER, TRAINING_DAYS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

VALIDATION_DAYS = 5
"""The latest days of those that a model may learn from are kept from it, to see how it does on them."""


@dataclass(frozen=True)
class Deployed:
    """The model that serves, and where it lies."""

    version: str
    file: Path
    sha256: str
    base_rate: float


def training_days(today: date) -> tuple[date, date]:
    """The first and the last day that today's model learns from."""
    return today - TRAINING_DAYS * DAY, today - (VALIDATION_DAYS + 1) * DAY


def validation_days(today: date) -> tuple[date, date]:
    """The first and the last day that it is tried on: later than those, all before today."""
    return today - VALIDATION_DAYS * DAY, today - DAY


def examples(db: DuckDBPyConnection, days: tuple[date, date]) -> dict[str, Any]:
    """The features of flights that have flown, with what came true (`late`), by column."""
    return db.execute(
        f"select features.*, delay > {LATE_AFTER} as late from features join departures using ({KEY})"
        f" where not cancelled and day between ? and ? order by {KEY}",
        list(days),
    ).fetchnumpy()


def features(db: DuckDBPyConnection, day: date) -> dict[str, Any]:
    """The intermediate table of one day, by column."""
    return db.execute(f"select * from features where day = ? order by {KEY}", [day]).fetchnumpy()


def register(db: DuckDBPyConnection, model: dict[str, Any], scores: dict[str, Any]) -> None:
    """Write down a model and how it did on the days that were kept from it."""
    row = {name: model[name] for name in ("model_version", "trained_on", "first_day", "last_day", "flights")}
    row |= {name: model[name] for name in ("file", "sha256", "base_rate")}
    row |= {name: scores[name] for name in ("accuracy", "baseline_accuracy", "auc", "log_loss", "baseline_log_loss")}
    db.execute("delete from models where model_version = ?", [model["model_version"]])
    places = ", ".join(f"${name}" for name in row)
    db.execute(f"insert into models ({', '.join(row)}) values ({places})", row)


def deploy(db: DuckDBPyConnection, model_version: str, day: date) -> None:
    """Let this model serve from that day on."""
    db.execute("delete from deployments where day = ?", [day])
    db.execute("insert into deployments values (?, ?)", [day, model_version])


def withdraw(db: DuckDBPyConnection, day: date) -> None:
    """Let the day be served by the model of the day before, whatever was deployed on it by an earlier run."""
    db.execute("delete from deployments where day = ?", [day])


def deployed(db: DuckDBPyConnection, day: date) -> Deployed | None:
    """The model that serves on a day: the one deployed last, on it or before it."""
    row = db.execute(
        "select model_version, file, sha256, base_rate from deployments join models using (model_version)"
        " where day <= ? order by day desc limit 1",
        [day],
    ).fetchone()
    return Deployed(row[0], Path(row[1]), row[2], row[3]) if row else None


def write_predictions(db: DuckDBPyConnection, day: date, model_version: str, probability: list[float]) -> int:
    """Store one model's predictions for a day; those of other models stay beside them.

    Arguments:
        probability: in the order of `features`.
    """
    db.execute("delete from predictions where day = ? and model_version = ?", [day, model_version])
    db.execute(
        f"insert into predictions select {KEY}, $version, $probability[n], $probability[n] > 0.5"
        f" from (select {KEY}, row_number() over (order by {KEY}) as n from features where day = $day)",
        {"day": day, "version": model_version, "probability": probability},
    )
    return len(probability)


ACCURACY = f"""
with outcomes as (
    select model_version, probability, predictions.late as predicted, delay > {LATE_AFTER} as late
    from predictions join departures using ({KEY}) where day = $day and not cancelled
), ranked as (
    -- The area under the curve is the share of pairs of a late and a punctual flight that are in the right order.
    select *, rank() over same + (count(*) over ties - 1) / 2 as place
    from outcomes
    window same as (partition by model_version order by probability),
        ties as (partition by model_version, probability)
)
select
    $day, model_version, count(*), avg(late::int), avg((predicted = late)::int), avg(((base_rate > 0.5) = late)::int),
    (sum(place) filter (late) - count(*) filter (late) * (count(*) filter (late) + 1) / 2)
        / nullif(count(*) filter (late) * count(*) filter (not late), 0)
from ranked join models using (model_version) group by model_version, base_rate
"""


def measure_accuracy(db: DuckDBPyConnection, day: date) -> list[dict[str, Any]]:
    """Compare a day's predictions, of every model that made some, with what came true; one dict per model."""
    db.execute("delete from accuracy where day = ?", [day])
    db.execute(f"insert into accuracy {ACCURACY}", {"day": day})
    found = db.execute("select * from accuracy where day = ? order by model_version", [day])
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


REVIEWS = f"""
with strata as (
    select predictions.*, origin || (case when late then ' late' else ' on time' end) as stratum
    from predictions join features using ({KEY}) where day = $day and model_version = $version
), shuffled as (
    -- By hash and not by chance, so that a second run asks people about the same flights.
    select
        *, row_number() over (partition by stratum order by md5(concat_ws('/', scheduled, carrier, flight))) as n,
        count(*) over (partition by stratum) as size, count(*) over () as total
    from strata
)
select day, model_version, scheduled, carrier, flight, stratum, probability, null
from shuffled where n <= ceil($wanted * size / total)
"""


def sample_for_review(db: DuckDBPyConnection, day: date, model_version: str, wanted: int) -> int:
    """Choose predictions for people to look at, from each airport and outcome its share; `label` is for their answer.

    What people have answered already stays. How many were chosen.
    """
    db.execute(
        "delete from reviews where day = ? and model_version = ? and label is null",
        [day, model_version],
    )
    db.execute(
        f"insert into reviews select chosen.* from ({REVIEWS}) as chosen"
        " anti join reviews using (day, model_version, scheduled, carrier, flight)",
        {"day": day, "version": model_version, "wanted": wanted},
    )
    row = db.execute(
        "select count(*) from reviews where day = ? and model_version = ?", [day, model_version]
    ).fetchone()
    assert row is not None
    return int(row[0])
