"""The first lines of every generated DAG file: tasks that do what their ids say.

The last part of a task's id is a list of words with `_` between. A word may end in `-2`: it then holds for the
instance of that map index alone. A task without a word that concerns it returns what it was given.

    fail    raises                     failnow  raises AirflowFailException: no retry
    skip    raises AirflowSkipException
    flaky2  raises on its first 2 tries
    items3  returns [0, 1, 2]          items0   returns []
    pairs2  returns {"k0": 0, "k1": 1}
    rows2   returns [{"value": 0}, {"value": 1}]
    none    returns None               text     returns "text", which cannot be mapped over
    even    raises if it is given an odd number of values (one value is one, None is none), returns nothing
"""

PRELUDE = '''\
from datetime import datetime, timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.python import BranchPythonOperator, PythonOperator, ShortCircuitOperator
from airflow.sdk import DAG, TaskGroup, get_current_context, task, task_group
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException


def act(*given, **named):
    """Do what the words in the id of the running task say."""
    ti = get_current_context()["ti"]
    for word in ti.task_id.rpartition(".")[2].split("_")[1:]:
        word, _, index = word.partition("-")
        if index and int(index) != ti.map_index:
            continue
        name, number = word.rstrip("0123456789"), int(word.lstrip("abcdefghijklmnopqrstuvwxyz") or 0)
        if name == "fail" or (name == "flaky" and ti.try_number <= number):
            raise ValueError(word)
        if name == "failnow":
            raise AirflowFailException(word)
        if name == "skip":
            raise AirflowSkipException(word)
        if name == "items":
            return list(range(number))
        if name == "pairs":
            return {f"k{i}": i for i in range(number)}
        if name == "rows":
            return [{"value": i} for i in range(number)]
        if name == "text":
            return "text"
        if name == "none":
            return None
        if name == "even" and count(given) % 2:
            raise ValueError(f"{word}: {given}")
        if name == "even":
            return None
    return given[0] if given else None


def count(given):
    """How many values these are: a sequence counts its elements."""
    return sum(0 if one is None else 1 if isinstance(one, (int, str, dict)) else len(one) for one in given)


def take(value=None, other=None, **more):
    """As above, for tasks that are mapped over named arguments."""
    return act(*(one for one in (value, other, *more.values()) if one is not None))


def choose(*chosen):
    """What a branch follows."""
    act()
    return list(chosen)


def choose_nothing():
    """A branch that follows none."""
    return None


def is_so(answer):
    """A condition."""
    act()
    return answer


def passing(value):
    """A step of a mapping expression that skips the instance of one value."""
    if value == 1:
        raise AirflowSkipException("1")
    return value


'''
