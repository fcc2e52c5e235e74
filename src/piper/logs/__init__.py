"""Logs of executions: what a task writes, stored as it writes it, readable while it runs.

Theory. One attempt has one log, named by a relative path (`TaskContext.log`) below the root of a
`LogStore`. A task's standard output, standard error and logging records share one pipe, so that
their order is kept. The supervisor reads the pipe, masks, stamps and appends; nothing is buffered
longer than one read, so a line is visible to readers as soon as the supervisor has met it, and what
a killed task had flushed is stored.

    pipe → MaskedStream (secrets) → LineStamper (time, kind) → CappedFile (pack, head, tail)

A line is `<UTC time> <kind> <text>`, see `lines`. The time is the supervisor's: it never goes back
within a log and the task cannot forge it.

Offsets are places in the log as it was written, whole. Its first kilobytes lie in a pack that it shares
with the other logs of its folder (a run), since most logs are short and a file for each would cost more
than the task (`packs`). What follows lies in segments, files of its own named by the offset of their
first byte (`files`): the first holds the head, up to half the cap; of those after it, the tail, the
oldest are deleted. A reader that comes to what was deleted finds one line which says how much is
missing. So nothing is ever rewritten, and readers need no lock: bytes at an offset never change.

How it fails. A log that cannot be written (disk full, no permission) never fails its task: bytes are
counted as lost, and the next write that succeeds says how many, and why. A line may be of any length
and hold any bytes: writers never look for its end, and readers cut it.
"""

from piper.logs.folder import FolderReader
from piper.logs.lines import LogLine, parse_line, parse_lines
from piper.logs.masking import Masker, secrets_in
from piper.logs.store import Chunk, LogReader, LogStore
from piper.logs.writing import LogWriter

__all__ = [
    "Chunk",
    "FolderReader",
    "LogLine",
    "LogReader",
    "LogStore",
    "LogWriter",
    "Masker",
    "parse_line",
    "parse_lines",
    "secrets_in",
]
