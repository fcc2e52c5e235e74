"""The writing end of a log: what the supervisor does with the bytes that a task has written."""

from __future__ import annotations

from datetime import UTC, datetime

from piper.logs.files import CappedFile, LogUnwritable
from piper.logs.lines import RECORD, LineStamper, piper_line
from piper.logs.masking import MaskedStream, Masker


class LogWriter:
    """Masks, stamps and appends one execution's output. Nothing here raises: see `lost`."""

    def __init__(self, file: CappedFile, masker: Masker) -> None:
        self._file = file
        self._masker = masker
        self._masked = MaskedStream(masker)
        self._stamper = LineStamper()
        self.lost = 0
        """Bytes that could not be written and that no line of the log tells of yet."""
        self.trouble = ""
        """What the system said when it refused a write last."""

    def resume(self) -> None:
        """Go on after what is stored of this log already."""
        try:
            self._file.resume()
        except OSError as error:
            self.trouble = error.strerror or str(error)

    def write(self, data: bytes) -> None:
        """Store a chunk that was read from the task."""
        if data:
            self._store(self._masked.feed(data))

    def note(self, text: str) -> None:
        """Store a line of Piper's own, masked, after what has been written so far."""
        self._store(self._masked.flush())
        line = piper_line(datetime.now(UTC), self._masker.mask_text(text).replace("\n", " ").replace(RECORD, " "))
        if not self._stamper.at_start:
            self._stamper.at_start = True
            line = b"\n" + line
        self._append(line)

    def close(self) -> None:
        """Store what was held back, end the last line, close the file."""
        self._store(self._masked.flush())
        if not self._stamper.at_start:
            self._stamper.at_start = True
            self._append(b"\n")
        self._file.close()

    def _store(self, data: bytes) -> None:
        if data:
            self._append(self._stamper.stamp(data, datetime.now(UTC)))

    def _append(self, data: bytes) -> None:
        try:
            if self.lost:
                # It begins a line of its own, wherever the lost bytes began.
                self._file.append(
                    b"\n" + piper_line(datetime.now(UTC), f"{self.lost:,} bytes lost here: {self.trouble}")
                )
                self.lost = 0
            self._file.append(data)
        except LogUnwritable as error:
            self.lost += len(data) - error.written if not self.lost else len(data)
            self.trouble = str(error)
