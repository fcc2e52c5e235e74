"""Parameters of runs: a default, and the JSON Schema that a value must satisfy."""

from __future__ import annotations

import json
from collections.abc import ItemsView, Iterator, Mapping, MutableMapping, ValuesView
from typing import TYPE_CHECKING, Any

from piper.sdk.exceptions import ParamValidationError
from piper.sdk.placeholders import NOTSET, Reference, ResolveMixin

if TYPE_CHECKING:
    from piper.sdk.dags import DAG


class Param:
    """One parameter.

    Example::

        Param(5, description="rows to show", type="integer", minimum=1, maximum=100)

    Without `null` among its types, a param whose default is None or absent must be given a value by
    whoever triggers a run.

    Arguments:
        default: its value where none is given; JSON.
        description: for people.
        source: where it was declared: dag or task.
        schema: JSON Schema keywords, as one dict or one by one.

    Raises:
        ParamValidationError: the default is not JSON.
    """

    __slots__ = ("description", "schema", "source", "value")

    def __init__(
        self, default: Any = NOTSET, description: str | None = None, source: str | None = None, **schema: Any
    ) -> None:
        if default is not NOTSET:
            _check_json(default)
        self.value = default
        self.description = description
        self.source = source
        self.schema: dict[str, Any] = schema.pop("schema") if "schema" in schema else schema

    @property
    def has_value(self) -> bool:
        """Whether it has a value other than None."""
        return self.value is not NOTSET and self.value is not None

    def resolve(self, value: Any = NOTSET, suppress_exception: bool = False) -> Any:
        """Its value, or `value` if given, when that satisfies the schema; it is kept.

        Arguments:
            suppress_exception: answer None rather than raise.

        Raises:
            ParamValidationError: there is no value, or it does not satisfy the schema.
        """
        try:
            final = self._checked(self.value if value is NOTSET else value)
        except ParamValidationError:
            if suppress_exception:
                return None
            raise
        self.value = final
        return final

    def _checked(self, value: Any) -> Any:
        if value is NOTSET:
            raise ParamValidationError("No value passed and Param has no default value")
        _check_json(value)
        if self.schema:
            _check_schema(value, self.schema)
        return value

    def dump(self) -> dict[str, Any]:
        """Its parts, as data."""
        return {
            "value": None if self.value is NOTSET else self.value,
            "description": self.description,
            "schema": self.schema,
            "source": self.source,
        }

    def copy(self) -> Param:
        """One like it, whose value can be set without changing this."""
        return Param(self.value, self.description, self.source, schema=self.schema)

    def __copy__(self) -> Param:
        return self.copy()

    def __repr__(self) -> str:
        return f"Param({self.value!r})"


def _check_json(value: Any) -> None:
    if value is None or type(value) in (str, int, bool):
        return
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ParamValidationError(
            f"All provided parameters must be json-serializable. The value {value!r} is not serializable."
        ) from None


def _check_schema(value: Any, schema: dict[str, Any]) -> None:
    from jsonschema import Draft202012Validator, FormatChecker  # 40 ms, and most params have no schema
    from jsonschema.exceptions import SchemaError, best_match
    from jsonschema.validators import validator_for

    validator = validator_for(schema, default=Draft202012Validator)
    try:
        validator.check_schema(schema)
    except SchemaError as error:
        raise ParamValidationError(f"the param's schema is wrong: {error.message}") from None
    problem = best_match(validator(schema, format_checker=FormatChecker()).iter_errors(value))
    if problem is not None:
        where = "".join(f"[{part!r}]" for part in problem.absolute_path)
        raise ParamValidationError(f"{problem.message}{f' (at {where})' if where else ''}")


class ParamsDict(MutableMapping[str, Any]):
    """Params by name. Reading gives the value, setting checks it; `get_param` gives the `Param`.

    Arguments:
        dict_obj: values or Params.
        suppress_exception: read None where a value does not satisfy its schema.
    """

    __slots__ = ("_params", "suppress_exception")

    def __init__(self, dict_obj: Mapping[str, Any] | None = None, suppress_exception: bool = False) -> None:
        self.suppress_exception = suppress_exception
        self._params: dict[str, Param] = {}
        given = dict_obj._params if isinstance(dict_obj, ParamsDict) else dict_obj or {}
        for name, value in given.items():
            self._params[name] = value.copy() if isinstance(value, Param) else _named(name, value)

    def __getitem__(self, key: str) -> Any:
        try:
            return self._params[key].resolve(suppress_exception=self.suppress_exception)
        except ParamValidationError as error:
            raise _invalid(key, error) from None

    def __setitem__(self, key: str, value: Any) -> None:
        if isinstance(value, Param):
            self._params[key] = value
        elif key in self._params:
            try:
                self._params[key].resolve(value, suppress_exception=self.suppress_exception)
            except ParamValidationError as error:
                raise _invalid(key, error) from None
        else:
            self._params[key] = _named(key, value)

    def __delitem__(self, key: str) -> None:
        del self._params[key]

    def __contains__(self, key: object) -> bool:
        return key in self._params

    def __len__(self) -> int:
        return len(self._params)

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def items(self) -> ItemsView[str, Any]:
        """(name, Param) pairs, as in Airflow."""
        return self._params.items()

    def values(self) -> ValuesView[Any]:
        """The Params, as in Airflow."""
        return self._params.values()

    def get_param(self, key: str) -> Param:
        """The Param of that name."""
        return self._params[key]

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Take in others: Params replace, values are checked."""
        if len(args) == 1 and isinstance(args[0], ParamsDict):
            args = ({name: param.copy() for name, param in args[0]._params.items()},)
        super().update(*args, **kwargs)

    def validate(self) -> dict[str, Any]:
        """All values.

        Raises:
            ParamValidationError: one is missing or does not satisfy its schema.
        """
        return {name: self[name] for name in self._params}

    def dump(self) -> dict[str, Any]:
        """All values, None where one is missing or wrong."""
        return {name: param.resolve(suppress_exception=True) for name, param in self._params.items()}

    def deep_copy(self) -> ParamsDict:
        """One like it that can be changed without changing this."""
        return ParamsDict(self, self.suppress_exception)

    def __copy__(self) -> ParamsDict:
        return self.deep_copy()

    def __deepcopy__(self, memo: object) -> ParamsDict:
        return self.deep_copy()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ParamsDict):
            return self.dump() == other.dump()
        if isinstance(other, dict):
            return self.dump() == other
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self.dump())


def _named(name: str, value: Any) -> Param:
    try:
        return Param(value)
    except ParamValidationError as error:
        raise _invalid(name, error) from None


def _invalid(name: str, error: ParamValidationError) -> ParamValidationError:
    return ParamValidationError(f"Invalid input for param {name}: {error}")


def process_params(
    dag: DAG | None, task: Any, dagrun_conf: Mapping[str, Any] | None, *, suppress_exception: bool
) -> dict[str, Any]:
    """The params of an execution: the DAG's, then the task's own, then the run's `conf`.

    Keys of `conf` that are no params become some.

    Arguments:
        suppress_exception: give None for values that do not satisfy their schema.

    Raises:
        ParamValidationError: a value is missing or does not satisfy its schema.
    """
    params = ParamsDict(dag.params if dag is not None and dag.has_params else None, suppress_exception)
    params.update(task.params)
    params.update(dagrun_conf or {})
    return params.validate()


class DagParam(ResolveMixin):
    """A stand-in for the value that a run has for a param: what the parameters of a `@dag` function are.

    Arguments:
        current_dag: the DAG.
        name: the param's name.
        default: makes the param, with this default.
    """

    __slots__ = ("current_dag", "default", "name")

    def __init__(self, current_dag: DAG, name: str, default: Any = NOTSET) -> None:
        if default is not NOTSET:
            current_dag.params[name] = default
        self.current_dag = current_dag
        self.name = name
        self.default = default.value if isinstance(default, Param) else default

    def iter_references(self) -> Iterator[Reference]:
        """None: it comes from the run, not from a task."""
        return iter(())

    def resolve(self, context: Mapping[str, Any]) -> Any:
        """The run's `conf`, else the default, else the params."""
        conf = context["dag_run"].conf or {}
        if self.name in conf:
            return conf[self.name]
        if self.default is not NOTSET:
            return self.default
        params = context.get("params", {})
        if self.name in params:
            return params[self.name]
        raise RuntimeError(f"No value could be resolved for parameter {self.name}")

    def __repr__(self) -> str:
        return f"DagParam({self.name!r})"
