"""Logs of executions: what a task writes, stored as it writes it, readable while it runs.

Theory. One attempt has one log, named by a relative path (`TaskContext.log`) below the root of a
`LogStore`. A task's standard output, standard error and logging records share one pipe, so that
their order is kept. The supervisor reads the pipe, masks, stamps and appends; nothing is buffered
longer than one read, so a line is visible to readers as soon as the supervisor has met it, and what
a killed task had flushed is stored.

    read → MaskedStream (secrets) → LineStamper (time, kind) → CappedFile (head, tail)

A line is `<UTC time> <kind> <text>`, see `lines`. The time is the supervisor's: it never goes back
within a log and the task cannot forge it.

Offsets are places in the log as it was written, whole. Up to half the cap lies in the head, a file of
the log's name; what follows goes to the tail, a folder beside it of segments named by the offset of
their first byte, of which the oldest are deleted. A reader that comes to what was deleted finds one
line which says how much is missing. So head and tail need no index and no rewriting, and readers need
no lock: bytes at an offset never change.

How it fails. A log that cannot be written (disk full, no permission) never fails its task: bytes are
counted as lost, and the next write that succeeds says how many, and why. A line may be of any length
and hold any bytes: writers never look for its end, and readers cut it.
"""

from piper.logs.lines import LogLine, parse_line
from piper.logs.masking import Masker
from piper.logs.store import Chunk, LogStore
from piper.logs.writing import LogWriter

__all__ = ["Chunk", "LogLine", "LogStore", "LogWriter", "Masker", "parse_line"]
