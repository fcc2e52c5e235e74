"""One task, 500 tasks below it, one task below those; each in a process of its own, and each in a warm one."""

from datetime import UTC, datetime

from piper.sdk import DAG, task

WIDTH = 500


def noop():
    return None


for isolation in ("fork", "warm"):
    with DAG(f"fanout_{isolation}", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), max_active_tasks=64):
        work = task(noop, isolation=isolation)
        root = work.override(task_id="root")()
        join = work.override(task_id="join")()
        root >> [work.override(task_id=f"t{i}")() for i in range(WIDTH)] >> join
