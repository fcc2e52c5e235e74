"""How the web server listens."""

from __future__ import annotations

from piper.web.server import reachable


def test_a_server_that_listens_everywhere_is_reached_on_this_machine() -> None:
    assert reachable("0.0.0.0") == "127.0.0.1"
    assert reachable("::") == "[::1]"
    assert reachable("10.0.0.1") == "10.0.0.1"
    assert reachable("piper.example") == "piper.example"
