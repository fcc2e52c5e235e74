"""`python -m piper.worker.zygote ORDER`: the process that loads one file and forks children of it.

What it does is in `parent`. Here stands only what must come before any other import.
"""

import sys

from piper.worker import forking

forking.capture()

from piper.worker.parent import main  # noqa: E402, see forking

if __name__ == "__main__":
    main(sys.argv[1])
