"""Give up rights, for good: Linux's Landlock and capabilities, called without a library.

A process that confines itself, and all that it starts, may from then on read and write only beneath
the paths it names, whoever it runs as. It also cannot look into or signal any process outside (its
parent's memory and environment, which hold credentials); for that root must lose its capabilities too,
since one of them (CAP_PERFMON) opens every process's environment. Where a kernel lacks Landlock, or a
part of it, less is enforced: `version` says what there is.

Protocol: linux/Documentation/userspace-api/landlock.rst; the numbers of the calls and flags are those
of linux/include/uapi/linux/landlock.h and the same on every architecture.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from collections.abc import Iterable
from functools import cache

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION = 0x20080522

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_CHANGE_TREE = 0x1FF0  # remove and make entries of every kind: bits 4 to 12
_REFER, _TRUNCATE = 1 << 13, 1 << 14  # since versions 2 and 3
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_ALL = _READ | _WRITE_FILE | _CHANGE_TREE | _REFER | _TRUNCATE
_SCOPES_SINCE = 6
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


@cache
def version() -> int:
    """The kernel's Landlock version; 0 if it has none or it is switched off."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_ASK_VERSION))))


def confine(readable: Iterable[str], writable: Iterable[str], listable: Iterable[str] = ()) -> None:
    """Restrict this thread and what it starts to these paths, and drop its capabilities.

    A path that does not exist grants nothing. Without Landlock only the capabilities go.

    Arguments:
        readable: files and folders that may be read and executed, with all below them.
        writable: files and folders that may besides be written.
        listable: folders of which, with all below them, the names may be read.

    Raises:
        OSError: the kernel refuses the rules.
    """
    forbid_new_privileges()
    _drop_capabilities()
    if version() == 0:
        return
    handled = _ALL & ~(_REFER if version() < 2 else 0) & ~(_TRUNCATE if version() < 3 else 0)
    attributes = _Ruleset(handled, 0, _SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS if version() >= _SCOPES_SINCE else 0)
    size = ctypes.sizeof(_Ruleset) if version() >= _SCOPES_SINCE else 8  # older kernels know the first field only
    ruleset = _call(_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(size), ctypes.c_uint32(0))
    try:
        for path in readable:
            _allow(ruleset, path, _READ & handled)
        for path in writable:
            _allow(ruleset, path, handled)
        for path in listable:
            _allow(ruleset, path, _READ_DIR)
        _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def forbid_new_privileges() -> None:
    """No program started from here on gains rights by its set-uid bit or capabilities."""
    if sys.platform == "linux" and _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot forbid new privileges")


def _drop_capabilities() -> None:
    """Root keeps its files, and loses its power over others'. Programs it starts cannot get it back
    (`forbid_new_privileges` comes first)."""
    if sys.platform != "linux":
        return
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    none = (ctypes.c_uint32 * 6)()
    if _libc().capset(ctypes.byref(header), ctypes.byref(none)) != 0:
        raise OSError(ctypes.get_errno(), "cannot drop capabilities")


def around(path: str, hidden: Iterable[str]) -> list[str]:
    """Paths that together hold everything beneath `path` except what is `hidden`.

    Landlock can only allow: to hide a folder is to name everything beside it, as it is now.

    Arguments:
        path, hidden: absolute, without symlinks. What is hidden and does not lie beneath `path` plays no part.
    """
    prefix = path.rstrip("/") + "/"
    if path in hidden:
        return []
    within = [one for one in hidden if one.startswith(prefix)]
    if not within:
        return [path]
    try:
        entries = sorted(os.listdir(path))
    except OSError:
        return []
    return [part for entry in entries for part in around(prefix + entry, within)]


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(opened).st_mode):
            rights &= _OF_FILES
        rule = _PathBeneath(rights, opened)
        _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), ctypes.byref(rule), ctypes.c_uint32(0))
    finally:
        os.close(opened)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc().syscall(number, *arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"Landlock call {number}: {os.strerror(error)}")
    return result


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
