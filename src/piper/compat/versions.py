"""Which Airflow the import layer speaks like."""

from __future__ import annotations

AIRFLOW = "3.3.2"
"""Providers compare it with the least version that they need."""

TASK_SDK = "1.3.2"
"""The version of its authoring language."""
