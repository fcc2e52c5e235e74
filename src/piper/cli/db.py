"""`piper db`: the one noun that touches the database itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from piper.cli.failures import Failure
from piper.cli.main import Noun
from piper.cli.output import Format, note, output_option, write_receipt
from piper.cli.starting import started_settings
from piper.settings import Settings, shown_value

if TYPE_CHECKING:
    from piper.store.database import Database


@click.group("db", cls=Noun)
def command() -> None:
    """The metadata database."""


@command.command("migrate")
@output_option
def migrate(output: Format) -> None:
    """Create or change the tables as this version of Piper needs them. Stop the services first.

    \b
    Example:
      piper db migrate
    """
    from piper.store import migrations  # lazy: the only commands that need SQLAlchemy

    settings = started_settings()
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _database(settings) as (database, shown):
        migrations.migrate(database)
        note(f"{shown} is up to date")
        write_receipt({"database": shown}, output)


@command.command("check")
@output_option
def check(output: Format) -> None:
    """See whether this version of Piper can work with the database as it is. Exit code 1 if not.

    \b
    Example:
      piper db check
    """
    from piper.store import migrations  # lazy, as above

    settings = started_settings()
    if not settings.database.url and not settings.home.is_dir():
        raise Failure(f"there is no database yet: {settings.home} does not exist", hints=["make one: piper db migrate"])
    with _database(settings) as (database, shown):
        migrations.check(database)
        note(f"{shown} is good for this version")
        write_receipt({"database": shown}, output)


@command.command("rewrap")
@output_option
def rewrap(output: Format) -> None:
    """Put every stored secret under the first key of PIPER_HOME/secret.key. Stop the services first.

    To replace that key: write a new one (32 random bytes, base64) on a line above it, rewrap, and remove the old line.

    \b
    Example:
      { head -c32 /dev/urandom | base64; cat secret.key; } > new && chmod 600 new && mv new secret.key
      piper db rewrap
    """
    from piper.secrets import Keys  # lazy, as above
    from piper.store import migrations
    from piper.store.sealed import rewrap_all

    settings = started_settings()
    file = settings.home / "secret.key"
    if not file.exists():
        raise Failure(f"there is no {file}: nothing can be opened without it", hints=["restore it from your backup"])
    keys = Keys.load(file)
    with _database(settings) as (database, _):
        migrations.check(database)
        with database.write() as connection:
            count = rewrap_all(connection, keys)
    note(f"{count} secrets are under the first key of {file}")
    write_receipt({"rewrapped": count}, output)


@contextmanager
def _database(settings: Settings) -> Iterator[tuple[Database, str]]:
    from piper.store.database import Database  # lazy, as above

    database = Database(settings.database_url)
    try:
        yield database, shown_value("database.url", settings.database_url)
    finally:
        database.close()
