"""${message}.

Revision ${up_revision}${", after " + down_revision if down_revision else ": from empty"}.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from piper.store import types

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    ${upgrades if upgrades else "pass"}
