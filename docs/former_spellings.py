"""Write the tables of former spellings into docs/guide/coming-from-airflow.md: `python -m docs.former_spellings`."""

from __future__ import annotations

from collections.abc import Iterator

from docs.sections import table, write_section
from piper.compat.attributes import FORMER as ATTRIBUTES
from piper.compat.contexts import _FORMER as CONTEXT_KEYS
from piper.compat.former import INSTEAD
from piper.compat.spellings import CLASS_ARGUMENTS, DAG_ARGUMENTS, NO_MORE, OPERATOR_ARGUMENTS, TRIGGER_RULES
from piper.compat.tables import LACKING, Row
from piper.compat.tables.former import FORMER
from piper.compat.tables.moved import MOVED
from piper.compat.tables.provided import PROVIDED

DOCUMENT, SECTION, LACKING_SECTION = "guide/coming-from-airflow.md", "former", "lacking"
OURS = "piper."


def lacking() -> str:
    """The table of features that Piper lacks, without those that are Airflow's inside."""
    inside = {"supervisor", "insides"}
    return table(
        ["", "the nearest"],
        [
            [why, nearest.replace("<", "&lt;")]
            for feature, (why, nearest) in sorted(LACKING.items())
            if feature not in inside
        ],
    )


def section() -> str:
    """All that is understood, by kind."""
    return "\n\n".join(
        [
            "Arguments:",
            table(["of", "former", "now"], list(_arguments())),
            "Keys of the context, in templates and functions:",
            table(["former", "now"], [[_code(key), _code(now)] for key, (now, _) in sorted(CONTEXT_KEYS.items())]),
            "Attributes of DAGs, runs and task instances. Those that Airflow's database answered say so when called:",
            table(["of", "former", "now"], list(_attributes())),
            "Names of Airflow 1 and 2 that Airflow 3 has dropped (lenient mode only):",
            table(["former", "names", "now"], list(_names(FORMER))),
            (
                "`airflow.hooks`, `airflow.operators` and `airflow.sensors` have all names of their former modules, as "
                "in Airflow 1. These modules hold what other providers have now; the warning, or the error, says which:"
            ),
            table(["former", "modules", "for instance"], list(_provided())),
            "Modules that Airflow 3.3.2 still has, with a warning (both modes):",
            table(["former", "names", "now"], list(_names(MOVED))),
        ]
    )


def _arguments() -> Iterator[list[str]]:
    for of, renamed in (("DAG", DAG_ARGUMENTS), ("operator", OPERATOR_ARGUMENTS)):
        for former, now in sorted(renamed.items()):
            yield [of, _code(former), _code(now)]
        for former, why in sorted(NO_MORE[of].items()):
            yield [of, _code(former), f"no effect: {why}"]
    for of, renamed in sorted(CLASS_ARGUMENTS.items()):
        for former, now in sorted(renamed.items()):
            yield [of, _code(former), _code(now)]
    for former, rule in sorted(TRIGGER_RULES.items()):
        yield ["operator", _code(f'trigger_rule="{former}"'), _code(f'trigger_rule="{rule.value}"')]


def _attributes() -> Iterator[list[str]]:
    for of, former in ATTRIBUTES.items():
        for name, (now, _) in sorted(former.items()):
            yield [of, _code(name), now if " " in now else _code(now)]


def _names(modules: dict[str, str]) -> Iterator[list[str]]:
    for module, text in sorted(modules.items()):
        row = Row(text)
        sources = {source: _present(name, source.module, source.name) for name, source in row.names.items()}
        places: dict[str, list[str]] = {}
        for name, source in row.names.items():
            places.setdefault("–" if source.lacking else sources[source], []).append(name)
        for whole in row.whole:
            places.setdefault(_code(whole), []).append("all")
        for place, names in places.items():
            shown = names if len(names) <= 3 else [*names[:2], "…"]
            yield [_code(module), ", ".join(_code(name) if name not in ("all", "…") else name for name in shown), place]


def _provided() -> Iterator[list[str]]:
    for package, modules in sorted(PROVIDED.items()):
        yield [_code(f"{package}.…"), str(len(modules)), ", ".join(_code(module) for module in sorted(modules)[:3])]


def _present(name: str, module: str, other: str) -> str:
    """What to write now."""
    if module.startswith(OURS):
        return (
            INSTEAD[name] if name in INSTEAD and " " in INSTEAD[name] else _code(INSTEAD.get(name, f"{module}.{other}"))
        )
    return _code(f"{module}.{other}" if other != name else module)


def _code(text: str) -> str:
    return f"`{text}`"


if __name__ == "__main__":
    write_section(DOCUMENT, SECTION, section())
    write_section(DOCUMENT, LACKING_SECTION, lacking())
