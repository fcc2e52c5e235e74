"""Links from a task to pages of other systems."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar


class BaseOperatorLink(ABC):
    """Base of links: an operator class lists instances in `operator_extra_links`."""

    operators: ClassVar[list[type[Any]]] = []

    @property
    @abstractmethod
    def name(self) -> str:
        """What the button says."""

    @property
    def xcom_key(self) -> str:
        """The XCom that keeps the link of an execution."""
        return f"_link_{type(self).__name__}"

    @abstractmethod
    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The address, computed when the task has run.

        Arguments:
            operator: the task.
            ti_key: names the execution: `dag_id`, `task_id`, `run_id`, `try_number`, `map_index`.
        """
