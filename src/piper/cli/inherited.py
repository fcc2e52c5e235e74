"""What this process has from whoever started it, put in order before it does anything.

Ignored and blocked signals and closed descriptors outlive `exec`, so whatever a shell, a container runtime or a service
manager left behind is ours, and our children's after us.
"""

from __future__ import annotations

import os
import signal


def settle() -> None:
    """Have signals delivered, children waited for, and the standard descriptors taken.

    Where SIGCHLD is ignored the kernel reaps children, and nobody learns how one ended. A file that is opened while a
    standard descriptor is closed takes its place, and whatever a library prints goes into that file.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
