"""Notifiers: objects that can be given wherever a callback can."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from piper.sdk.execution.templating import Templater


class BaseNotifier(Templater):
    """Base of notifiers: implement `notify`, or `async_notify`.

    Example::

        class ToChat(BaseNotifier):
            template_fields = ("message",)

            def __init__(self, message: str):
                super().__init__()
                self.message = message

            def notify(self, context):
                post(self.message)

        BashOperator(task_id="load", …, on_failure_callback=ToChat("{{ task_instance_key_str }} failed"))
    """

    template_fields: Sequence[str] = ()
    template_ext: Sequence[str] = ()

    def __init__(self, context: Mapping[str, Any] | None = None) -> None:
        self.context: Any = context or {}
        self.resolve_template_files()

    @property
    def log(self) -> logging.Logger:
        """The logger of its messages."""
        return logging.getLogger(f"airflow.notifier.{type(self).__module__}.{type(self).__name__}")

    def render_template_fields(self, context: Mapping[str, Any], jinja_env: Any = None) -> None:
        """Render its template fields in place, with the environment of the context's DAG."""
        dag = context.get("dag")
        environment = jinja_env or (self.get_template_env(dag) if dag is not None and self.template_fields else None)
        self._do_render_template_fields(self, self.template_fields, context, environment, set())

    def notify(self, context: Any) -> None:
        """Send the message."""
        raise NotImplementedError(f"{type(self).__name__} has no notify()")

    async def async_notify(self, context: Any) -> None:
        """Send the message, in a coroutine."""
        raise NotImplementedError(f"{type(self).__name__} has no async_notify()")

    def __call__(self, context: Any) -> None:
        """Render and notify: what happens when it is called back."""
        self._render_with(context)
        try:
            self.notify(context)
        except Exception as error:
            self.log.error("Failed to send notification (sync): %s", error)
            raise

    def __await__(self) -> Generator[Any, None, None]:
        """Render and notify, with the context that it was made with."""
        self._render_with(self.context)
        return self.async_notify(self.context).__await__()

    def _render_with(self, context: Any) -> None:
        context.update({name: getattr(self, name) for name in self.template_fields})
        self.render_template_fields(context)
