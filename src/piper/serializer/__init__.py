"""From files to specs: follow bundles, load what changed in a confined child, publish what came out.

    folder ──scan──▶ manifest ──blobs, links──▶ snapshot ──child──▶ specs ──fenced commits──▶ database

Theory. A workflow file is a program of somebody else. It is only ever executed in a *loading process*:
a fork of a *host* (`piper.serializer.child`), a fresh interpreter that has imported the authoring
language and nothing else. Between the service and user code stand therefore two processes; the
service learns what it learns as length-checked frames on a socket, decodes them into typed structs,
checks every spec again, and encodes it anew: nothing that a loading process says is taken on trust but
what it may decide anyway, the contents of its own team's workflows.

Invariants.

* A file is loaded from a snapshot, a read-only copy of its whole bundle, so that what is published and
  what later runs are the same bytes.
* A file either publishes all its workflows or none; if none, the error is recorded with its place and
  what it published last stays active (correctness I26).
* What a file asks while it is loaded, variables and connections and nothing else, is answered with the rights of its
  bundle's team, within bounds (`loads`). It is not part of what the file was seen to read: a file that asks is
  loaded again regularly (`changes.LOOKUP_INTERVAL`).
* A load is over when its process and all that it started are gone.
* Every row is written under the fence of SERIALIZER_SHARD (F31).
* Which files are loaded again is a pure function of the manifest and of what each file was seen to
  read when it was loaded last (`changes`). All others keep their spec; their active snapshot moves on.

How it fails. A file that loops, exits, crashes, floods or forks: its load is ended at a limit and says
so at the line where it was; other files go on beside it. The host dies: what it was loading is loaded
again, one at a time, until one is guilty. The database cannot be written, the fence is lost: what is
in memory is forgotten and read again; loading twice is harmless. Killed in the middle of publishing a
large file: each workflow has its old version or its new one, and the file is loaded again because its
row, which comes last, still says the old state.
"""
