"""Where something was written: file and line of the author's call, remembered cheaply.

A place is a code object and an instruction offset; its line is only looked up when it is needed,
through a table per code object. (Asking a frame for its line walks the code's line table from the
beginning: with 25,000 tasks in one long module that alone would take seconds.)
"""

from __future__ import annotations

import os
from bisect import bisect_right
from functools import lru_cache
from types import CodeType, FrameType

from piper.sdk.scope import loading_file

Place = tuple[CodeType, int]

PIPER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
"""Where Piper's own code is, which is of no interest to an author."""


def place_of(frame: FrameType | None) -> Place | None:
    """The author's line that led to `frame`.

    In a file that is being loaded: its innermost line on the stack, also when a helper function in
    another file made the call. Otherwise the innermost line outside of Piper.
    """
    wanted = loading_file()
    nearest: Place | None = None
    while frame is not None:
        code = frame.f_code
        file = code.co_filename
        if file == wanted:
            return code, frame.f_lasti
        if nearest is None and not file.startswith(PIPER):
            nearest = code, frame.f_lasti
            if not wanted:
                return nearest
        frame = frame.f_back
    return nearest


def file_of(place: Place | None) -> str:
    """The file of a place, as Python knows it; empty if unknown."""
    return place[0].co_filename if place is not None else ""


def line_of(place: Place | None) -> int:
    """The line of a place; 0 if unknown."""
    if place is None:
        return 0
    code, offset = place
    starts, lines = _line_table(code)
    return lines[bisect_right(starts, offset) - 1]


@lru_cache(maxsize=256)
def _line_table(code: CodeType) -> tuple[list[int], list[int]]:
    rows = [(start, line or code.co_firstlineno) for start, _, line in code.co_lines()]
    return [start for start, _ in rows], [line for _, line in rows]
