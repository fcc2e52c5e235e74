"""Are these values good for these parameters? (airflow-semantics §3.12)

JSON Schema decides, each parameter by its own schema. References to other documents are not followed:
a schema comes from a file that a user wrote, and a server fetches nothing for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time

import referencing
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, best_match
from jsonschema.validators import validator_for
from referencing.exceptions import Unresolvable

from piper.model.spec import Json, ParamSpec

FORMATS = FormatChecker(formats=tuple(FormatChecker.checkers))
"""The library's own, and those for which it would want more libraries."""


@FORMATS.checks("date-time", ValueError)
def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@FORMATS.checks("time", ValueError)
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or time.fromisoformat(value) is not None


def check_params(params: Mapping[str, ParamSpec], conf: Mapping[str, Json]) -> list[str]:
    """What is wrong with the values that a run would have: one sentence for each parameter, none if all is well.

    A value that `conf` does not give is the parameter's default; one that no parameter asks for is let be.
    """
    return [problem for name, param in params.items() if (problem := _problem(name, param, conf))]


def _problem(name: str, param: ParamSpec, conf: Mapping[str, Json]) -> str | None:
    if name not in conf and param.required:
        return f"param {name!r} has no default: give it a value"
    value = conf.get(name, param.default)
    try:
        kind = validator_for(param.schema, default=Draft202012Validator)
        kind.check_schema(param.schema)
        validator = kind(param.schema, registry=referencing.Registry(), format_checker=FORMATS)
        error = best_match(validator.iter_errors(value))
    except (SchemaError, Unresolvable) as broken:
        return f"param {name!r} has a schema that cannot be used, which the workflow's author can mend: {broken}"
    if error is None:
        return None
    where = "".join(f"[{step!r}]" for step in error.absolute_path)
    return f"param {name!r}{where}: {error.message}"
