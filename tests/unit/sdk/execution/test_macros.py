"""Templates have Airflow's macros."""

from __future__ import annotations

import datetime
import json
import time
import uuid

import pytest

from piper.sdk.exceptions import AirflowOptionalProviderFeatureException
from piper.sdk.execution import macros
from piper.sdk.execution.macros import Macros, datetime_diff_for_humans, ds_add, ds_format


@pytest.mark.parametrize(
    ("ds", "days", "later"),
    [("2015-01-01", 5, "2015-01-06"), ("2015-01-06", -5, "2015-01-01"), ("2024-02-28", 1, "2024-02-29")],
)
def test_ds_add_counts_days(ds: str, days: int, later: str) -> None:
    assert ds_add(ds, days) == later


def test_ds_add_of_nothing_leaves_the_text_as_it_is() -> None:
    assert ds_add("whatever", 0) == "whatever"


def test_ds_format_reads_one_format_and_writes_another() -> None:
    assert ds_format("1/5/2015", "%m/%d/%Y", "%Y-%m-%d") == "2015-01-05"


def test_ds_format_refuses_what_is_not_in_the_format() -> None:
    with pytest.raises(ValueError, match="does not match format"):
        ds_format("2015", "%m/%d/%Y", "%Y")


def test_a_difference_is_told_in_words() -> None:
    noon = datetime.datetime(2024, 1, 1, 12, tzinfo=datetime.UTC)
    assert datetime_diff_for_humans(noon, noon + datetime.timedelta(hours=2)) == "2 hours before"


def test_modules_and_types_are_there_by_name() -> None:
    found = Macros()
    assert found.json is json
    assert found.time is time
    assert found.uuid is uuid
    assert found.datetime is datetime.datetime
    assert found.timedelta is datetime.timedelta
    assert 0 <= found.random() < 1
    assert found.dateutil.parser.parse("2024-01-02").day == 2


def test_a_macro_that_needs_a_missing_library_says_what_to_install() -> None:
    with pytest.raises(AirflowOptionalProviderFeatureException, match="pip install babel"):
        macros.ds_format_locale("2024-01-01", "%Y-%m-%d", "yyyy")


def test_an_unknown_macro_is_an_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="no macro 'ds_ad'"):
        _ = Macros().ds_ad


def test_macros_of_plugins_are_under_the_name_of_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Macros, "plugins", {"mine": json})
    assert Macros().mine is json
