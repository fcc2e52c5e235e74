"""`python -m piper.testing FILE [ARGUMENT…]`: as `python FILE`, where `airflow` may be imported: for `dag.test()`."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from piper import testing


def main(arguments: list[str]) -> None:
    """Run a file as the main program, with the import layer that `piper.testing` installs."""
    if not arguments or not Path(arguments[0]).is_file():
        sys.exit(
            f"usage: python -m {testing.__name__} FILE [ARGUMENT…]: FILE is a Python file, perhaps with dag.test()"
        )
    sys.argv = arguments
    sys.path[0] = str(Path(arguments[0]).resolve().parent)
    runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
