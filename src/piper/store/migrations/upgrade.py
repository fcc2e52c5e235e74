"""Running Alembic on an open connection, inside its transaction. Imported only when there is work for it."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

FOLDER = Path(__file__).parent


def configuration(connection: Connection) -> Config:
    """Alembic's configuration, without a file: `env.py` takes the connection from it."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(connection: Connection) -> None:
    """Apply every revision that the database lacks."""
    command.upgrade(configuration(connection), "head")
