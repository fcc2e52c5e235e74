"""The batteries: operators, sensors, triggers and hooks that come with Piper, one file each.

They use the public parts of `piper.sdk` alone, as an author's own operators would. Names, arguments and behaviour
are those of Airflow's standard provider; what they cost is paid where it is used (a bash task never imports the
Python operators' parts, and so on), since each task's process is a fork of one that has imported its file's
operators.

The constructor's arguments are typed and documented in the class's docstring: the catalogue that the designer and
the documentation show is made of these. What `@task.<name>`, `@asset` and connections find here is listed in
`piper.sdk.batteries`.
"""
