"""Every scheduling decision, as functions of data and the time.

    what happens to this run, now that this happened?   run.step(memory, facts, events, now) -> Changes
    which tasks may start?                              grants.allocate(candidates, capacity) -> grants
    which runs are born?                                due.due_runs(schedule, cursor, now, room) -> Due

Theory. A run is a graph of tasks (`graph`, built once per spec) and the instances of those tasks. Every
change of an instance's state is a row of one table (`task.TRANSITIONS`). When an instance ends, it tells
the tasks that watch it by adjusting their *tallies*: counts of upstream states, one for what all their
instances share and one for each index of a mapped group. A trigger rule (`trigger_rules`) reads only its
task's tally, so that the work done for an event is proportional to what it changed, never to the size of
the run. A step repeats this until nothing changes (skips and failures run down a chain in one step), then
admits ready instances within the run's limits, then looks whether the run has ended.

`step` does not change the memory that it reads: it writes to a draft over it and returns what differs
(`changes.Changes`). The shell commits that, and only then lets the memory take it over. Same inputs, same
answer: no clock, no I/O, no randomness, no logging in this package.

Invariants kept here: an instance is admitted only while its trigger rule holds for the current states of
its upstream instances (I8); try numbers only rise (§1.2 of correctness); a terminal state is left only by
a clear or a mark (I11); infrastructure losses do not use up retries (I12); the limits of a run are never
exceeded (I15).
"""
