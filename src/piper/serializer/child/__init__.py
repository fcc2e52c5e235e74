"""The only part of the serializer that meets user code. No other part may import it.

`python -I -m piper.serializer.child FD` is a *host*: a fresh, single-threaded interpreter that has
imported the authoring language, speaks with its supervisor over the socket FD, and forks a *loading
process* per file. The host itself executes nothing of a file's; it enforces what rlimits cannot
(wall time, memory and number of all processes of a load, amount of output) and ends what is left over.

A loading process has a session, a temporary home and an environment of its own, no descriptors but
its output, its trace and its socket, no capabilities, and where the kernel has Landlock no right to write
anywhere but in its home, to read beyond system, interpreter and snapshot, or to signal its parents.

By its socket go what came of the file (frames), and, while it is loaded, questions for variables and connections and
their answers (`line`).
"""
