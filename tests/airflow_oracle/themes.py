"""What the generated DAGs are about. Each theme writes one DAG into a draft; dice decide the details."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

from tests.airflow_oracle.draft import Draft, Task

RULES = (
    "all_success",
    "all_failed",
    "all_done",
    "all_done_min_one_success",
    "one_success",
    "one_failed",
    "one_done",
    "none_failed",
    "none_failed_min_one_success",
    "none_skipped",
    "all_skipped",
    "always",
)
"""All that an author may write; teardowns have the thirteenth, `all_done_setup_success`, by themselves."""

GROUP_RULES = RULES[:-1]
"""In a mapped group `always` is not allowed."""

ENDS = ("success", "failed", "skipped", "upstream_failed")
MIXES = tuple(mix for size in range(1, 5) for mix in itertools.combinations(ENDS, size))
"""Every set of states that the tasks above another can have ended in."""

PROBES = tuple(itertools.product(RULES, MIXES))
PROBES_PER_DAG = 5


def rules(draft: Draft, number: int) -> None:
    """Every rule below every mix of ends."""
    mine = PROBES[number * PROBES_PER_DAG : (number + 1) * PROBES_PER_DAG]
    dice = draft.dice
    wanted = {end for _, mix in mine for end in mix}
    above: dict[str, list[Task]] = {end: [] for end in ENDS}
    if "success" in wanted:
        above["success"] = [draft.task("ok"), draft.task("flaky1", retries=1)][: dice.choice([1, 2])]
    if wanted & {"failed", "upstream_failed"}:
        above["failed"] = [draft.task(dice.choice(["fail", "failnow"]), retries=dice.choice([0, 0, 1]))]
    if "skipped" in wanted:
        above["skipped"] = [draft.task("skip")]
    if "upstream_failed" in wanted:
        above["upstream_failed"] = [draft.task("ok", *above["failed"])]
    probes = []
    for rule, mix in mine:
        parents = [task for end in mix for task in above[end]]
        probes.append(draft.task("ok", *dice.sample(parents, len(parents)), rule=rule))
    if draft.room:
        draft.task("ok", *dice.sample(probes, 2), rule=dice.choice(RULES))


def branches(draft: Draft, number: int) -> None:
    """A brancher, its ways, and joins below them by every rule."""
    dice = draft.dice
    if dice.random() < 0.4:
        with draft.group():
            _branch(draft, RULES[number % len(RULES)])
        if draft.room:
            draft.write(f"g1 >> task(task_id='after_ok', trigger_rule={dice.choice(RULES)!r})(act)()")
            draft.tasks += 1
    else:
        _branch(draft, RULES[number % len(RULES)])


def _branch(draft: Draft, join_rule: str) -> None:
    dice = draft.dice
    ways = dice.choice([2, 2, 3])
    words = [dice.choice(["ok", "ok", "ok", "fail", "skip"]) for _ in range(ways)]
    ids = [draft.coming(word, 2 + i) for i, word in enumerate(words)]
    far = draft.coming("far", 2 + ways)
    chosen = dice.choice([[ids[0]], [ids[-1]], ids[:2], [], [far], ["unknown"], [ids[1]]])
    brancher = draft.branch(chosen, words=dice.choice(["ok"] * 6 + ["fail", "skip"]))
    heads = [draft.task(word, brancher, rule=dice.choice(["all_success"] * 4 + list(RULES))) for word in words]
    below = draft.task("far", heads[0], style="operator")
    ends = [below, *heads[1:]]
    if dice.random() < 0.4:
        ends.append(brancher)  # a join that is right below the brancher too
    join = draft.task("ok", *ends, rule=join_rule)
    if dice.random() < 0.4 and draft.room > 4:
        second_ids = [draft.coming("ok", 2), draft.coming("ok", 3)]
        second = draft.branch(dice.sample(second_ids, dice.choice([0, 1, 2])), dice.choice([join, heads[-1]]))
        tails = [draft.task("ok", second, style="operator") for _ in second_ids]
        draft.task("ok", *tails, rule=dice.choice(RULES))
    elif draft.room > 2:
        draft.task("ok", join, rule=dice.choice(RULES))


def branches_to_groups(draft: Draft, number: int) -> None:
    """A brancher that follows a group."""
    dice = draft.dice
    name = f"g{2 + number % 2}"  # of the first or of the second group below, which come after t1
    brancher = draft.branch([name] if name == "g2" else [f"g{_second_group(2)}"])
    groups = []
    for size in (2, 2):
        with draft.group() as group:
            first = draft.task(dice.choice(["ok", "ok", "skip", "fail"]))
            for _ in range(size - 1):
                first = draft.task("ok", *([first] if dice.random() < 0.6 else []), rule=dice.choice(RULES[:9]))
        draft.arrow(brancher, group)
        groups.append(group)
    join = draft.task("ok", rule=RULES[number % len(RULES)])
    for group in groups:
        draft.arrow(group, join)


def _second_group(first: int) -> int:
    """The number of the second of two groups of two tasks each."""
    return first + 3


def short_circuits(draft: Draft, number: int) -> None:
    """A condition, what lies below it, and what the rules make of it."""
    dice = draft.dice
    side = draft.task(dice.choice(["ok", "ok", "skip"]))
    gate = draft.short_circuit(
        number % 4 == 0,
        ignore_rules=bool(number % 2),
        words=dice.choice(["ok"] * 8 + ["fail", "skip"]),
    )
    first = draft.task("ok", gate)
    second = draft.task("ok", gate, rule=dice.choice(RULES))
    third = draft.task("ok", first, side, rule=RULES[number % len(RULES)])
    fourth = draft.task("ok", second, third, rule=dice.choice(RULES))
    draft.task("ok", fourth, side, rule=dice.choice(["all_done", "none_failed", "one_success", "none_skipped"]))
    if dice.random() < 0.5:
        setup = draft.task("ok", gate, style="operator")
        work = draft.task("ok", setup)
        draft.write(f"{setup.name} >> {work.name}")
        down = draft.task("ok", work, style="operator")
        draft.write(f"{down.name}.as_teardown(setups={setup.name})")
        draft.used("teardown below a short circuit")


# --- mapping ----------------------------------------------------------------------------------------------


def _source(draft: Draft, dice: random.Random, words: str = "") -> Task:
    """A task whose result others are mapped over."""
    words = words or dice.choice(["items3", "items2", "items1", "items0", "pairs2", "items2", "items3", "fail", "skip"])
    return draft.task(words, style=dice.choice(["operator", "function"]))


def mapping(draft: Draft, number: int) -> None:
    """One task, many instances: each kind of expansion, with failures of single instances, and what is below."""
    dice = draft.dice
    kinds = (
        "expand(value=[0, 1, 2])",
        "expand(value=[])",
        'expand(value={"a": 1, "b": 2})',
        "expand(value=[0, 1], other=[5, 6])",
        "expand(op_args=[[0], [1]])",
        "expand_kwargs([{'value': 0}, {'value': 1, 'other': 2}])",
        "expand(value={0}.output)",
        "expand(value={0}.output, other=[1, 2])",
        "expand(value={0}.output, other={1}.output)",
        "expand(value={0}.output.zip({1}.output))",
        "expand(value={0}.output.zip({1}.output, fillvalue=9))",
        "expand(value={0}.output.concat({1}.output))",
        "expand(value={0}.output.map(passing))",
        "expand_kwargs({2}.output)",
        "expand_kwargs({0}.output.map(lambda value: dict(value=value)))",
    )
    kind = kinds[number % len(kinds)]
    names = {}
    for place in ("{0}", "{1}", "{2}"):
        if place in kind:
            words = dice.choice(["rows2", "rows3", "items0", "skip"]) if place == "{2}" else ""
            if ".map(" in kind:
                words = dice.choice(["items3", "items0", "items2", "fail"])
            names[place] = _reference(draft, _source(draft, dice, words))
    for place, name in names.items():
        kind = kind.replace(f"{place}.output", name)
    before = [draft.task(dice.choice(["ok", "ok", "ok", "skip", "fail"]))] if dice.random() < 0.4 else []
    words = dice.choice(
        ["ok", "ok", "fail-0", "skip-1", "none-0", "none-1_fail-2", "flaky1", "fail-0_skip-1", "flaky1-1"]
    )
    rule = dice.choice(["all_success"] * 3 + list(GROUP_RULES)) if before else "all_success"
    first = draft.mapped(words, kind, *before, rule=rule, retries=1 if "flaky" in words else 0)
    _below_mapped(draft, first, dice)


def _reference(draft: Draft, source: Task) -> str:
    """The result of a task, however that was written."""
    draft.write(f"{source.name}_result = getattr({source.name}, 'output', {source.name})")
    return f"{source.name}_result"


def _below_mapped(draft: Draft, mapped: Task, dice: random.Random) -> None:
    """Consumers of the results, a task mapped over them, and tasks with rules."""
    result = _reference(draft, mapped)
    if dice.random() < 0.7:
        draft.task("even", given=[result], style="function")
    if dice.random() < 0.6:
        second = draft.mapped(
            dice.choice(["ok", "fail-1", "skip-0", "none"]),
            dice.choice([f"expand(value={result})", f"expand(value={result}, other=[1, 2])"]),
            rule=dice.choice(["all_success"] * 3 + ["all_done", "none_failed", "one_success", "none_skipped"]),
        )
        draft.task("even", given=[_reference(draft, second)], style="function", rule=dice.choice(RULES[:-1]))
        draft.used("mapped over mapped")
    for _ in range(dice.choice([1, 2, 3])):
        if draft.room:
            draft.task("ok", mapped, rule=dice.choice(RULES))


def mapped_groups(draft: Draft, number: int) -> None:
    """A mapped group with rules, failures of single indexes, and plain groups inside."""
    dice = draft.dice
    source = _source(draft, dice)
    result = _reference(draft, source)
    kinds = (
        "expand(value=[0, 1, 2])",
        f"expand(value={result})",
        f"expand(value={result}, other=[7, 8])",
        "expand_kwargs([{'value': 0}, {'value': 1, 'other': 4}])",
        "expand(value=[])",
        f"expand(value={result})",
        "expand(value=[4])",
    )
    outside = draft.task(dice.choice(["ok", "ok", "fail", "skip"])) if dice.random() < 0.4 else None
    with draft.mapped_group(kinds[number % len(kinds)]) as group:
        words = dice.choice(["ok", "fail-0", "fail-1", "skip-1", "skip-0_fail-1", "none-0", "flaky1-1"])
        first = draft.task(words, given=["value"], retries=1 if "flaky" in words else 0, style="function")
        rule = GROUP_RULES[number % len(GROUP_RULES)]
        if dice.random() < 0.3:
            with draft.group():
                second = draft.task("ok", first, rule=rule)
        else:
            second = draft.task(dice.choice(["ok", "ok", "fail-0", "skip-1"]), first, rule=rule)
        third = draft.task("ok", second, first, rule=dice.choice(GROUP_RULES))
        if outside and dice.random() < 0.7:
            draft.arrow(outside, dice.choice([first, third]))
        if dice.random() < 0.5:
            draft.task("even", given=[first.name], style="function", rule=dice.choice(GROUP_RULES))
    if outside and dice.random() < 0.5:
        draft.arrow(outside, group)
    for _ in range(dice.choice([1, 2])):
        join = draft.task("ok", rule=dice.choice(RULES))
        draft.arrow(group, join)
    draft.task("ok", source, rule=dice.choice(RULES))


# --- groups, setup and teardown, retries ------------------------------------------------------------------


def groups(draft: Draft, number: int) -> None:
    """Groups in groups, arrows between groups, empty ones."""
    dice = draft.dice
    start = draft.task(dice.choice(["ok", "ok", "skip"]))
    with draft.group() as outer:
        first = draft.task(dice.choice(["ok", "fail", "skip", "ok"]))
        with draft.group() as inner:
            draft.task(dice.choice(["ok", "ok", "fail"]))
            draft.task("ok", rule=dice.choice(RULES))
        if dice.random() < 0.5:
            draft.arrow(first, inner)
        if dice.random() < 0.5:
            draft.arrow(inner, draft.task("ok", rule=dice.choice(RULES)))
    with draft.group() as other:
        if number % 3:
            draft.task("ok", rule=dice.choice(RULES))
            draft.task(dice.choice(["ok", "fail"]), rule=RULES[number % len(RULES)])
    draft.arrow(start, outer)
    draft.arrow(outer, other)
    last = draft.task("ok", rule=RULES[number % len(RULES)])
    draft.arrow(other, last)


def scopes(draft: Draft, number: int) -> None:
    """A setup, work in its scope, a teardown: each of them may fail or be skipped."""
    dice = draft.dice
    word = ("ok", "ok", "fail", "skip", "flaky1")[number % 5]
    before = [draft.task(dice.choice(["ok", "fail", "skip"]))] if dice.random() < 0.3 else []
    up = draft.task(word, *before, retries=dice.choice([0, 1]), style="operator")
    second_up = draft.task(dice.choice(["ok", "fail", "skip"]), style="operator") if dice.random() < 0.3 else None
    options = ", on_failure_fail_dagrun=True" if dice.random() < 0.3 else ""
    down = draft.task(dice.choice(["ok", "ok", "fail"]), style="operator")
    setups = f"[{up.name}, {second_up.name}]" if second_up else up.name
    draft.used("setup and teardown", f"setup {word}")
    if number % 3 == 0:
        with draft.indented(f"with {down.name}.as_teardown(setups={setups}{options}):"):
            works = _work(draft, dice)
    else:
        works = _work(draft, dice, up)
        draft.write(f"{works[-1].name} >> {down.name}.as_teardown(setups={setups}{options})")
        if second_up:
            draft.arrow(second_up, works[0])
    last = draft.task("ok", works[-1] if dice.random() < 0.5 else down, rule=dice.choice(["all_success", *RULES]))
    if dice.random() < 0.3:
        draft.arrow(works[0], last)
    if dice.random() < 0.2 and draft.room > 1:
        draft.write(f"{draft.task('ok', works[0], style='operator').name}.as_teardown()")
        draft.used("teardown without a setup")


def _work(draft: Draft, dice: random.Random, *after: Task) -> list[Task]:
    """Two or three tasks, one below the other; what is right below a setup keeps its rule."""
    first = draft.task(dice.choice(["ok", "ok", "fail", "skip"]), *after, style="operator")
    second = draft.task(
        dice.choice(["ok", "fail"]), first, rule=dice.choice(["all_success", "all_done", *RULES]), style="operator"
    )
    works = [first, second]
    if dice.random() < 0.5:
        works.append(draft.task("ok", second, first, rule=dice.choice(RULES), style="operator"))
    return works


def lone_setups(draft: Draft, number: int) -> None:
    """Setups without teardowns, nested scopes, mapped work in a scope, groups with teardowns."""
    dice = draft.dice
    word = ("ok", "fail", "skip")[number % 3]
    up = draft.task(word, style="operator")
    draft.write(f"{up.name}.as_setup()")
    draft.used("setup alone", f"setup {word}")
    first = draft.task(dice.choice(["ok", "ok", "fail"]), up, style="operator")
    kind = number % 4
    if kind == 0:
        mapped = draft.mapped(dice.choice(["ok", "fail-0", "skip-1"]), "expand(value=[0, 1])", first)
        down = draft.task("ok", mapped, style="operator")
        draft.write(f"{down.name}.as_teardown(setups={up.name})")
    elif kind == 1:
        inner = draft.task(dice.choice(["ok", "ok", "fail", "skip"]), first, style="operator")
        work = draft.task(dice.choice(["ok", "fail"]), inner, style="operator")
        inner_down = draft.task("ok", work, style="operator")
        draft.write(f"{inner_down.name}.as_teardown(setups={inner.name})")
        outer_down = draft.task("ok", inner_down, style="operator")
        draft.write(f"{outer_down.name}.as_teardown(setups={up.name})")
        draft.used("nested scopes")
    elif kind == 2:
        with draft.group() as group:
            work = draft.task(dice.choice(["ok", "fail", "skip"]), style="operator")
            down = draft.task(dice.choice(["ok", "fail"]), work, style="operator")
            draft.write(f"{down.name}.as_teardown(setups={up.name})")
        draft.arrow(first, group)
        draft.arrow(group, draft.task("ok", rule=dice.choice(RULES)))
        draft.used("teardown in a group")
    second = draft.task("ok", first, rule=dice.choice(RULES))
    draft.task("ok", second, rule=dice.choice([rule for rule in RULES if rule != "always"]))


def retried(draft: Draft, number: int) -> None:
    """Tries that fail, and what looks at a task between two of them."""
    dice = draft.dice
    tasks = [
        draft.task(word, retries=retries, style=dice.choice(["operator", "function"]))
        for word, retries in dice.sample(
            [("flaky1", 1), ("flaky2", 2), ("flaky2", 1), ("fail", 2), ("failnow", 3), ("skip", 2), ("flaky1", 3)], 3
        )
    ]
    for _ in range(3):
        draft.task("ok", *dice.sample(tasks, dice.choice([1, 2])), rule=dice.choice(RULES))
    mapped = draft.mapped(
        dice.choice(["flaky1-0", "flaky2-1", "flaky1"]), "expand(value=[0, 1])", retries=dice.choice([1, 2])
    )
    draft.task("ok", mapped, dice.choice(tasks), rule=RULES[number % len(RULES)])
    draft.used("retries")


def conditions(draft: Draft, number: int) -> None:
    """`run_if` and `skip_if` on tasks, and what is below."""
    dice = draft.dice
    probes = []
    for name, answer in (("run_if", number % 2 == 0), ("skip_if", number % 2 == 0), ("run_if", number % 2 == 1)):
        made, options = draft.new(dice.choice(["ok", "fail"]))
        draft.write(f"{made.name} = task.{name}(lambda context: {answer})(task({options})(act))()")
        draft.used(name)
        probes.append(made)
    for rule in dice.sample(RULES, 4):
        draft.task("ok", *dice.sample(probes, dice.choice([1, 2])), rule=rule)


def mixed(draft: Draft, number: int) -> None:
    """A random graph of everything."""
    dice = draft.dice
    tasks: list[Task] = [draft.task(dice.choice(["ok", "fail", "skip", "items2"]), style="operator")]
    while draft.room > 2:
        after = dice.sample(tasks, min(len(tasks), dice.choice([0, 1, 1, 2, 2, 3])))
        rule = dice.choice(["all_success", *RULES])
        match dice.choice(["task"] * 5 + ["mapped", "branch", "gate", "group", "mapped group"]):
            case "task":
                words = dice.choice(["ok", "ok", "fail", "skip", "flaky1", "none", "items2"])
                retries = dice.choice([0, 1]) if words == "flaky1" else 0
                tasks.append(draft.task(words, *after, rule=rule, retries=retries, style="operator"))
            case "mapped":
                over = _reference(draft, dice.choice([one for one in tasks if "items" in one.task_id] or [tasks[0]]))
                sized = dice.choice(["[0, 1]", over if any("items" in one.task_id for one in tasks) else "[]"])
                rule = rule if rule != "always" else "all_done"
                words = dice.choice(["ok", "fail-0", "skip-1"])
                tasks.append(draft.mapped(words, f"expand(value={sized})", *after, rule=rule))
            case "branch":
                ids = [draft.coming("ok", 2), draft.coming("ok", 3)]
                brancher = draft.branch(dice.sample(ids, dice.choice([0, 1, 1, 2])), *after, rule=rule)
                tasks += [draft.task("ok", brancher, style="operator") for _ in ids]
            case "gate":
                tasks.append(draft.short_circuit(True, *after, ignore_rules=dice.random() < 0.5))
            case "group":
                with draft.group() as group:
                    inner = draft.task("ok", rule=rule, style="operator")
                    draft.task(dice.choice(["ok", "fail"]), inner, rule=dice.choice(RULES))
                for one in after:
                    draft.arrow(one, group)
                tasks.append(group)
            case "mapped group":
                with draft.mapped_group("expand(value=[0, 1])") as group:
                    inner = draft.task(dice.choice(["ok", "fail-1", "skip-0"]), given=["value"], style="function")
                    draft.task("ok", inner, rule=dice.choice(GROUP_RULES))
                for one in after:
                    draft.arrow(one, group)
                tasks.append(group)


THEMES: tuple[tuple[Callable[[Draft, int], None], int], ...] = (
    (rules, len(PROBES) // PROBES_PER_DAG),
    (branches, 30),
    (branches_to_groups, 12),
    (short_circuits, 24),
    (mapping, 45),
    (mapped_groups, 35),
    (groups, 18),
    (scopes, 30),
    (lone_setups, 16),
    (retried, 14),
    (conditions, 8),
    (mixed, 32),
)
"""Themes, and how many DAGs each has."""
