"""XComs as a class, for code that names them so. Tasks use `ti.xcom_push` and `ti.xcom_pull`."""

from __future__ import annotations

from typing import Any, ClassVar

from piper.model.spec import RETURN_KEY


class BaseXCom:
    """What tasks leave behind for other tasks. Custom backends (`xcom_backend`) are no part of Piper yet."""

    XCOM_RETURN_KEY: ClassVar[str] = RETURN_KEY

    @classmethod
    def get_one(
        cls,
        *,
        key: str = RETURN_KEY,
        task_id: str,
        dag_id: str | None = None,
        run_id: str | None = None,
        map_index: int | None = None,
        include_prior_dates: bool = False,
    ) -> Any:
        """One value, or None. Only within a running task.

        Arguments:
            key: by default the task's return value.
            dag_id, run_id: by default those of the running task.
            map_index: of a mapped task.
        """
        from piper.sdk.execution.current import get_current_context  # only in a running task

        return get_current_context()["ti"].xcom_pull(
            task_ids=task_id,
            dag_id=dag_id,
            key=key,
            run_id=run_id,
            include_prior_dates=include_prior_dates,
            **({} if map_index is None else {"map_indexes": map_index}),
        )


XCOM_RETURN_KEY = RETURN_KEY
