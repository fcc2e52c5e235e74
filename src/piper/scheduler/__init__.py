"""The shell around the core: it loads, lets the core decide, commits under a fence, and wakes others.

Theory. A scheduler owns shards of workflows (`coordination`). Of the runs in its shards it keeps those that
are queued or running in memory (`book`). Each tick it gathers what has happened (events from the database,
timers, runs that may start, schedules that are due), asks `core` what follows, writes all of it in one
fenced transaction (`commit`), and only then changes its memory. What it does not know it reads again:

* a crash before the commit: nothing happened, the events are still there;
* a crash after it: another owner loads the runs, and their first step looks at every instance;
* a commit that failed or whose outcome is unknown: the runs of that batch are forgotten and loaded again;
* a lost shard: its runs are forgotten;
* a run that makes the core raise, or whose guards fail again and again, is put into quarantine: its events
  wait, everything else goes on, and the fault is counted and logged;
* a workflow whose timetable or condition raises, and a backfill that cannot be expanded: likewise (`quarantine`).

There is no `if` about the meaning of workflows here: a rule of scheduling that seems to be missing from
this package is in `core`.
"""
