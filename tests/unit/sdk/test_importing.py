"""Dotted paths there and back, and libraries that only some tasks need."""

from __future__ import annotations

import pytest

from piper.sdk.exceptions import AirflowOptionalProviderFeatureException
from piper.sdk.importing import import_for, import_path, path_of


class Inner:
    """Something with a path."""


def test_a_path_leads_back_to_what_it_was_made_of() -> None:
    assert path_of(Inner) == f"{__name__}.Inner"
    assert import_path(path_of(Inner)) is Inner
    assert import_path(path_of(test_a_path_leads_back_to_what_it_was_made_of)).__module__ == __name__


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nothing", "'nothing' is no dotted path"),
        ("no.such.module", "No module named 'no'"),
        ("datetime.Gone", "module datetime has no Gone"),
    ],
)
def test_a_path_that_leads_nowhere_is_an_import_error(path: str, message: str) -> None:
    with pytest.raises(ImportError, match=message):
        import_path(path)


def test_a_missing_library_is_named_with_what_needs_it() -> None:
    assert import_for("this test", "json").loads("1") == 1
    with pytest.raises(AirflowOptionalProviderFeatureException, match=r"this test needs nowhere.*pip install nowhere"):
        import_for("this test", "nowhere.inner")
