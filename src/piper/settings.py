"""Every setting of Piper: one frozen tree, read once at start, and the single home of defaults.

A setting is `section.key`. Its value comes from the first of these that names it: the command line,
the environment (`PIPER_<SECTION>__<KEY>`), `PIPER_HOME/piper.toml` (`[section]`, `key = …`), the
default here. A name that nobody knows is refused with the nearest known one and the place it came
from, since a misspelt limit that is silently ignored is found out in production.

Sizes are written "512MiB" (or a number of bytes), durations "30s", "5m", "1h30m" (or a number of
seconds). `PIPER_HOME` is no setting but the place where settings are.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints
from urllib.parse import quote

import msgspec
from msgspec import Meta, Struct

from piper.model.errors import InvalidSetting
from piper.model.nearest import did_you_mean
from piper.model.quantities import format_duration, format_size, parse_duration, parse_size

PREFIX = "PIPER_"


def about(
    description: str, *, ge: float | None = None, le: float | None = None, kind: str = "", secret: bool = False
) -> Meta:
    """What a setting is for, on one line; its bounds; `kind="size"` for a number of bytes."""
    return Meta(description=description, ge=ge, le=le, extra={"kind": kind, "secret": secret})


class ExecutorBackend(StrEnum):
    """On which engine tasks run."""

    LOCAL = "local"


class AirflowMode(StrEnum):
    """How spellings of Airflow 1 and 2 are treated (`piper.compat`)."""

    LENIENT = "lenient"
    STRICT = "strict"


class Core(Struct, frozen=True, kw_only=True):
    """What every part needs to know."""

    paused_at_creation: Annotated[
        bool, about("Whether a workflow seen for the first time is paused, if its author does not say.")
    ] = False
    team: Annotated[str, about("The team that owns what no other team owns.")] = "default"
    log_level: Annotated[str, about("DEBUG, INFO, WARNING or ERROR: what the services log.")] = "INFO"
    airflow_mode: Annotated[
        AirflowMode, about("lenient understands spellings of Airflow 1 and 2, strict is as Airflow 3.3.2.")
    ] = AirflowMode.LENIENT
    backfill_limit: Annotated[int, about("Most dates of one backfill.", ge=1, le=1_000_000)] = 20_000
    plugins_folder: Annotated[
        str, about("A folder of Airflow plugins for all bundles, besides each bundle's own `plugins`.")
    ] = ""


class Database(Struct, frozen=True, kw_only=True):
    """The metadata database."""

    url: Annotated[
        str, about("sqlite:///PATH or postgresql://USER@HOST/NAME; empty is PIPER_HOME/piper.db.", secret=True)
    ] = ""
    pool_size: Annotated[int, about("Connections kept open by a process.", ge=2, le=500)] = 8
    synchronous: Annotated[
        str, about("SQLite's durability: FULL keeps every acknowledged write through a power cut.")
    ] = "FULL"


class Web(Struct, frozen=True, kw_only=True):
    """The web server."""

    host: Annotated[str, about("Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, about("Port to listen on; 0 takes a free one.", ge=0, le=65535)] = 8080
    allowed_hosts: Annotated[
        tuple[str, ...], about("Names under which it may be called, besides localhost and IP addresses.")
    ] = ()
    allowed_origins: Annotated[
        tuple[str, ...], about('Origins of other sites whose pages may call it, "https://piper.example.org".')
    ] = ()
    body_limit: Annotated[int, about("Longest request body.", ge=1024, kind="size")] = 1 << 20
    page_limit: Annotated[int, about("Most items on one page of a list.", ge=10, le=500)] = 500
    command_wait: Annotated[
        timedelta, about("How long a clear, mark or pause waits to be applied before it answers 202.")
    ] = timedelta(seconds=2)
    stream_limit: Annotated[int, about("Most live streams (logs, events) at a time.", ge=1)] = 1000
    idempotency_retention: Annotated[timedelta, about("How long the reply to an Idempotency-Key is remembered.")] = (
        timedelta(days=2)
    )


class Executor(Struct, frozen=True, kw_only=True):
    """The executor."""

    backend: Annotated[ExecutorBackend, about("The engine that runs tasks: local.")] = ExecutorBackend.LOCAL
    parallelism: Annotated[int, about("Tasks in execution at a time, over all pools.", ge=1)] = 32


class Worker(Struct, frozen=True, kw_only=True):
    """The workers."""

    memory_limit: Annotated[
        int | None,
        about("Resident memory of one task's processes; none: three quarters of all.", ge=1 << 20, kind="size"),
    ] = 2 << 30
    zygote_idle: Annotated[timedelta, about("After how long without a task a file's process is ended.")] = timedelta(
        minutes=10
    )
    kill_grace: Annotated[timedelta, about("Between SIGTERM and SIGKILL.")] = timedelta(seconds=5)
    log_limit: Annotated[int, about("Longest log of one try; head and tail are kept.", ge=4096, kind="size")] = (
        100 << 20
    )


class Serializer(Struct, frozen=True, kw_only=True):
    """The serializer, which loads the files that define workflows."""

    dags: Annotated[str, about("Folder of workflow files; empty is PIPER_HOME/dags.")] = ""
    scan_interval: Annotated[timedelta, about("How often the folder is looked through for changes.")] = timedelta(
        seconds=1
    )
    reload_interval: Annotated[
        timedelta, about("How often a file that did not change is loaded again, since it may ask services; 0 never.")
    ] = timedelta(0)
    processes: Annotated[int, about("Files loaded at a time.", ge=1)] = 2
    time_limit: Annotated[timedelta, about("Wall time that loading one file may take.")] = timedelta(seconds=30)
    cpu_limit: Annotated[timedelta, about("Processor time that loading one file may take.")] = timedelta(seconds=20)
    memory_limit: Annotated[int, about("Resident memory that loading one file may take.", ge=1 << 20, kind="size")] = (
        1 << 30
    )
    output_limit: Annotated[int, about("How much a file may print while it is loaded.", ge=1024, kind="size")] = (
        16 << 20
    )
    environment: Annotated[
        tuple[str, ...], about("Names of environment variables that files see while they are loaded, as tasks do.")
    ] = ()
    readable: Annotated[
        tuple[str, ...], about("Files and folders outside the bundle that files may read while they are loaded.")
    ] = ()


class Triggerer(Struct, frozen=True, kw_only=True):
    """The triggerer, which waits for what deferred tasks wait for."""

    block_limit: Annotated[
        timedelta,
        about("How long a trigger may keep all others waiting; then its process is ended, and its task fails."),
    ] = timedelta(seconds=10)


class Settings(Struct, frozen=True, kw_only=True):
    """The whole tree, and the folder it was read in."""

    home: Path
    core: Core = Core()
    database: Database = Database()
    web: Web = Web()
    executor: Executor = Executor()
    worker: Worker = Worker()
    serializer: Serializer = Serializer()
    triggerer: Triggerer = Triggerer()

    @property
    def database_url(self) -> str:
        """Where the metadata database is, with the default filled in."""
        return self.database.url or f"sqlite:///{quote(str(self.home / 'piper.db'))}"

    @property
    def dags(self) -> Path:
        """The folder of workflow files, with the default filled in."""
        return Path(self.serializer.dags).expanduser() if self.serializer.dags else self.home / "dags"

    @property
    def plugins(self) -> Path | None:
        """The folder of plugins for all bundles, if there is one."""
        return Path(self.core.plugins_folder).expanduser().absolute() if self.core.plugins_folder else None

    @property
    def for_files(self) -> dict[str, str]:
        """How workflow files are loaded, as variables for the processes that load them (`piper.compat`)."""
        return {
            "PIPER_CORE__AIRFLOW_MODE": self.core.airflow_mode.value,
            "PIPER_CORE__PLUGINS_FOLDER": str(self.plugins or ""),
        }

    @property
    def token_file(self) -> Path:
        """Holds the token that the command line calls the web server with (mode 0600)."""
        return self.home / "token"

    @property
    def address_file(self) -> Path:
        """Holds the address of the web server while it runs."""
        return self.home / "address"


SECTIONS: Mapping[str, type[Struct]] = {
    "core": Core,
    "database": Database,
    "web": Web,
    "executor": Executor,
    "worker": Worker,
    "serializer": Serializer,
    "triggerer": Triggerer,
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as a person sees it."""

    name: str
    """`section.key`."""
    type: str
    """string, integer, number, yes or no, duration, size, list; "or none" where it may be left out."""
    default: str
    description: str
    secret: bool


@dataclass(frozen=True)
class Loaded:
    """The settings, and where each came from that is not at its default."""

    settings: Settings
    origins: Mapping[str, str] = field(default_factory=dict)

    def origin(self, name: str) -> str:
        """ "default", or the file, variable or option that gave the setting `section.key` its value."""
        return self.origins.get(name, "default")


def home_of(environment: Mapping[str, str]) -> Path:
    """`PIPER_HOME`, absolute, or `~/.piper`."""
    return Path(environment.get("PIPER_HOME") or "~/.piper").expanduser().absolute()


def make_folder(folder: Path, name: str) -> None:
    """Make the folder that the setting `name` says, for this user alone, if it is not there.

    Raises:
        InvalidSetting: it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidSetting(
            f"{folder} cannot be made ({error.strerror}): let {name} be a folder that this user may write"
        ) from error


def load_settings(
    environment: Mapping[str, str] = os.environ, options: Mapping[str, str | int | None] | None = None
) -> Loaded:
    """Read the settings of this process.

    Arguments:
        environment: variables `PIPER_HOME` and `PIPER_<SECTION>__<KEY>`.
        options: `section.key` → value from the command line; None means that it was not given.

    Raises:
        InvalidSetting: a name is unknown or a value is not of its type; says which and from where.
    """
    home = home_of(environment)
    given: dict[str, tuple[Any, str]] = {}
    given.update(_from_file(home / "piper.toml"))
    given.update(_from_environment(environment))
    for name, value in (options or {}).items():
        if value is not None:
            given[name] = (value, "command line")
    sections: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    for name, (value, origin) in given.items():
        section, key = _known(name, origin)
        sections[section][key] = _converted(name, value, origin)
    built: dict[str, Any] = {name: kind(**sections[name]) for name, kind in SECTIONS.items()}
    settings = Settings(home=home, **built)
    _check(settings, given)
    return Loaded(settings, {name: origin for name, (_, origin) in given.items()})


def describe_settings() -> list[Setting]:
    """Every setting there is, in the order of this file."""
    return [
        Setting(
            name=f"{section}.{key}",
            type=_type_name(annotation),
            default=shown_value(f"{section}.{key}", getattr(kind(), key)),
            description=_meta(annotation).description or "",
            secret=bool(_extra(annotation)["secret"]),
        )
        for section, kind in SECTIONS.items()
        for key, annotation in _fields(kind).items()
    ]


def value_of(settings: Settings, name: str) -> Any:
    """The value of `section.key`."""
    section, key = name.split(".")
    return getattr(getattr(settings, section), key)


def shown_value(name: str, value: Any) -> str:
    """A value as a person would write it: "512MiB", "30s", "a, b"; secrets as `set` or nothing."""
    section, key = name.split(".")
    annotation = _fields(SECTIONS[section])[key]
    if value is None:
        return "none"
    if _extra(annotation)["secret"]:
        return _masked(value)
    if _extra(annotation)["kind"] == "size":
        return format_size(value)
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value)


def _masked(value: str) -> str:
    """A secret, hidden; of an address only its passwords, before the host or in the query."""
    if "://" in value:
        address, mark, query = value.partition("?")
        address = re.sub(r"(://[^:/@]*:).*@", r"\1********@", address)
        return address + mark + re.sub(r"(password=)[^&]*", r"\1********", query)
    return "********" if value else ""


# --- reading ------------------------------------------------------------------------------------


def _from_file(path: Path) -> dict[str, tuple[Any, str]]:
    try:
        document = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidSetting(f"{path} cannot be read: {error}") from error
    given: dict[str, tuple[Any, str]] = {}
    for section, body in document.items():
        if not isinstance(body, dict):
            raise InvalidSetting(f"{path}: {section!r} must stand in a section, as in [web] port = 8080")
        given.update({f"{section}.{key}": (value, str(path)) for key, value in body.items()})
    return given


def _from_environment(environment: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    given: dict[str, tuple[Any, str]] = {}
    flattened = {f"{section}_{key}": (section, key) for section, kind in SECTIONS.items() for key in _fields(kind)}
    for variable, value in environment.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if "__" in name:
            section, _, key = name.partition("__")
            given[f"{section}.{key}"] = (value, variable)
        elif name in flattened:  # one underscore too few: meant as a setting, and would be ignored
            section, key = flattened[name]
            raise InvalidSetting(
                f"{variable} is not the name of a setting: write {PREFIX}{section.upper()}__{key.upper()}"
            )
    return given


def _known(name: str, origin: str) -> tuple[str, str]:
    section, _, key = name.partition(".")
    if section in SECTIONS and key in _fields(SECTIONS[section]):
        return section, key
    known = [f"{s}.{k}" for s, kind in SECTIONS.items() for k in _fields(kind)]
    hint = did_you_mean(name, known) or "; `piper config show` lists all settings"
    raise InvalidSetting(f"unknown setting {name!r} (from {origin}){hint}")


def _converted(name: str, value: Any, origin: str) -> Any:
    section, key = name.split(".")
    annotation = _fields(SECTIONS[section])[key]
    try:
        converted = _convert(annotation, value)
        _check_bounds(_meta(annotation), converted)
    except (ValueError, TypeError, msgspec.ValidationError) as error:
        raise InvalidSetting(f"{name} (from {origin}): {error}") from error
    return converted


def _check_bounds(meta: Meta, value: Any) -> None:
    """Raise ValueError if the value is beyond what the setting allows."""
    if isinstance(value, timedelta) and value < timedelta(0):
        raise ValueError("a duration is not negative")
    if isinstance(value, int) and (
        (meta.ge is not None and value < meta.ge) or (meta.le is not None and value > meta.le)
    ):
        bounds = f"at least {meta.ge}" if meta.le is None else f"between {meta.ge} and {meta.le}"
        raise ValueError(f"{value} must be {bounds}")


def _convert(annotation: Any, value: Any) -> Any:
    """`value`, from TOML or as text, as the type that the annotation says. Raises ValueError or TypeError."""
    kind = get_args(annotation)[0]
    options = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    if type(None) in options:
        if isinstance(value, str) and value.strip().lower() in ("none", ""):
            return None
        kind = next(option for option in options if option is not type(None))
    if isinstance(value, bool) and kind is not bool:
        raise TypeError(f"{value!r} is not a {_type_name(annotation)}")
    if _extra(annotation)["kind"] == "size":
        return parse_size(value)
    if kind is timedelta:
        return parse_duration(value)
    if kind == tuple[str, ...]:
        parts = value.split(",") if isinstance(value, str) else value
        return tuple(str(part).strip() for part in parts if str(part).strip())
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f"{value!r} is not a {_type_name(annotation)}") from error


def _check(settings: Settings, given: Mapping[str, tuple[Any, str]]) -> None:
    """What a type cannot say. Raises InvalidSetting."""

    def refuse(name: str, why: str) -> None:
        raise InvalidSetting(f"{name} (from {given[name][1]}): {why}")

    if settings.core.log_level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        refuse("core.log_level", f"{settings.core.log_level!r} is none of DEBUG, INFO, WARNING, ERROR")
    if settings.database.synchronous not in ("FULL", "NORMAL", "OFF", "EXTRA"):
        refuse("database.synchronous", f"{settings.database.synchronous!r} is none of FULL, NORMAL, EXTRA, OFF")
    url = settings.database.url
    if url and not url.startswith(("sqlite:///", "postgresql://")):
        refuse("database.url", "it must begin with sqlite:/// or postgresql://")


@cache
def _fields(kind: type[Struct]) -> dict[str, Any]:
    """Key → annotation, in the order of the class."""
    return get_type_hints(kind, include_extras=True)


def _meta(annotation: Any) -> Meta:
    return next(part for part in get_args(annotation) if isinstance(part, Meta))


def _extra(annotation: Any) -> dict[str, Any]:
    return _meta(annotation).extra or {"kind": "", "secret": False}


def _type_name(annotation: Any) -> str:
    kind = get_args(annotation)[0]
    options = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    kind = next(option for option in options if option is not type(None))
    if _extra(annotation)["kind"] == "size":
        name = "size"
    elif kind == tuple[str, ...]:
        name = "list"
    elif isinstance(kind, type) and issubclass(kind, StrEnum):
        name = " or ".join(kind)
    else:
        name = {str: "string", int: "integer", float: "number", bool: "yes or no", timedelta: "duration"}[kind]
    return f"{name} or none" if type(None) in options else name
