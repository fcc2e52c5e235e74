"""What a running task may ask and say: the only way from a worker to the store.

Theory. `TaskApi.handle` takes a list of calls and returns as many replies, whatever carried them: `pipe` serves the
supervisor of this machine over a socket pair; HTTP will serve remote ones with the same function. It decides nothing
about workflows. A worker's start moves a row from queued to running; its report becomes an event, which the owner of
the run applies. Everything else is questions.

    calls → tokens → batch: starts, reports, pushed XComs    one transaction  → replies
                   → questions, commands                     after it         → replies

Work is for many calls at once: however many starts and reports arrive together, they are one locking read, one
statement per table and one commit.

Invariants:

* User code of one execution is entered by one holder: the start is granted once, to one nonce (`handshake`, I6).
* What comes from an execution that is not open changes nothing (I10): not current, already reported on, declared lost.
* A report is all or nothing: event, attempt and XComs are one transaction; saying it twice is saying it once.
* A task reads what its team may read and pushes XComs of its own instance only. Its token is good for its own
  execution only, and the row decides whether that is current.
* JSON text that a task wrote is never made into objects here (`elements`).
* What was acknowledged is committed (I23).

How it fails. The database cannot be used: every call of the batch is `unavailable` and may be repeated. One call that
this server cannot digest: the batch is repeated call by call, and only that one fails. A spec without the task that is
to start: the task fails with that reason, since sending it again would never end.
"""
