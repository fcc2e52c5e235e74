"""What is made from the code is what the code says now."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

import pytest
from docs.reference import OPERATORS, PAGES, SDK, Page
from docs.sections import DOCS, with_section

import piper.operators
import piper.sdk
from docs import former_spellings, peers_table, reference, settings_table, state_diagram
from piper.core.task import TABLE
from piper.model.states import FINISHED, IN_FLIGHT, TaskState
from piper.sdk.batteries import ASSET_OPERATOR, DECORATORS
from piper.sdk.importing import path_of
from piper.sdk.operator import BaseOperator


@pytest.mark.parametrize(
    "made", [former_spellings, peers_table, settings_table, state_diagram], ids=lambda m: m.__name__
)
def test_a_generated_part_is_current(made: ModuleType) -> None:
    text = (DOCS / made.DOCUMENT).read_text()
    wanted = with_section(text, made.SECTION, made.section())
    assert text == wanted, f"write it anew: python -m {made.__name__}"


def test_the_table_of_what_piper_lacks_is_current() -> None:
    text = (DOCS / former_spellings.DOCUMENT).read_text()
    wanted = with_section(text, former_spellings.LACKING_SECTION, former_spellings.lacking())
    assert text == wanted, "write it anew: python -m docs.former_spellings"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.document)
def test_a_page_of_the_reference_is_current(page: Page) -> None:
    text = (DOCS / page.document).read_text()
    assert text == with_section(text, reference.SECTION, page.section()), "write it anew: python -m docs.reference"


def test_the_reference_has_every_public_name() -> None:
    told = {name for topic in SDK.topics.values() for name in topic}
    assert set(piper.sdk.__all__) - told == {"__version__", "macros"}


def test_the_reference_has_every_operator() -> None:
    told = {home for topic in OPERATORS.topics.values() for home in topic.values()}
    assert {f"{one.__module__}:{one.__name__}" for one in operators()} - told == set()


def operators() -> list[type[BaseOperator]]:
    """The operators that come with Piper and are for authors: not those that only decorators make."""
    found: dict[str, type[BaseOperator]] = {}
    for module in pkgutil.walk_packages(piper.operators.__path__, "piper.operators."):
        for one in vars(importlib.import_module(module.name)).values():
            if isinstance(one, type) and issubclass(one, BaseOperator) and one.__module__ == module.name:
                found[path_of(one)] = one
    decorators = {*DECORATORS.values(), ASSET_OPERATOR}
    return [one for path, one in found.items() if path not in decorators and "Decorated" not in one.__name__]


def test_a_document_without_the_section_is_refused() -> None:
    with pytest.raises(ValueError, match="no section 'settings'"):
        with_section("# Nothing\n", "settings", "")


def test_the_diagram_has_an_arrow_for_every_row_but_those_of_all_states() -> None:
    drawn = state_diagram.mermaid()
    for row in TABLE:
        for target in row.targets:
            if row.event.__name__ not in ("Cleared", "Marked", "Vanished"):
                assert row.event.__name__ in drawn
                assert f"--> {target}" in drawn


def test_every_state_of_the_table_is_in_the_diagram_and_no_other() -> None:
    words = state_diagram.mermaid().replace(":", " ").split()
    assert {state for state in TaskState if str(state) in words} == state_diagram.REACHED
    assert state_diagram.in_words(FINISHED | IN_FLIGHT) == "in flight, finished"
    assert state_diagram.in_words(state_diagram.REACHED) == "any state"
