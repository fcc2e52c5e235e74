"""Secrets of one task's process, replaced in whatever it writes, also across the borders of chunks.

A value is looked for in the forms in which it may leak: as it is, URL-encoded, escaped as in JSON or
a Python repr, and in Base64 at each of the three alignments it can have inside a longer text. A value
of several lines is looked for line by line, since a log is made of lines; hence no form holds a
newline, and only an unfinished line is ever held back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from piper.model.wire import SHORTEST_SECRET, GetConnection, Lookup

MASK = "***"

_MASK = MASK.encode()


class Masker:
    """The secrets that are known, in all their forms."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self.forms: tuple[bytes, ...] = ()
        """What to look for, longest first."""

    def add(self, values: Iterable[str]) -> None:
        """Mask these from now on; those shorter than SHORTEST_SECRET are left alone."""
        new = {value for value in values if len(value.strip()) >= SHORTEST_SECRET} - self._values
        if new:
            self._values |= new
            forms = {form for value in new for form in _forms(value)}
            self.forms = tuple(sorted(forms.union(self.forms), key=lambda form: (-len(form), form)))

    def mask(self, data: bytes) -> bytes:
        """`data` with each known secret replaced."""
        for form in self.forms:
            if form in data:
                data = data.replace(form, _MASK)
        return data

    def mask_text(self, text: str) -> str:
        """The same for text, such as the message of an error."""
        if not self.forms:
            return text
        return self.mask(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def mask_json(self, value: Any) -> Any:
        """The same for every string in a JSON value, keys included."""
        if not self.forms:
            return value
        if isinstance(value, str):
            return self.mask_text(value)
        if isinstance(value, dict):
            return {self.mask_json(key): self.mask_json(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.mask_json(item) for item in value]
        return value


class MaskedStream:
    """Masks a stream that comes in chunks; holds back an end that may be the beginning of a secret."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What can be shown now that `data` has come."""
        forms = self._masker.forms
        if not forms:
            return data
        data = self._held + data
        cut = _safe_cut(data, forms)
        self._held = data[cut:]
        return self._masker.mask(data[:cut])

    def flush(self) -> bytes:
        """What was held back, at the end of the stream."""
        held, self._held = self._held, b""
        return self._masker.mask(held)


def _safe_cut(data: bytes, forms: tuple[bytes, ...]) -> int:
    """The largest place to cut at which no form is, or may yet come to be, on both sides."""
    cut = len(data) - max(_overlap(data, form) for form in forms)
    moved = True
    while moved:
        moved = False
        for form in forms:
            at = data.find(form, max(0, cut - len(form) + 1), cut + len(form) - 1)
            if 0 <= at < cut:
                cut, moved = at, True
    return cut


def _overlap(data: bytes, form: bytes) -> int:
    """Length of the longest end of `data` with which `form` begins, less than the whole form."""
    start = max(0, len(data) - len(form) + 1)
    while (start := data.find(form[:1], start)) >= 0:
        if form.startswith(data[start:]):
            return len(data) - start
        start += 1
    return 0


def _forms(value: str) -> Iterator[bytes]:
    # Imported here: most tasks have no secrets, and the supervisor is to stay small.
    import json
    from urllib.parse import quote, quote_plus

    texts = {value.strip(), *(line.strip() for line in value.splitlines())}
    for text in texts:
        if len(text) < SHORTEST_SECRET:
            continue
        written = {text, quote(text, safe=""), quote(text), quote_plus(text), repr(text)[1:-1]}
        written |= {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
        written |= {each.lower() for each in (quote(text, safe=""), quote_plus(text)) if each != text}
        for each in written:
            if "\n" not in each and "\r" not in each:
                yield each.encode("utf-8", "surrogatepass")
        raw = text.encode("utf-8", "surrogatepass")
        yield from _base64_forms(raw)
    whole = value.encode("utf-8", "surrogatepass")
    yield from _base64_forms(whole)


def _base64_forms(raw: bytes) -> Iterator[bytes]:
    """How `raw` shows in the Base64 of a longer text, at each alignment: the characters that are its alone."""
    from base64 import b64encode, urlsafe_b64encode

    for before in range(3):
        padding = bytes(before)
        usable = (before + len(raw)) * 8 // 6
        first = (before * 8 + 5) // 6
        for encode in (b64encode, urlsafe_b64encode):
            form = encode(padding + raw)[first:usable]
            if len(form) >= SHORTEST_SECRET:
                yield form


_SECRET_NAMES = ("password", "passwd", "passphrase", "secret", "token", "api_key", "apikey", "authorization", "private")


def secrets_in(lookup: Lookup, answer: object) -> list[str]:
    """Values to mask in what is answered to a question about a connection or a variable."""
    found: list[str] = []
    if isinstance(lookup, GetConnection):
        _collect_secrets(answer, found)
    elif _is_secret_name(lookup.key) and isinstance(answer, str):
        found.append(answer)
    return found


def _collect_secrets(value: object, found: list[str]) -> None:
    if isinstance(value, str) and value.startswith("{"):  # a connection's extra is JSON text
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError:
            return
    if isinstance(value, Mapping):
        for name, item in value.items():
            if _is_secret_name(str(name)) and isinstance(item, str):
                found.append(item)
            else:
                _collect_secrets(item, found)


def _is_secret_name(name: str) -> bool:
    lowered = name.lower()
    return any(each in lowered for each in _SECRET_NAMES)
