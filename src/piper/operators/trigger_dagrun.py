"""Starting a run of another workflow."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Unpack
from urllib.parse import quote

from piper.model import wire
from piper.model.errors import Conflict
from piper.model.states import RunState
from piper.operators.moments import aware, parse_moment
from piper.operators.triggers.external_task import DagStateTrigger
from piper.sdk.arguments import OperatorArguments
from piper.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from piper.sdk.operator import BaseOperator
from piper.sdk.placeholders import NOTSET

XCOM_RUN_ID = "trigger_run_id"
"""The XCom that holds the id of the run."""

Moment = str | datetime | None
"""A moment as authors give it; NOTSET where None means "none"."""


class DagIsPaused(AirflowException):
    """The workflow to start is paused, and `fail_when_dag_is_paused` is set."""

    def __init__(self, dag_id: str) -> None:
        super().__init__(dag_id)
        self.dag_id = dag_id

    def __str__(self) -> str:
        return f"Dag {self.dag_id} is paused"


class TriggerDagRunLink:
    """The link from the task to the run that it started."""

    name = "Triggered DAG"
    xcom_key = "_link_TriggerDagRunLink"

    def get_link(self, *, operator: Any, ti_key: Any) -> str:
        """Path of the run's page; empty if none was started."""
        run_id = operator.trigger_run_id
        return f"/workflows/{quote(operator.trigger_dag_id)}/runs/{quote(run_id, safe='')}" if run_id else ""


class TriggerDagRunOperator(BaseOperator):
    """Starts a run of another workflow, and waits for its end if it is to.

    Arguments:
        trigger_dag_id: id of the workflow. (templated)
        trigger_run_id: id of the run; by default one is made. (templated)
        conf: the run's configuration, JSON. (templated)
        logical_date: logical date of the run; by default now, or none if `run_after` is given. (templated)
        run_after: the run does not start before this moment.
        reset_dag_run: if the run exists, clear it, so that it runs again.
        wait_for_completion: wait until the run has ended. (templated)
        poke_interval: seconds between looks at the run while waiting.
        allowed_states: states of the run that end the wait well; by default success.
        failed_states: states of the run that fail the task; by default failed.
        skip_when_already_exists: be skipped if the run exists. (templated)
        fail_when_dag_is_paused: fail if the workflow is paused.
        note: a note for the run.
        deferrable: wait without holding a worker.
        openlineage_inject_parent_info: accepted for Airflow's sake, without effect.
    """

    template_fields: Sequence[str] = (
        "trigger_dag_id",
        "trigger_run_id",
        "logical_date",
        "conf",
        "wait_for_completion",
        "skip_when_already_exists",
    )
    template_fields_renderers: ClassVar[Mapping[str, str]] = {"conf": "py"}
    operator_extra_links: Sequence[Any] = (TriggerDagRunLink(),)
    ui_color = "#ffefeb"

    def __init__(
        self,
        *,
        task_id: str,
        trigger_dag_id: str,
        trigger_run_id: str | None = None,
        conf: dict[str, Any] | None = None,
        logical_date: Moment = NOTSET,  # type: ignore[assignment]  # None is a value
        run_after: Moment = NOTSET,  # type: ignore[assignment]
        reset_dag_run: bool = False,
        wait_for_completion: bool = False,
        poke_interval: float = 60,
        allowed_states: Iterable[str] | None = None,
        failed_states: Iterable[str] | None = None,
        skip_when_already_exists: bool = False,
        fail_when_dag_is_paused: bool = False,
        note: str | None = None,
        deferrable: bool = False,
        openlineage_inject_parent_info: bool = True,
        **arguments: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(task_id=task_id, **arguments)
        self.trigger_dag_id = self.triggers_workflow = trigger_dag_id
        self.trigger_run_id = trigger_run_id
        self.conf = conf
        self.logical_date: Any = logical_date
        self.run_after: Any = run_after
        self.reset_dag_run = reset_dag_run
        self.wait_for_completion = wait_for_completion
        self.poke_interval = poke_interval
        self.allowed_states = [RunState(state) for state in allowed_states or (RunState.SUCCESS,)]
        if failed_states is None:
            failed_states = (RunState.FAILED,)
        self.failed_states = [RunState(state) for state in failed_states]
        self.skip_when_already_exists = skip_when_already_exists
        self.fail_when_dag_is_paused = fail_when_dag_is_paused
        self.note = note
        self.deferrable = deferrable
        self.openlineage_inject_parent_info = openlineage_inject_parent_info
        _moment("run_after", run_after)

    def execute(self, context: Any) -> None:
        """Start the run."""
        ti = context["ti"]
        if self.fail_when_dag_is_paused and ti.get_dag(self.trigger_dag_id).is_paused:
            raise DagIsPaused(self.trigger_dag_id)
        self.trigger_run_id = self._start(ti)
        ti.xcom_push(key=XCOM_RUN_ID, value=self.trigger_run_id)
        if not self.wait_for_completion:
            return
        if self.deferrable:
            states = [state.value for state in (*self.allowed_states, *self.failed_states)]
            self.defer(
                trigger=DagStateTrigger(
                    dag_id=self.trigger_dag_id,
                    states=states,
                    run_ids=[self.trigger_run_id],
                    poll_interval=self.poke_interval,
                ),
                method_name="execute_complete",
            )
        self._wait(ti)

    def execute_complete(self, context: Any, event: Any) -> None:
        """Go on after the wait.

        Arguments:
            event: path of the trigger, and its arguments with the state of each run.
        """
        _, said = event
        run_ids = said["run_ids"]
        self.trigger_run_id = run_ids[0] if len(run_ids) == 1 else None
        failed = [run_id for run_id in run_ids if said.get(run_id) in self.failed_states]
        if failed:
            raise AirflowException(f"{self.trigger_dag_id} failed: {', '.join(failed)}")
        for run_id in run_ids:
            self.log.info("%s finished: %s %s", self.trigger_dag_id, run_id, said.get(run_id))

    def _start(self, ti: Any) -> str:
        run_after = None if self.run_after is NOTSET else _moment("run_after", self.run_after)
        if self.logical_date is NOTSET:
            logical_date = datetime.now(UTC) if self.run_after is NOTSET else None
        else:
            logical_date = _moment("logical_date", self.logical_date)
        asked = wire.TriggerRun(
            self.trigger_dag_id,
            run_id=str(self.trigger_run_id or ""),
            logical_date=logical_date,
            run_after=run_after,
            conf=self._checked_conf(),
            reset=self.reset_dag_run,
            note=self.note or "",
        )
        try:
            run_id: str = ti.execution.channel.ask(asked)
        except Conflict as error:
            if self.skip_when_already_exists:
                raise AirflowSkipException(f"the run exists already: {error}") from None
            raise AirflowFailException(f"the run exists already: {error}") from None
        self.log.info("Dag Run triggered successfully: %s %s", self.trigger_dag_id, run_id)
        return run_id

    def _checked_conf(self) -> dict[str, Any]:
        conf: Any = self.conf
        try:
            conf = json.loads(conf) if isinstance(conf, str) and conf else conf
            json.dumps(conf, allow_nan=False)
        except (TypeError, ValueError):
            raise ValueError(f"conf parameter should be JSON Serializable: {self.conf}") from None
        if conf is not None and not isinstance(conf, dict):
            raise ValueError(f"conf must be a dict, not {type(conf).__name__}")
        return conf or {}

    def _wait(self, ti: Any) -> None:
        while True:
            self.log.info("Waiting for %s of %s", self.trigger_run_id, self.trigger_dag_id)
            time.sleep(self.poke_interval)
            state = ti.get_dagrun_state(self.trigger_dag_id, self.trigger_run_id)
            if state in self.failed_states:
                raise AirflowException(f"{self.trigger_dag_id} failed with failed state {state}")
            if state in self.allowed_states:
                self.log.info("DagRun finished with allowed state %s", state)
                return


def _moment(name: str, value: Any) -> datetime | None:
    if value is None or value is NOTSET:
        return None
    if isinstance(value, datetime):
        return aware(value, UTC)
    if isinstance(value, str):
        return parse_moment(value)
    raise TypeError(f"Expected str, datetime.datetime, or None for parameter '{name}'. Got {type(value).__name__}")
