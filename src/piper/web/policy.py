"""Who may do what. One function answers for the whole product.

Every object belongs to a team; those of the installation itself have the team "". A principal has teams,
or all of them. Roles within a team come later, and come here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from piper.store.listings import Teams


class Action(StrEnum):
    """What can be done to an object."""

    READ = "read"
    RUN = "run"
    """Trigger, clear, mark, cancel, pause."""
    EDIT = "edit"
    """Create, change or delete."""


class Kind(StrEnum):
    """What there is to protect."""

    WORKFLOW = "workflow"
    RUN = "run"
    BACKFILL = "backfill"
    TASK = "task"
    LOG = "log"
    XCOM = "xcom"
    EXECUTION = "execution"
    ASSET = "asset"
    IMPORT_ERROR = "import error"
    BUNDLE = "bundle"
    OPERATOR = "operator"
    POOL = "pool"
    VARIABLE = "variable"
    CONNECTION = "connection"
    AUDIT = "audit"
    CLUSTER = "cluster"
    METRICS = "metrics"


COMMON_KINDS = frozenset({Kind.OPERATOR, Kind.VARIABLE, Kind.CONNECTION})
"""Of these, what belongs to no team may be read by everybody: it is there for all to use."""


@dataclass(frozen=True, slots=True)
class Permission:
    """What an endpoint does to which kind of object."""

    action: Action
    kind: Kind


@dataclass(frozen=True, slots=True)
class Thing:
    """An object, as far as the policy is concerned."""

    kind: Kind
    id: str
    team: str


@dataclass(frozen=True, slots=True)
class Principal:
    """A person or program that calls."""

    name: str
    teams: Teams
    """None: all teams, and the installation itself."""


def can(principal: Principal, action: Action, thing: Thing) -> bool:
    """Whether the principal may do this to that."""
    if principal.teams is None:
        return True
    if thing.team == "":
        return action is Action.READ and thing.kind in COMMON_KINDS
    return thing.team in principal.teams
