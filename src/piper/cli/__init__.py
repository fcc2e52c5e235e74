"""The command line: `piper <noun> <verb>`.

One file per noun; each command parses its arguments, makes one call to a running instance over HTTP, and shows
what came back. The instance is found by `PIPER_HOME` (the files `address` and `token` there); its database is
never touched, but by `piper db`.

    main      the tree of commands, each loaded when it is used: `piper --help` imports no command
    client    calls to the server: pages, retries with an Idempotency-Key, streams
    output    tables for people, JSON and YAML for programs
    failures  errors as they are shown, and the exit codes
    arguments options and arguments that several commands have

Invariants. With `-o json` or `-o yaml` standard output carries that alone; progress, logs and errors go to
standard error. Times are ISO 8601 with their zone. Exit codes are documented (docs/cli.md) and stable. Colour and
width follow the terminal, and where there is none there is neither.
"""
