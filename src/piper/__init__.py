"""Piper: a workflow platform for data and machine-learning teams.

Importing this package does nothing but name its version: authors import `piper.sdk`, programs
start at `piper.cli`, and `piper.wiring` is the one place that composes a running system.
"""

__version__ = "0.1.0"
