"""What published workflows say of assets: kept with every publication, in its transaction."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from piper.core.assets import described_in, uses_of
from piper.model.spec import WorkflowSpec, decode_spec
from piper.store.assets import Naming, save_namings, specs_with_assets

log = logging.getLogger(__name__)


def name_assets(connection: Connection, specs: Iterable[WorkflowSpec], team: str, now: datetime) -> None:
    """Let workflows name the assets that their specs name, and no others.

    An asset that cannot be active because another one of its team has its name or URI is no error: the tasks that use
    it fail when they start (airflow-semantics §3.16). The log says so here already.
    """
    namings = {spec.workflow_id: Naming(team, uses_of(spec), described_in(spec)) for spec in specs}
    for clash in save_namings(connection, namings, now):
        log.warning(
            "workflow %s: asset (name %r, URI %r) is not active, since asset (name %r, URI %r) is: tasks that name it "
            "will fail; give both the same name and URI, or different ones",
            clash.workflow_id,
            clash.asset.name,
            clash.asset.uri,
            clash.other.name,
            clash.other.uri,
        )


def give_assets_to_team(connection: Connection, bundle: str, team: str, now: datetime) -> None:
    """The workflows of a bundle belong to another team, and so does what they say of assets."""
    bodies = specs_with_assets(connection, bundle)
    name_assets(connection, (decode_spec(body) for body in bodies.values()), team, now)
