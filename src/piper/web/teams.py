"""For which team a call makes or names an object."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from piper.model.errors import Invalid
from piper.web.routing import Call

Team = Annotated[
    str | None,
    Query(max_length=250, description="The owning team; the caller's own if it has one, else that of core.team."),
]


def team_of(call: Call, wanted: str | None) -> str:
    """The team that a call means. Raises Invalid when the caller has several and does not say which."""
    if wanted is not None:
        return wanted
    teams = call.principal.teams
    if teams is None:
        return call.parts.settings.core.team
    if len(teams) == 1:
        return next(iter(teams))
    raise Invalid(f"{call.principal.name} has the teams {', '.join(sorted(teams))}: say which one by `team`")
