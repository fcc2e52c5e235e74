"""Rendering of template fields with Jinja.

Only what is named in `template_fields` is rendered, through lists, tuples, dicts, sets and objects with
template fields of their own; references to XComs are resolved on the way. What was resolved is data: it is
never rendered in turn, or a task could be made to run whatever another one returns.

Jinja is imported by the first string that needs it. A string without markup is its own rendering; what Jinja
would still do to it (drop one newline at the end) is done here.
"""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from piper.sdk.execution.masking import redact

if TYPE_CHECKING:
    import jinja2

log = logging.getLogger(__name__)

_MARKUP = ("{{", "{%", "{#")


class Templater:
    """What an operator, notifier or trigger inherits to have its template fields rendered."""

    template_fields: Collection[str] = ()
    """Names of the attributes that are rendered."""
    template_ext: Sequence[str] = ()
    """A string that ends with one of these is the path of a file to render."""

    def get_template_env(self, dag: Any = None) -> jinja2.Environment:
        """The Jinja environment of the DAG, or a plain one without a DAG."""
        if dag is None:
            dag = getattr(self, "dag", None)
        if dag is not None:
            environment: jinja2.Environment = dag.get_template_env(force_sandboxed=False)
            return environment
        return create_environment()

    def prepare_template(self) -> None:
        """Hook: change the fields before they are rendered, once files have been read into them."""

    def resolve_template_files(self) -> None:
        """Replace paths of template files by the text of the files."""
        for name in self.template_fields if self.template_ext else ():
            content = getattr(self, name, None)
            if isinstance(content, str) and self._is_template_file(content):
                setattr(self, name, self._read_template_file(content))
            elif isinstance(content, list):
                for position, item in enumerate(content):
                    if isinstance(item, str) and self._is_template_file(item):
                        content[position] = self._read_template_file(item)
        self.prepare_template()

    def render_template_fields(self, context: Mapping[str, Any], jinja_env: jinja2.Environment | None = None) -> None:
        """Render every template field in place.

        Raises:
            jinja2.TemplateError: a template is wrong, or names what is not there.
        """
        self._do_render_template_fields(self, self.template_fields, context, jinja_env, set())

    def render_template(
        self,
        content: Any,
        context: Mapping[str, Any],
        jinja_env: jinja2.Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:
        """A value with all templates inside it rendered and all references resolved.

        Arguments:
            seen_oids: `id()`s of values to leave as they are.
        """
        return _Rendering(self, context, jinja_env, seen_oids if seen_oids is not None else set()).render(content)

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Mapping[str, Any],
        jinja_env: jinja2.Environment | None,
        seen_oids: set[int],
    ) -> None:
        """Render these fields of `parent` in place. Named as in Airflow: operators override it."""
        rendering: _Rendering | None = None
        for name, value in _filled_fields(parent, template_fields):
            rendering = rendering or _Rendering(self, context, jinja_env, seen_oids)
            try:
                rendered = rendering.render_field(value)
            except Exception:
                log.error("cannot render %s of %s: %r", name, _name_of(self, parent), redact(value, name))
                raise
            if rendered is not value:
                setattr(parent, name, rendered)

    def _is_template_file(self, text: str) -> bool:
        return bool(self.template_ext) and text.endswith(tuple(self.template_ext))

    def _read_template_file(self, path: str) -> str:
        environment = self.get_template_env()
        try:
            if environment.loader is None:
                raise FileNotFoundError(f"template file {path!r}: the task has no DAG whose folder could be searched")
            return environment.loader.get_source(environment, path)[0]
        except Exception:
            # As in Airflow the path stays, and rendering it fails with a clear TemplateNotFound.
            log.exception("cannot read template file %r", path)
            return path


class _Rendering:
    """One pass over the fields of an object; the Jinja environment is made when the first template is met."""

    def __init__(
        self, templater: Templater, context: Mapping[str, Any], environment: jinja2.Environment | None, seen: set[int]
    ) -> None:
        self._templater = templater
        self._context = context
        self._environment = environment
        self._seen = seen
        self._native, self._customised = _settings_of(templater)

    def render_field(self, value: Any) -> Any:
        """A field's value rendered; a callable is called."""
        if callable(value) and not hasattr(value, "resolve"):
            return value(context=self._context, jinja_env=self._jinja())
        return self.render(value)

    def render(self, value: Any) -> Any:
        if id(value) in self._seen:
            return value
        kind = value.__class__
        if kind is str:
            return self._render_text(value)
        if value is None or kind in (int, float, bool):
            return value
        if isinstance(value, str):
            return self._render_text(value)
        if not isinstance(value, os.PathLike):
            resolve = getattr(value, "resolve", None)
            if callable(resolve):
                return resolve(self._context)
        return self._render_collection(value)

    def _render_collection(self, value: Any) -> Any:
        if isinstance(value, tuple):
            items = [self.render(item) for item in value]
            return value.__class__(*items) if hasattr(value, "_fields") else value.__class__(items)
        if isinstance(value, list):
            return [self.render(item) for item in value]
        if isinstance(value, dict):
            return {key: self.render(item) for key, item in value.items()}
        if isinstance(value, set):
            return {self.render(item) for item in value}
        self._seen.add(id(value))
        fields = getattr(value, "template_fields", None)
        if fields and not isinstance(fields, str):
            self._templater._do_render_template_fields(value, fields, self._context, self._environment, self._seen)
        return value

    def _render_text(self, text: str) -> Any:
        is_file = self._templater._is_template_file(text)
        if not is_file and not self._customised and not any(mark in text for mark in _MARKUP):
            return _as_rendered(text)
        environment = self._jinja()
        template = environment.get_template(text) if is_file else environment.from_string(text)
        return render(template, self._context, native=self._native)

    def _jinja(self) -> jinja2.Environment:
        if self._environment is None:
            self._environment = self._templater.get_template_env()
        return self._environment


def render(template: jinja2.Template, context: Mapping[str, Any], *, native: bool) -> Any:
    """Render a template without making the lazy context compute what the template does not name.

    `Template.render` would copy the context into a dict first. The parts used here are Jinja's public ones.
    """
    environment = template.environment
    names = copy.copy(context)
    missing = {name: value for name, value in template.globals.items() if name not in names}
    names.update(missing)  # type: ignore[attr-defined]
    jinja_context = environment.context_class(environment, names, template.name, template.blocks)  # type: ignore[arg-type]
    try:
        parts = list(template.root_render_func(jinja_context))
    except Exception:
        environment.handle_exception()  # the traceback then points into the template
    if native:
        from jinja2.nativetypes import native_concat  # lazy, as all of Jinja here

        return native_concat(parts)
    return "".join(parts)


def create_environment(
    *,
    native: bool = False,
    search_path: Sequence[str] = (),
    undefined: type[jinja2.Undefined] | None = None,
    options: Mapping[str, Any] | None = None,
    macros: Mapping[str, Any] | None = None,
    filters: Mapping[str, Any] | None = None,
) -> jinja2.Environment:
    """A sandboxed Jinja environment with Airflow's filters.

    Arguments:
        native: render to Python values in place of strings.
        search_path: folders in which template files are looked up.
        undefined: what becomes of names that are not there; by default they are errors.
        options: further arguments of `jinja2.Environment`.
        macros: the author's own globals.
        filters: the author's own filters.
    """
    # Lazy: importing Jinja takes 30 ms, and most tasks have no templates.
    from piper.sdk.execution import jinja

    environment = jinja.make(native, tuple(search_path), undefined, dict(options or {}))
    environment.globals.update(macros or {})
    environment.filters.update(filters or {})
    return environment


def has_markup(value: Any, extensions: Sequence[str] = ()) -> bool:
    """Whether rendering this value will need Jinja: a zygote imports it ahead of the tasks that do."""
    if isinstance(value, str):
        return any(mark in value for mark in _MARKUP) or bool(extensions and value.endswith(tuple(extensions)))
    if isinstance(value, Mapping):
        return any(has_markup(item, extensions) for item in value.values())
    if isinstance(value, (list, tuple, set)):
        return any(has_markup(item, extensions) for item in value)
    return False


def _as_rendered(text: str) -> str:
    """What Jinja makes of a text without markup: newlines are unified, and a last one is dropped."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.removesuffix("\n")


def _settings_of(templater: Templater) -> tuple[bool, bool]:
    """Whether to render to Python values, and whether even a text without markup needs Jinja."""
    dag = getattr(templater, "dag", None)
    own = getattr(templater, "render_template_as_native_obj", None)
    native = bool(own if own is not None else getattr(dag, "render_template_as_native_obj", False))
    # Native rendering makes an int of "1"; options may change what markup looks like.
    return native, native or bool(getattr(dag, "jinja_environment_kwargs", None))


def _filled_fields(parent: Any, template_fields: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Names and values of the fields that have something to render: falsy values are left alone."""
    for name in template_fields:
        try:
            value = getattr(parent, name)
        except AttributeError:
            raise AttributeError(
                f"{name!r} is named in template_fields, but {type(parent).__name__} has no such attribute: "
                f"assign it in __init__"
            ) from None
        try:
            filled = bool(value)
        except Exception:
            filled = True  # a data frame, say, has no truth value
        if filled:
            yield name, value


def _name_of(templater: Templater, parent: Any) -> str:
    task_id = getattr(templater, "task_id", None)
    return f"task {task_id!r}" if task_id else type(parent).__name__
