"""What others took for the same work, measured on this kind of machine, and which of it compares with which figure.

Measured on 2026-11-20: 2 cores, 24 GiB, Python 3.11.7; PostgreSQL 15 and Redis on the same machine where a peer needs
them. Most are one or two runs: differences under 15 % are noise. Not measured again by `make bench`.
"""

from __future__ import annotations

from typing import NamedTuple


class Peer(NamedTuple):
    """One system in one configuration. Walls in seconds, as measured; empty where it was not."""

    name: str
    configuration: str
    chain_40_fib10: str
    chain_10_fib33: str
    fanout_500: str
    fanout_500_rate: str
    chain_50: str
    peak_pss_mb: str


PEERS = (
    Peer("Airflow 3.3.2", "stock, LocalExecutor 32", "40.8–45.8", "14.1", "80.3", "6.25", "51", "2,296"),
    Peer("Airflow 3.3.2", "scheduler_idle_sleep_time=0", "18.4–20.8", "8.3", "", "8.8 (200 wide)", "15.2", "2,092"),
    Peer("Celery 5.7", "Redis, acks_late, 2 processes", "0.09", "4.2", "1.4", "360", "0.12–0.18", "126"),
    Peer("Celery 5.7", "Redis, default acks, 2 processes", "0.08", "4.1", "1.2–1.4", "385", "0.10–0.18", "126"),
    Peer("DBOS 3.4", "steps of one workflow", "0.09–0.12", "4.3", "", "", "0.12–0.15", "180"),
    Peer("DBOS 3.4", "a queue per task, defaults", "40.4", "10.1", "5.1–6.2", "81–98", "50.5", "228"),
    Peer("DBOS 3.4", "the same, polling every 50/20 ms", "2.3", "5.0", "3.3", "150", "2.9", "167"),
    Peer("Prefect 3.9.1", "threads", "1.08", "5.1", "2.07", "242 (35–41 until recorded)", "1.07", "277"),
    Peer("Prefect 3.9.1", "2 processes", "6.3", "7.2", "35.5", "14", "7.2", "467"),
    Peer("Dagster 1.13", "in-process, SQLite", "0.76", "4.4", "5.8", "86", "0.74", "121"),
    Peer("Dagster 1.13", "multiprocess, 2", "120", "35.1", "", "", "", "235"),
    Peer("Dagster 1.13", "forkserver, 2", "60", "", "", "1.2 (50 wide)", "", "325"),
    Peer("Luigi 3.8", "1 worker: no isolation, no record", "0.03", "4.2", "0.79", "635", "0.03", "26"),
    Peer("Luigi 3.8", "2 workers", "0.18", "4.3", "2.4", "209", "0.25", "29"),
)

COMPARABLE = {
    "fanout_500.tasks_per_s": "Airflow 6.25 (tuned, 200 wide: 8.8) · Prefect processes 14 · Dagster, 50 wide: 1.2",
    "fanout_500_warm.tasks_per_s": "Celery 360–385 · Prefect threads 242 · Luigi 209–635 · DBOS 81–150 · Dagster 86",
    "chain_50.hop_p50_s": "Airflow 1.0 (tuned 0.30) · DBOS queue, tuned 0.058 · Prefect 0.021 · Celery 0.002–0.0036",
    "chain_40_fib10.wall_s": "Airflow 41–46 (tuned 18–21) · Prefect threads 1.1 · Dagster in-process 0.8 · Celery 0.09",
    "chain_10_fib33.bare_ratio": "Airflow 3.4 (tuned 2.0) · Prefect threads 1.2 · Dagster 1.07 · Celery 1.02",
    "burst_1000x5.wall_s": "Airflow, 200 of 1,000 due: 11 tasks of 1,000 after 228 s (92 s with get_parsing_context)",
    "parse_5000.wall_s": "Airflow: 1,000 workflows in 4 s",
    "idle_5000.cpu_percent": "Airflow with 1,000: 17",
    "startup.ready_s": "Airflow 6.3–8.0",
    "system.pss_mb": "Airflow 720 at rest",
}
"""Figure → what others take for it, those with the same isolation first. The hop of a chain is its wall over 50."""
