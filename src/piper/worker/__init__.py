"""Running tasks on one host: a supervisor, zygotes, children.

Theory. Three kinds of process, each of which ends those below it:

    supervisor   one per host; `python -m piper.worker`; meets no user code; single-threaded, one loop
      zygote     one per (snapshot, file); has imported that file once, and only forks
        child    a fork; runs one task (fork, spawn) or one after another (warm)

An **execution** is what was dispatched: it waits for a slot and for its zygote to be loaded, asks
`Start`, gets a child, runs, ends, reports, and is forgotten when the report is acknowledged. It is over
when *its processes are gone and its log is drained*: only then is its report sent, so that whatever is
started because of it finds its files closed, its locks free and its log complete. (A warm child
outlives its executions: there the report itself is the end.)

    waiting → starting → granted → running → reporting → forgotten

The **zygote** is the parent of its children. It alone knows for sure that a process id still means the
child it forked, so it alone signals process groups; it reaps, kills what is left of the group and of
processes that left the group, and tells the supervisor. `fork`, `spawn` and `warm` are one mechanism:
`spawn` forks the zygote of no file, which has met no user code, and loads the file in the child;
`warm` keeps the child for the next execution. A file that reads variables or connections at its top level
cannot be loaded by a zygote, which speaks for no execution: it gives up at the first question, and all
tasks of the file are spawned.

The child speaks to the supervisor over a socket of its own, which stands for its execution: it never
learns its token. Its standard output, error and logging share one pipe, read by the supervisor.

What is promised:

- user code is entered only after a granted `Start`, once per dispatch (correctness I6)
- an execution of which the Task API says that it is stale is killed at once (I10)
- no process of an execution outlives it (I14, F37): process group, adopted orphans, and the
  supervisor's cgroup where one can be made
- whatever ends a child without a report is a failure that names the exit code or signal (F36)
- a supervisor that has not reached the server for some seconds (`WorkerSettings.contact`) kills what it runs (I7)

How it fails. Supervisor killed: zygotes and children get SIGKILL from the kernel (PR_SET_PDEATHSIG);
what they started is found by a mark in its environment and killed when a supervisor starts again on
the same home, which then announces the executions as lost. Zygote killed: its children too, their
executions are lost, a new zygote is started with the next dispatch. Server gone (end of file on the
connection): everything is killed and the supervisor exits. A file that does not load fails each task
dispatched on it, with the error and its place.
"""
