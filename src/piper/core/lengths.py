"""How many instances a mapped task or group has, from what its upstream tasks returned."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from piper.model.spec import ConcatLength, LengthExpression, LiteralLength, ProductLength, ResultLength, ZipLength

ResultOf = Callable[[str], int | None]


def length_of(expression: LengthExpression, result_of: ResultOf) -> int | None:
    """The number of instances, or None while a result that it depends on is not known.

    Arguments:
        result_of: the length of a task's result, None while it is not known.
    """
    match expression:
        case LiteralLength(length):
            return length
        case ResultLength(task_id):
            return result_of(task_id)
        case ZipLength(sources, fill):
            return _combined(sources, result_of, max if fill else min)
        case ConcatLength(sources):
            return _combined(sources, result_of, sum)
        case ProductLength(sources):
            return _combined(sources, result_of, prod)


def _combined(
    sources: tuple[LengthExpression, ...], result_of: ResultOf, combine: Callable[[list[int]], int]
) -> int | None:
    lengths: list[int] = []
    for source in sources:
        length = length_of(source, result_of)
        if length is None:
            return None
        lengths.append(length)
    return combine(lengths)
