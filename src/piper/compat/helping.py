"""`airflow.utils.helpers`: small functions that DAG files and providers import."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from piper.model.ids import check_workflow_id

__all__ = [
    "as_flattened_list",
    "at_most_one",
    "chunks",
    "convert_camel_to_snake",
    "exactly_one",
    "is_container",
    "merge_dicts",
    "partition",
    "prune_dict",
    "validate_key",
]

Item = TypeVar("Item")


def validate_key(k: str, max_length: int = 250) -> None:
    """Raise InvalidName if a text cannot be an id."""
    check_workflow_id(k)


def is_container(obj: Any) -> bool:
    """Whether it is a collection, and no text."""
    return hasattr(obj, "__iter__") and not isinstance(obj, str)


def chunks(items: list[Item], chunk_size: int) -> Iterator[list[Item]]:
    """The items, so many at a time."""
    if chunk_size <= 0:
        raise ValueError("Chunk size must be a positive integer")
    for start in range(0, len(items), chunk_size):
        yield items[start : start + chunk_size]


def as_flattened_list(iterable: Iterable[Iterable[Item]]) -> list[Item]:
    """The items of all."""
    return [item for items in iterable for item in items]


def convert_camel_to_snake(camel_str: str) -> str:
    """`CamelCase` as `camel_case`."""
    return re.sub(r"(?!^)([A-Z]+)", r"_\1", camel_str).lower()


def merge_dicts(dict1: Mapping[str, Any], dict2: Mapping[str, Any]) -> dict[str, Any]:
    """One dict over another, and so for dicts inside; a new dict."""
    merged = dict(dict1)
    for key, value in dict2.items():
        old = merged.get(key)
        merged[key] = merge_dicts(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def partition(pred: Callable[[Item], bool], iterable: Iterable[Item]) -> tuple[Iterable[Item], Iterable[Item]]:
    """The items that are not so, and those that are."""
    items = list(iterable)
    return [item for item in items if not pred(item)], [item for item in items if pred(item)]


def exactly_one(*args: Any) -> bool:
    """Whether one of them is true, and no other."""
    if any(isinstance(each, tuple | list | set) for each in args):
        raise ValueError("Not supported for iterable args. Use `*` to unpack your iterable in the function call.")
    return sum(map(bool, args)) == 1


def at_most_one(*args: Any) -> bool:
    """Whether no two of them are given (neither None nor unset)."""
    from piper.sdk.placeholders import NOTSET  # one caller

    return sum(each is not None and each is not NOTSET and bool(each) for each in args) in (0, 1)


def prune_dict(val: Any, mode: str = "strict") -> Any:
    """Without the values that are None ("strict") or empty ("truthy"), however deep."""

    def is_kept(value: Any) -> bool:
        if mode == "strict":
            return value is not None
        if mode == "truthy":
            return bool(value)
        raise ValueError(f"mode must be 'strict' or 'truthy', not {mode!r}")

    if isinstance(val, dict):
        pruned = {
            key: prune_dict(value, mode) if isinstance(value, dict | list) else value for key, value in val.items()
        }
        return {key: value for key, value in pruned.items() if is_kept(value)}
    if isinstance(val, list):
        items = [prune_dict(value, mode) if isinstance(value, dict | list) else value for value in val]
        return [value for value in items if is_kept(value)]
    return val
