"""Giving slots to scheduled task instances, and handing them to workers.

Theory. One executor leads, under the fence of EXECUTOR_SHARD; others stand by. Its tick counts from committed rows
what is held and what is free, reads as many candidates as could be granted, lets `core.grants.allocate` decide, and
commits scheduled → queued under the fence. Only then the granted executions are sent to the backend. Between commit
and send a crash loses nothing: what is queued and has not started is sent again, the same execution with the same
token, by whoever leads next; and the start handshake drops what arrives twice.

    service        the loop: grant, dispatch, resend after a change of leader or worker
    queued_sweep   what was sent and has not started in 30 s is sent again
    lost_workers   executions of workers that stopped renewing are declared lost
    misfits        tasks that no grant can ever reach are reported
    backend        what an engine must do; local, later Celery and Kubernetes

Nothing is kept in memory that the database does not say, but whose turn it was, and since when something is seen
unchanged by this process's monotonic clock.

How it fails. Fence lost: nothing is written, and the next tick asks anew whether it leads. Backend full or gone:
dispatches are dropped and sent again later. A worker that was declared lost by mistake (it was stopped, or cut off):
its reports are refused, and it ends what it runs.
"""
