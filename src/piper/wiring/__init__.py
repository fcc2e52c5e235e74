"""The one place that knows every part: composes services into processes, and hosts them."""

from piper.wiring.instance import Instance
from piper.wiring.services import run_service, run_standalone
from piper.wiring.system import GivenXCom, System
from piper.wiring.triggerer import LoneTriggerer
from piper.wiring.validation import Finding, validate

__all__ = [
    "Finding",
    "GivenXCom",
    "Instance",
    "LoneTriggerer",
    "System",
    "run_service",
    "run_standalone",
    "validate",
]
