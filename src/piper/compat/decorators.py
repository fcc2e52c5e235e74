"""The standard provider's decorators, as functions."""

from __future__ import annotations

from piper.sdk.decorators import task

bash_task = task.bash
branch_task = task.branch
python_task = task.python
sensor_task = task.sensor
short_circuit_task = task.short_circuit
