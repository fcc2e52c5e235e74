"""All 67 files load in the strict mode, or fail with the one line that names what Piper does not have."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from piper.model.errors import AuthorError
from piper.sdk.loader import load_file
from piper.sdk.specs import spec_of
from tests.airflow_examples.table import ASSETS, NAMED, REMAINING, plain
from tests.airflow_examples.wheels import FILES, files_of

RUN = plain(datetime.now(UTC)) | ASSETS | NAMED


def test_the_table_is_about_all_files(root: Path) -> None:
    files = files_of(root)
    assert len(files) == FILES
    assert sorted(files) == sorted([*RUN, *REMAINING])
    assert (len(plain(datetime.now(UTC))), len(ASSETS), len(NAMED), len(REMAINING)) == (39, 7, 4, 17)


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("name", sorted(RUN))
def test_it_loads_with_its_dags_and_without_a_warning(name: str, root: Path) -> None:
    file = str(files_of(root)[name])
    loaded = load_file(root, file)
    assert set(loaded.dags) == {end.dag_id for end in RUN[name]}
    assert loaded.warnings == []
    for dag in loaded.dags.values():
        assert spec_of(dag, file=file).workflow_id == dag.dag_id


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("name", sorted(REMAINING))
def test_what_needs_more_loads_or_says_what_is_missing(name: str, root: Path) -> None:
    expected = REMAINING[name]
    if isinstance(expected, int):
        assert len(load_file(root, str(files_of(root)[name])).dags) == expected
        return
    with pytest.raises(AuthorError) as caught:
        load_file(root, str(files_of(root)[name]))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
