"""What is made from the code is what the code says now."""

from __future__ import annotations

from types import ModuleType

import pytest
from docs.sections import DOCS, with_section

from docs import peers_table, settings_table, state_diagram
from piper.core.task import TABLE
from piper.model.states import FINISHED, IN_FLIGHT, TaskState


@pytest.mark.parametrize("made", [peers_table, settings_table, state_diagram], ids=lambda m: m.__name__)
def test_a_generated_part_is_current(made: ModuleType) -> None:
    text = (DOCS / made.DOCUMENT).read_text()
    wanted = with_section(text, made.SECTION, made.section())
    assert text == wanted, f"write it anew: python -m {made.__name__}"


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
