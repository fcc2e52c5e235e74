"""The examples, as far as they can be read without running them."""

from __future__ import annotations

from pathlib import Path

from piper.model.schedule import CronTimetable
from piper.model.spec import ResultLength
from piper.sdk.loader import load_file
from piper.sdk.specs import spec_of

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_hello_greets_whom_it_is_told_to() -> None:
    loaded = load_file(EXAMPLES, "hello.py")
    assert loaded.warnings == []
    made = spec_of(loaded.dags["hello"], file="hello.py")
    assert {task.task_id: task.upstream for task in made.tasks} == {
        "people": (),
        "greet": ("people",),
        "count": ("greet",),
        "goodbye": ("count",),
    }
    assert made.schedule.timetable == CronTimetable(("0 7 * * *",), "Europe/Zurich")
    assert made.params["names"].default == ["Ada", "Grace", "Edsger"]
    assert made.doc.startswith("Says hello")
    assert made.task("greet").mapped == ResultLength("people")
    assert not made.task("goodbye").code
