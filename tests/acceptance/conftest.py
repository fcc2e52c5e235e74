"""Fixtures of tests that use Piper as a user does: through its command line and its HTTP API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.site import WORKFLOWS, Site, marked, marks


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give these tests more time than others: they wait for whole servers, several in turn."""
    for item in items:
        if "tests/acceptance/" in item.path.as_posix():
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server for the tests of a module, on the folder of workflow files that its `FOLDER` names, if it does."""
    folder = getattr(request.module, "FOLDER", None)
    site = Site(tmp_path_factory.mktemp("site"), dags=None if folder is None else WORKFLOWS / folder)
    site.start()
    yield site
    started = marks(site.pid)
    assert site.stop() == 0, site.log.read_text()
    assert marked(started) == [], "a process was left (C13)"
    trouble = [line for line in site.log.read_text().splitlines() if " ERROR " in line or "Traceback" in line]
    assert trouble == []


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[Site]:
    """A server of a test's own, to be started by it, since it will be killed."""
    site = Site(tmp_path)
    yield site
    if site.process is not None:
        site.stop()
