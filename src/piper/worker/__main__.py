"""`python -m piper.worker --fd N --settings JSON`: a worker on a connection that it inherits."""

from __future__ import annotations

import gc
import os
import sys

import msgspec

from piper.model.errors import InvalidSetting
from piper.worker.environment import task_environment
from piper.worker.remarks import remark
from piper.worker.settings import WorkerSettings
from piper.worker.supervisor import Supervisor


def main(arguments: list[str]) -> int:
    """Run a worker to its end. Returns its exit code."""
    try:
        first, descriptor, second, settings = arguments
        assert (first, second) == ("--fd", "--settings")
        server, told = int(descriptor), msgspec.json.decode(settings, type=WorkerSettings)
    except (AssertionError, ValueError) as error:
        remark(f"usage: python -m piper.worker --fd N --settings JSON ({error})")
        return 2
    os.set_inheritable(server, False)
    os.set_blocking(server, False)
    os.umask(0o077)
    try:
        supervisor = Supervisor(told, server, task_environment(dict(os.environ)))
    except (InvalidSetting, OSError) as error:
        remark(f"the worker cannot start: {error}")
        return 1
    # Nothing here makes cycles that matter; collections would only add pauses.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    supervisor.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
