"""Waiting for what deferred tasks wait for: thousands of triggers in a few processes.

Theory. A trigger is a row that the owner of its run writes and deletes in the transactions that make the instance
deferred and take it out of that (`piper.core.triggers`). One service, the leader, compares these rows with what its
children run, and starts and stops triggers until both agree. It decides nothing and writes no row: what a trigger
says is reported to the Task API as a `TriggerFired` in the name of the deferred execution, and whether that still
counts is for the identity to say.

    rows of triggers → service → Begin, End → child     one asyncio loop: user code
                       service ← Report, Ask, Said ← child
          Task API  ←  Report, questions

A child is a process per snapshot of a bundle; the triggers that are installed with Piper share one, which loads no
user file. It has no token, no store and none of Piper's variables: it speaks for an execution by naming it, and the
service adds the token. Without triggers there is no child.

What is promised:

- a trigger runs at least once until it has fired; a task is resumed once for each deferral, by the fence of identities
- a trigger whose task was cleared, marked or has timed out is stopped as soon as the owner has committed that
- a trigger that blocks the loop of its child is named: its task fails, and nobody else's does

How it fails. Before each step of a coroutine the child writes into memory that it shares with the service whose step
it is (`protocol.Marks`); this costs a third of a microsecond and survives whatever ends the child. So when a child
stands still (`Watch`), crashes or is killed, the service knows in whose code. A trigger that stood still fails its
task at once, one in whose code the process ended fails it the third time; from the first time on, the triggers of that
class have a child of their own. All the others begin anew in another child, with growing pauses if that ends again.
The service dies: its children end with it, the next leader reads the rows and begins all triggers anew. The database
cannot be used: what has fired is reported when it can.
"""
