"""The only package that speaks SQL: one schema and one set of queries for SQLite and PostgreSQL.

Theory. The database is the source of truth for everything but the contents of logs, artifacts and
code snapshots. It is written in short transactions, each of which moves one noun or one batch:

* a *service* (scheduler, executor, serializer) writes under its **fence**: `Database.fenced` opens a
  transaction whose first statement proves that the caller still owns the shards it is about to touch
  at the epochs it knows (correctness §2). A lost fence raises `FenceLost` and nothing is written.
* *coordination* itself (`members`, `shards`) writes in the name of a member, `Database.as_member`.
* a *worker's report* is guarded by the identity and source states of the row it speaks for.
* a *person's call* writes its effect, its event and its audit row together.

Every UPDATE of a state names its source states and its identity, and its row count is checked:
`GuardFailed` means the world had moved on, and the transaction is rolled back.

Modules are nouns: `runs`, `instances`, `events`, `workflows`, `xcoms` …; each function is one named
query or one named write, takes an open connection, and returns model structs. Queries select and
compare; they decide nothing.

Files: `schema` and `types` say what is stored, `migrations` brings a database there, `database` opens
transactions, `sqlite` and `postgres` are what differs between the two, and all else are nouns.

How it fails. SQLite locked beyond its timeout, a full disk, a database that cannot be reached:
`StoreUnavailable`, nothing written. A key that exists: `Conflict`. A connection that breaks during
COMMIT: `AmbiguousCommit`; the caller drops what it believes and reads again.
"""
