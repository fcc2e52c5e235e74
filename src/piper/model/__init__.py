"""The nouns of Piper as plain data: what is stored, what happens, what is said about it.

One noun per stage of life. `WorkflowSpec` and `TaskSpec` are what a person wrote, as data;
`Run` and `TaskInstance` are what is happening; an `Attempt` is one try of an instance. Events
(`events`) are what is said to the owner of a run, and `wire` holds what a worker and the Task API
say to each other.

Everything here is an immutable msgspec struct or an enum: no I/O, no clock, no randomness. Every
other package may import this one, and it imports nothing of Piper but itself.
"""
