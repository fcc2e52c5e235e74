"""Write the next revision of the tables: `make revision MESSAGE="pre: remember a run's note"`.

Alembic compares the schema with a new PostgreSQL database that has all revisions so far. What it writes is
a draft: read it, add the statements that move data, and tell `piper.store.migrations` its number.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from piper.store.database import Database
from piper.store.migrations.upgrade import configuration, upgrade
from tests.servers import postgres


def draft(message: str) -> Path:
    """Write the revision that follows the newest one; returns its file."""
    server = postgres.start()
    database = Database(server.url())
    try:
        with database.write() as connection:
            config = configuration(connection)
            newest = ScriptDirectory.from_config(config).get_current_head()
            if newest is not None:
                upgrade(connection)
            number = f"{int(newest or 0) + 1:04d}"
            script = command.revision(config, message, autogenerate=True, rev_id=number)
    finally:
        database.close()
        server.remove()
    assert script is not None
    assert not isinstance(script, list)
    path = Path(script.path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.lstrip().startswith("# ###")))
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", path], check=True)
    subprocess.run([sys.executable, "-m", "ruff", "check", "--fix", "--quiet", path], check=True)
    return path


if __name__ == "__main__":
    print(draft(" ".join(sys.argv[1:]) or sys.exit("say what the revision is for")))
