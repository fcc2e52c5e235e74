"""What the end of a run means for its workflow."""

from __future__ import annotations

from msgspec.structs import replace

from piper.model.run import Run
from piper.model.states import RunState
from piper.model.workflow import ScheduledWorkflow


def after_run(workflow: ScheduledWorkflow, run: Run, max_consecutive_failed_runs: int) -> ScheduledWorkflow:
    """The workflow after one of its runs has ended; the same object if nothing changes.

    Too many failures in a row pause it. A schedule that waits for a run to end (no room for another, or
    `@continuous`) must be planned anew.
    """
    failures = workflow.consecutive_failures + 1 if run.state is RunState.FAILED else 0
    paused = workflow.paused or 0 < max_consecutive_failed_runs <= failures
    waits = workflow.next_run_after is None and (workflow.next_dates or workflow.last_dates) is not None
    planned = "" if (waits and not paused) or paused != workflow.paused else workflow.planned_spec
    if (failures, paused, planned) == (workflow.consecutive_failures, workflow.paused, workflow.planned_spec):
        return workflow
    return replace(workflow, consecutive_failures=failures, paused=paused, planned_spec=planned)
