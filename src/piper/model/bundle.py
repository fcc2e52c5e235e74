"""Where code comes from, as data: the files of a bundle at one moment.

A snapshot is a manifest (path → content hash, size, mode) and is addressed by the hash of it; the
contents lie in blobs that snapshots share.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import BinaryIO

import msgspec
from msgspec import Struct


class FileEntry(Struct, frozen=True, array_like=True):
    """One file of a snapshot."""

    hash: str
    """`content_hash` of its bytes."""
    size: int
    executable: bool = False


Manifest = Mapping[str, FileEntry]
"""Path relative to the bundle's root, with `/` → the file."""

_encoder = msgspec.json.Encoder(order="deterministic")


def content_hash(content: bytes) -> str:
    """The address of a blob: 128 bits of BLAKE2b, in hex."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def stream_hash(file: BinaryIO, to: BinaryIO | None = None) -> tuple[str, int]:
    """The `content_hash` and the length of what can be read from an open file, copying it to another on the way."""
    digest, length = hashlib.blake2b(digest_size=16), 0
    while part := file.read(1 << 20):
        digest.update(part)
        length += len(part)
        if to is not None:
            to.write(part)
    return digest.hexdigest(), length


def snapshot_hash(bundle: str, manifest: Manifest) -> str:
    """The address of a snapshot. The bundle is part of it: two teams never share one, even of equal files."""
    return content_hash(_encoder.encode([bundle, manifest]))
