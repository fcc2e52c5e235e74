"""What the generated DAGs cover: each rule below each mix of ends, and each construct.

python -m tests.airflow_oracle.coverage    prints the table
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from tests.airflow_oracle.draft import Generated
from tests.airflow_oracle.generate import generate
from tests.airflow_oracle.recorded import Recorded, load
from tests.airflow_oracle.themes import ENDS, MIXES, RULES

LETTERS = dict(zip(ENDS, "SFKU", strict=True))


def mixes_of(recorded: Mapping[str, Recorded]) -> Counter[tuple[str, tuple[str, ...]]]:
    """(rule, the states that the tasks right above ended in) → how many task instances were decided by it."""
    counts: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for dag in recorded.values():
        states: dict[str, set[str]] = {}
        for name, said in dag.answers[0]["tasks"].items():
            states.setdefault(name.partition("[")[0], set()).add(said.partition(" ")[0])
        for task_id, rule in dag.rules.items():
            above = {state for upstream in dag.upstream[task_id] for state in states.get(upstream, ())}
            if above:
                counts[rule, tuple(end for end in ENDS if end in above)] += 1
    return counts


def table(recorded: Mapping[str, Recorded], generated: Mapping[str, Generated]) -> str:
    """Rules by mixes, then constructs, then what else there is to know."""
    mixes = mixes_of(recorded)
    width = max(map(len, RULES)) + 8
    names = ["".join(LETTERS[end] for end in mix) for mix in MIXES]
    lines = ["rule \\ ends above".ljust(width) + "".join(name.rjust(5) for name in names)]
    lines += [
        rule.ljust(width) + "".join(str(mixes[rule, mix] or ".").rjust(5) for mix in MIXES)
        for rule in (*RULES, "all_done_setup_success")
    ]
    constructs = Counter(construct for one in generated.values() for construct in one.constructs)
    lines += ["", "S success, F failed, K skipped, U upstream_failed", "", "construct: DAGs"]
    lines += [f"  {name}: {count}" for name, count in sorted(constructs.items())]
    runs = Counter(answer["run"] for dag in recorded.values() for answer in dag.answers[:1])
    several = sum(len(dag.answers) > 1 for dag in recorded.values())
    lines += ["", f"{len(recorded)} DAGs, {several} of which end differently in different orders; runs: {dict(runs)}"]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(load(), {one.dag_id: one for one in generate()}))
