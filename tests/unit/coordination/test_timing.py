"""How long a member may be silent."""

from __future__ import annotations

import pytest

from piper.coordination.timing import LOOK_SECONDS, RENEW_JITTER, RENEW_SECONDS, SHORTEST_TIME_TO_LIVE, Timing
from piper.model.errors import InvalidSetting


@pytest.mark.parametrize("seconds", [0.0, 1.9, 30.1])
def test_a_time_to_live_outside_its_range_is_refused(seconds: float) -> None:
    with pytest.raises(InvalidSetting, match="give 2 to 30 s"):
        Timing(seconds)


def test_a_member_stops_before_others_may_declare_it_dead() -> None:
    assert Timing(2.0).self_fence == 1.5
    assert Timing(30.0).self_fence == 29.5


def test_even_the_shortest_time_to_live_has_room_for_three_renewals_and_a_look() -> None:
    assert SHORTEST_TIME_TO_LIVE >= 3 * RENEW_SECONDS * (1 + RENEW_JITTER) + LOOK_SECONDS


def test_a_database_ends_a_stopped_transaction_before_its_member_may_be_declared_dead() -> None:
    from piper.store.postgres import SERVICE_SESSION

    assert SERVICE_SESSION["idle_in_transaction_session_timeout"] == "1000ms"
    assert SHORTEST_TIME_TO_LIVE > 1.0
