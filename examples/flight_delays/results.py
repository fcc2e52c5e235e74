"""What the flight delays example has made: rows, accuracy per day, models. Run it while the demo runs, or after.

    python examples/flight_delays/results.py

Ends with 1 if there are no predictions yet.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import warehouse
from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLES = ("flights", "departures", "weather", "features", "models", "deployments", "predictions", "accuracy", "reviews")

ACCURACY = """
select cast(day as text), model_version, predicted.flights, late_share, accuracy, baseline_accuracy, auc
from (select day, model_version, count(*) as flights from predictions group by all) as predicted
    left join accuracy using (day, model_version)
order by day, model_version
"""

OVERALL = """
select
    'all', '', sum(flights)::bigint, sum(late_share * flights) / sum(flights), sum(accuracy * flights) / sum(flights),
    sum(baseline_accuracy * flights) / sum(flights), null
from accuracy
"""

MODELS = """
select
    models.model_version, models.flights, log_loss, baseline_log_loss,
    coalesce(min(cast(day as text)), 'never')
from models left join deployments using (model_version)
group by all order by models.model_version
"""


def main() -> int:
    """Print the tables."""
    console = Console()
    if not (warehouse.home() / "warehouse.duckdb").exists():
        console.print(f"There is no warehouse in {warehouse.home()} yet.")
        return 1
    with warehouse.reading() as db:
        rows, models = _rows(db), db.execute(MODELS).fetchall()
        days, overall = db.execute(ACCURACY).fetchall(), db.execute(OVERALL).fetchall()
    console.print(_table("Rows in the warehouse", ("table", "rows", "from", "to"), rows))
    heads = ("day", "model_version", "flights", "late", "accuracy", "baseline", "AUC")
    console.print(_table("Predictions, beside what came true", heads, days + overall))
    heads = ("model_version", "flights", "log loss", "baseline", "serves from")
    console.print(_table("Models, on days that they had not seen", heads, models))
    return 0 if days else 1


def _rows(db: DuckDBPyConnection) -> list[tuple[Any, ...]]:
    found = []
    for name in TABLES:
        day = "trained_on" if name == "models" else "day"
        query = f"select count(*), cast(min({day}) as text), cast(max({day}) as text) from {name}"
        found += [(name, *row) for row in db.execute(query).fetchall()]
    return found


def _table(title: str, heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, head in enumerate(heads):
        is_text = number == 0 or head in ("model_version", "from", "to")
        table.add_column(head, justify="left" if is_text else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(_shown(value) for value in row))
    return table


def _shown(value: Any) -> str:
    match value:
        case None:
            return "-"
        case float():
            return f"{value:.3f}"
        case int():
            return f"{value:,}"
        case _:
            return str(value)


if __name__ == "__main__":
    sys.exit(main())
