"""The real shell on SQLite with a fake clock, played by a seeded dice: crashes, lost wake-ups, late and double events.

`world` has the actors: schedulers, the executor, the Task API, workers, people. Each move of a play is one actor
doing one thing; which, the dice says. An actor may die before or after any commit, and another may act just before
any write, so that what it decided on is no longer so. An old scheduler may wake up after another has taken over.

`monitor` looks at the database after every commit and compares what changed with what may change; `ledger` knows
what user code has really done. `mutations` break one mechanism each; a test asks that each be found out.

A play is a function of its seed: `python -m tests.simulation SEED` plays one again and prints its moves.
"""
