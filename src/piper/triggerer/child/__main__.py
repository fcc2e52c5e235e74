"""`python -m piper.triggerer.child ORDER`: a process for triggers, on a socket that it inherits."""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import os
import signal
import socket
import sys

import msgspec

from piper.triggerer.child.host import Host
from piper.triggerer.protocol import Marks, Order

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Run triggers until the service closes the socket. Returns the exit code."""
    order = msgspec.json.decode(arguments[0], type=Order)
    # On SIGABRT it says where each thread is, even one that holds the interpreter's lock, and then dies.
    faulthandler.enable(2)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != order.parent:
        return 1
    for descriptor in (order.control, order.marks):
        os.set_inheritable(descriptor, False)
    os.umask(0o077)
    control = socket.socket(fileno=order.control)
    marks = Marks(order.marks)
    with asyncio.Runner() as runner:
        runner.run(Host(order, control, marks).serve())
    return 0


if __name__ == "__main__":
    # Without the interpreter's farewell: threads that user code has left running would hold it up.
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)
