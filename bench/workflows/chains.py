"""Chains of tasks that do nothing, little, or something."""

from datetime import UTC, datetime

from piper.sdk import DAG, chain, task


def noop():
    return None


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def fib10():
    return fib(10)


def fib33():
    return fib(33)


for name, function, length in (("chain_50", noop, 50), ("chain_40_fib10", fib10, 40), ("chain_10_fib33", fib33, 10)):
    with DAG(name, schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
        work = task(function)
        chain(*(work.override(task_id=f"t{i}")() for i in range(length)))
