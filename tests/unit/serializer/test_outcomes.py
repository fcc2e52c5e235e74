"""What authors are told."""

from __future__ import annotations

import signal

import pytest

from piper.serializer.outcomes import FailedFile, explain_end, place_in_trace
from piper.serializer.protocol import Ended, Excess, Limits

TRACE = b"""Fatal Python error: Aborted

Thread 0x00007f (most recent call first):
  File "/snap/abc/other.py", line 9 in wait

Current thread 0x00008f (most recent call first):
  File "/usr/lib/python3/time.py", line 1 in sleep
  File "/snap/abc/lib/slow.py", line 4 in wait
  File "/snap/abc/dags.py", line 12 in <module>
"""


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        (Ended(id=1, signal=signal.SIGABRT, excess=Excess.SECONDS), "longer than 30 s"),
        (Ended(id=1, signal=signal.SIGKILL, excess=Excess.MEMORY), "more than 512 MiB of memory"),
        (Ended(id=1, signal=signal.SIGKILL, excess=Excess.PROCESSES), "more than 64 processes"),
        (Ended(id=1, signal=signal.SIGKILL, excess=Excess.OUTPUT), "printed more than 16 MiB"),
        (Ended(id=1, signal=signal.SIGXCPU), "more than 20 s of processor time"),
        (Ended(id=1, signal=signal.SIGKILL, cpu_seconds=21.9), "more than 20 s of processor time"),
        (Ended(id=1, signal=signal.SIGSEGV), "killed by SIGSEGV"),
        (Ended(id=1, signal=99), "killed by signal 99"),
        (Ended(id=1, exit_code=0), "exit code 0"),
    ],
)
def test_each_end_without_a_report_has_its_reason(ended: Ended, expected: str) -> None:
    assert expected in explain_end(ended, Limits())


def test_the_place_is_the_innermost_line_of_the_bundle_in_the_current_thread() -> None:
    assert place_in_trace(TRACE, "/snap/abc") == ("lib/slow.py", 4)
    assert place_in_trace(TRACE, "/snap/other") == ("", None)
    assert place_in_trace(b"", "/snap/abc") == ("", None)


def test_the_text_of_an_error_has_the_message_first_and_what_was_printed_when_there_is_no_traceback() -> None:
    killed = FailedFile(file="a.py", message="killed", output="loading…\n")
    assert killed.text == "killed\n\nIt printed:\nloading…"
    raised = FailedFile(file="a.py", message="ValueError: x", traceback="Traceback…\n", output="loading…\n")
    assert raised.text == "ValueError: x\n\nTraceback…"
