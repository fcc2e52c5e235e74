"""Who owns what, agreed on without a leader, and how a member knows that it does (correctness §2).

Theory. The workflows are cut into shards, and each shard has at most one owner, in a term with a number
(its epoch). Members agree on who should own what by computing it (`assign`): the same members give the same
answer everywhere. A member that owns what another should gives it up; one that should own what nobody living
owns claims it. Each claim raises the epoch, and the database refuses what is said in an older term (the
fence), so that safety rests on the database alone: not on clocks, not on who believes to be alive, not on
this package being prompt.

Liveness rests on signs of life. A member renews its registration twice a second; others watch the counter
with their own monotonic clocks (`detector`), and declare dead who has given no sign for the time to live.
Dead is final: who was merely slow registers anew, as another member. A member that could not renew for
some time stops of its own accord before others may take over (`Membership.fence` is None).

On SQLite one process owns everything (`SoleOwner`): the file lock says which, and the same epochs and fence
keep out one that was thought dead.

How it fails. The database cannot be reached: no member can renew, all fence themselves, none declares
another dead, since who cannot look resets its watches; when it is back all go on where they were. A member
is stopped in the middle of a transaction: PostgreSQL ends its session after a second, so that its shards can
be claimed; when it resumes, its commit fails. A member is declared dead by mistake: its work in hand is
refused and done again by another, never twice.
"""
