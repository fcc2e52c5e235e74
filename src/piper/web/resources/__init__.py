"""One file per noun: what is sent and received of it, and its handlers."""

from piper.web.resources import (
    assets,
    audit,
    backfills,
    callbacks,
    code,
    connections,
    installation,
    logs,
    pools,
    run_commands,
    runs,
    tasks,
    variables,
    workflows,
    xcoms,
)

RESOURCES = (
    workflows.resource,
    runs.resource,
    run_commands.resource,
    backfills.resource,
    tasks.resource,
    logs.resource,
    callbacks.resource,
    xcoms.resource,
    code.resource,
    assets.resource,
    pools.resource,
    variables.resource,
    connections.resource,
    audit.resource,
    installation.resource,
)
"""Served below `/api/v1`, in the order in which they are documented."""

PROBES = installation.probes
"""Served at the root: health and metrics."""
