"""The web server: a JSON API for people and programs, live streams, and the page at `/`.

Theory. The web server is stateless and decides nothing about runs. A read is a query. A write is one
transaction: its effect, its audit row, and the reply under the caller's Idempotency-Key, together or not
at all. What changes the state of a run is not written here but *sent*: a command is an event row that the
owner of the run applies (architecture §5), and the reply waits for that, without holding a thread, for two
seconds at most: 200 if it was applied, 202 if it is still on its way.

    guard       headers, hosts and origins, sizes, correlation ids: before and around everything
    routing     an endpoint is a value with a permission; one without cannot be made
    policy      who may do what: one function
    writes      the transaction of a write; waiting for a command
    paging      lists cut by key
    streams     server-sent events
    problems    errors as problem details (RFC 9457)
    resources/  one file per noun: what is sent and received, and the handlers

Invariants. Every route but the few that are declared public needs a principal (security.md §2). A handler
loads the object first and authorises what it loaded; one that returns without having asked is refused. What
a caller may not read does not exist for it: the same 404, the same words. Lists are filtered by team in SQL.
No reply holds a stack, SQL or a path of the server. A 2xx to a write means that it is committed (I23).

How it fails. Database away: 503, nothing written. Connection lost during COMMIT: 503 that says so; the same
Idempotency-Key finds out what happened. Too many streams: 503 for the next one. No user code is ever loaded
here: values of XComs pass through as the bytes they are.
"""
