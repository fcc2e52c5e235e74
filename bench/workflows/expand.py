"""A task mapped over 10,000 elements that another task returns, and over 100: warm no-op tasks."""

from datetime import UTC, datetime

from piper.sdk import DAG, task


@task(isolation="warm")
def listed(count):
    return list(range(count))


@task(isolation="warm")
def noop(element):
    return None


for count in (100, 10_000):
    with DAG(f"expand_{count}", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), max_active_tasks=64):
        noop.expand(element=listed(count))
