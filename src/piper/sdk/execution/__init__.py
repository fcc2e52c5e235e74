"""What happens inside one execution of a task: from the context that it is handed to the report of how it ended.

The model. `runner.run_task` takes an operator, the facts of the execution (`wire.TaskContext`) and a `Channel`
to whoever started it, and gives back one `wire.Report`. Between the two it is a straight line of named steps:
unmap, render, validate, call, push, decide. `current.Execution` is the one object that all steps share: it holds
the facts, gathers what is to be reported (XComs, metrics, asset events, a branch decision) and is reachable from
anywhere in the call stack, so that `get_current_context()` and `Variable.get` need no argument.

Invariants:

- User code never sees a half-built context: a key either has its value or is absent.
- Nothing is computed or imported before someone asks for it. The context is lazy, Jinja and pendulum are
  imported by the first template or date that needs them. A trivial task costs a few hundred microseconds.
- What was pulled from another task is data and is never rendered as a template.
- A mapped instance fetches its own element, never the whole list.
- The report is all or nothing: XComs, events and the outcome reach the store in one transaction. The exception
  are values too large to wait (`xcoms`), which are stored as they are pushed.

How it fails. Whatever user code raises becomes an event (`outcome`), with a traceback in the log that begins at
the user's own frame. Errors of the channel are `piper.model.errors` and are raised in user code that asked.
Only KeyboardInterrupt passes through: it ends the process, and the supervisor reports that.
"""
