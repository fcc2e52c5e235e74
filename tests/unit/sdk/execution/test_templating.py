"""Template fields are rendered, what other tasks returned is not, and Jinja is imported only when it is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import pytest

from piper.sdk.execution.templating import Templater, create_environment, has_markup


class Letter(Templater):
    """Something with template fields."""

    template_fields = ("text", "options")
    template_ext = (".tmpl",)

    def __init__(self, text: Any = None, options: Any = None, folder: Path | None = None, **dag: Any) -> None:
        self.text = text
        self.options = options
        self._folder = folder
        for name, value in dag.items():
            setattr(self, name, value)

    def get_template_env(self, dag: Any = None) -> jinja2.Environment:
        native = getattr(self, "render_template_as_native_obj", False)
        return create_environment(native=native, search_path=[str(self._folder)] if self._folder else [])


def rendered(text: Any, context: dict[str, Any] | None = None, **more: Any) -> Any:
    letter = Letter(text, **more)
    letter.render_template_fields(context or {"name": "Ada", "items": [1, 2]})
    return letter.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello {{ name }}", "Hello Ada"),
        ("{% for i in items %}{{ i }},{% endfor %}", "1,2,"),
        ("{# nothing #}x", "x"),
        ("{% set l = [] %}{% do l.append(3) %}{{ l }}", "[3]"),
        (["{{ name }}", ("{{ name }}", 5)], ["Ada", ("Ada", 5)]),
        ({"k {{ name }}": {"{{ name }}"}}, {"k {{ name }}": {"Ada"}}),
        (5, 5),
        ("{ no markup }", "{ no markup }"),
    ],
)
def test_strings_are_rendered_wherever_they_stand(text: Any, expected: Any) -> None:
    assert rendered(text) == expected


@pytest.mark.parametrize("text", ["plain", "two\nlines\n", "end\n\n", "mac\rdos\r\n", "", "a { b } % #"])
def test_text_without_markup_becomes_what_jinja_makes_of_it(text: str) -> None:
    assert rendered(text) == create_environment().from_string(text).render()


def test_a_name_that_is_not_there_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="'surname' is undefined"):
        rendered("{{ surname }}")


def test_a_template_with_wrong_syntax_is_an_error() -> None:
    with pytest.raises(jinja2.TemplateSyntaxError):
        rendered("{{ name ")


def test_a_template_cannot_reach_pythons_internals() -> None:
    with pytest.raises(jinja2.exceptions.SecurityError):
        rendered("{{ name.__class__.__mro__ }}")


def test_an_attribute_with_one_underscore_can_be_read() -> None:
    class Thing:
        _x = 5

    assert rendered("{{ thing._x }}", {"thing": Thing()}) == "5"


def test_native_rendering_gives_python_values_and_keeps_the_sandbox() -> None:
    assert rendered("{{ items }}", render_template_as_native_obj=True) == [1, 2]
    assert rendered("12", render_template_as_native_obj=True) == 12
    with pytest.raises(jinja2.exceptions.SecurityError):
        rendered("{{ name.__class__.__mro__ }}", render_template_as_native_obj=True)


def test_a_string_with_a_template_extension_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "hello.tmpl").write_text("Hello {{ name }}!")
    assert rendered("hello.tmpl", folder=tmp_path) == "Hello Ada!"
    assert rendered("hello.tmpl ", folder=tmp_path) == "hello.tmpl "


def test_a_template_file_that_is_missing_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(jinja2.TemplateNotFound, match=r"gone\.tmpl"):
        rendered("gone.tmpl", folder=tmp_path)


def test_files_can_be_read_into_the_fields_beforehand(tmp_path: Path) -> None:
    (tmp_path / "a.tmpl").write_text("A {{ name }}")
    letter = Letter("a.tmpl", ["a.tmpl", "b"], folder=tmp_path)
    letter.resolve_template_files()
    assert (letter.text, letter.options) == ("A {{ name }}", ["A {{ name }}", "b"])


def test_a_callable_field_is_called() -> None:
    assert rendered(lambda context, jinja_env: f"{context['name']} {type(jinja_env).__name__}").startswith("Ada ")


def test_an_object_with_template_fields_of_its_own_is_rendered_in_place() -> None:
    inner = Letter("{{ name }}")
    assert rendered([inner])[0] is inner
    assert inner.text == "Ada"


def test_an_object_that_contains_itself_is_rendered_once() -> None:
    inner = Letter("{{ name }}")
    inner.options = inner
    assert rendered(inner) is inner


def test_a_reference_is_resolved_and_its_value_is_not_rendered() -> None:
    class Reference:
        def resolve(self, context: Any) -> str:
            return "{{ name }}"

    assert rendered(Reference()) == "{{ name }}"
    assert rendered([Reference()]) == ["{{ name }}"]


def test_a_path_is_left_alone_although_it_has_a_method_of_that_name() -> None:
    assert rendered(Path("a")) == Path("a")


def test_values_that_are_marked_as_data_are_left_alone() -> None:
    data = "{{ name }}".join(["", ""])
    assert Letter().render_template(data, {"name": "Ada"}, seen_oids={id(data)}) == "{{ name }}"


def test_a_template_field_that_the_class_does_not_have_is_an_error() -> None:
    class Wrong(Templater):
        template_fields = ("absent",)

    with pytest.raises(AttributeError, match="'absent' is named in template_fields, but Wrong has no such attribute"):
        Wrong().render_template_fields({})


def test_a_field_without_a_truth_value_is_rendered_nevertheless() -> None:
    class Frame:
        def __bool__(self) -> bool:
            raise ValueError("ambiguous")

    frame = Frame()
    assert rendered(frame) is frame


@pytest.mark.parametrize(
    ("value", "expected"),
    [("{{ a }}", True), ("a", False), ({"a": ["{% if x %}"]}, True), ("x.sql", True), (5, False)],
)
def test_what_needs_jinja_is_known_beforehand(value: Any, expected: bool) -> None:
    assert has_markup(value, (".sql",)) is expected
