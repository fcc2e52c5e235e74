"""The process in which triggers run: one event loop, user code, no store (`piper.triggerer` has the theory).

`host` reads orders and runs triggers, `running` is one of them, `stepping` tells the service whose step goes on,
`channel` asks the Task API by way of the service, `output` brings what triggers print and log into the logs of their
tasks.
"""
