"""A DAG file that is being written, task by task."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.airflow_oracle.words import PRELUDE

MOST_TASKS = 12
"""Of a DAG; a theme stops adding where there is no room."""


@dataclass(frozen=True)
class Task:
    """A task that has been written."""

    name: str
    """The variable that holds it."""
    task_id: str
    """With the prefixes of its groups."""


@dataclass(frozen=True)
class Generated:
    """A DAG file, and the constructs that it uses."""

    dag_id: str
    source: str
    constructs: tuple[str, ...]


@dataclass
class Draft:
    """A DAG file in the making.

    Arguments:
        dag_id: of its one DAG.
        dice: where all that is random comes from.
        arguments: further arguments of the DAG, as text.
    """

    dag_id: str
    dice: random.Random
    arguments: str = ""
    tasks: int = 0
    _lines: list[str] = field(default_factory=list)
    _depth: int = 1
    _prefix: str = ""
    _made: int = 0
    _constructs: set[str] = field(default_factory=set)

    # --- tasks ----------------------------------------------------------------------------------------

    def task(
        self,
        words: str = "ok",
        *after: Task,
        rule: str = "all_success",
        retries: int = 0,
        given: Sequence[str] = (),
        style: str = "",
    ) -> Task:
        """A task that acts by its words.

        Arguments:
            after: the tasks that it waits for.
            given: expressions of its arguments.
            style: "operator", "function" or "empty"; by default any that will do.
        """
        styles = ["operator", "function"] + (["empty"] if words == "ok" and not given and not retries else [])
        style = style or self.dice.choice(styles)
        made, options = self.new(words, rule, retries)
        arguments = ", ".join(given)
        if style == "empty":
            text = f"EmptyOperator({options})"
        elif style == "function":
            text = f"task({options})(act)({arguments})"
        else:
            text = f"PythonOperator({options}, python_callable=act{f', op_args=[{arguments}]' if given else ''})"
        self.write(f"{made.name} = {text}")
        self.used(style)
        self._wait(made, after)
        return made

    def mapped(self, words: str, expansion: str, *after: Task, rule: str = "all_success", retries: int = 0) -> Task:
        """A mapped task.

        Arguments:
            expansion: the call that expands it, as `expand(value=[1, 2])`; `op_args` maps a PythonOperator.
        """
        made, options = self.new(words, rule, retries)
        classic = "op_args" in expansion or "op_kwargs" in expansion
        partial = f"PythonOperator.partial({options}, python_callable=act)" if classic else f"task({options})(take)"
        self.write(f"{made.name} = {partial}.{expansion}")
        self.used("mapped", expansion.partition("(")[0])
        self._wait(made, after)
        return made

    def branch(self, chosen: Sequence[str], *after: Task, words: str = "ok", rule: str = "all_success") -> Task:
        """A task that follows the ids chosen; none of them when there are none."""
        made, options = self.new(words, rule, 0)
        arguments = ", ".join(map(repr, chosen))
        if self.dice.random() < 0.5:
            text = f"task.branch({options})(choose)({arguments})"
        elif chosen or self.dice.random() < 0.5:
            text = f"BranchPythonOperator({options}, python_callable=choose, op_args=[{arguments}])"
        else:
            text = f"BranchPythonOperator({options}, python_callable=choose_nothing)"
        self.write(f"{made.name} = {text}")
        self.used("branch", f"branch to {min(len(chosen), 2)}")
        self._wait(made, after)
        return made

    def short_circuit(
        self, answer: bool, *after: Task, ignore_rules: bool = True, words: str = "ok", rule: str = "all_success"
    ) -> Task:
        """A task that lets nothing past it when the answer is no."""
        made, options = self.new(words, rule, 0)
        if not ignore_rules or self.dice.random() < 0.3:
            options += f", ignore_downstream_trigger_rules={ignore_rules}"
        if self.dice.random() < 0.5:
            self.write(f"{made.name} = task.short_circuit({options})(is_so)({answer})")
        else:
            self.write(f"{made.name} = ShortCircuitOperator({options}, python_callable=is_so, op_args=[{answer}])")
        self.used(f"short circuit on {answer}, ignoring rules: {ignore_rules}")
        self._wait(made, after)
        return made

    # --- what surrounds them --------------------------------------------------------------------------

    @contextmanager
    def group(self) -> Iterator[Task]:
        """A task group: what is written inside belongs to it."""
        self._made += 1
        group = Task(f"g{self._made}", f"{self._prefix}g{self._made}")
        self.write(f"with TaskGroup({group.name!r}) as {group.name}:")
        self.used("nested group" if self._prefix else "group")
        start = len(self._lines)
        with self._inside(group.name):
            yield group
        if len(self._lines) == start + 1:
            self.used("empty group")

    @contextmanager
    def mapped_group(self, expansion: str) -> Iterator[Task]:
        """A mapped task group, called right after; inside, `value` and `other` are what an instance is given."""
        self._made += 1
        group = Task(f"m{self._made}", f"{self._prefix}m{self._made}")
        self.write(f"@task_group(group_id={group.name!r})", f"def {group.name}_body(value=None, other=None):")
        self.used("mapped group", f"mapped group: {expansion.partition('(')[0]}")
        with self._inside(group.name):
            yield group
        self.write(f"{group.name} = {group.name}_body.{expansion}")

    @contextmanager
    def indented(self, line: str) -> Iterator[None]:
        """A line and a block under it."""
        self.write(line)
        self._depth += 1
        yield
        self._depth -= 1

    def arrow(self, above: Task, below: Task) -> None:
        """`above >> below`, of tasks or groups."""
        self.write(f"{above.name} >> {below.name}")

    def write(self, *lines: str) -> None:
        """Lines as they are."""
        self._lines += ["    " * self._depth + line for line in lines]

    def used(self, *constructs: str) -> None:
        """Note constructs for the coverage table."""
        self._constructs.update(constructs)

    @property
    def room(self) -> int:
        """How many tasks may still be added."""
        return MOST_TASKS - self.tasks

    def coming(self, words: str, ahead: int = 1) -> str:
        """The id that the `ahead`-th task from here will have, if it is made with these words and in this group."""
        return f"{self._prefix}t{self._made + ahead}_{words}"

    def finish(self) -> Generated:
        """The file."""
        head = [
            f"with DAG({self.dag_id!r}, schedule=None, start_date=datetime(2026, 1, 1),",
            f'         default_args={{"retry_delay": timedelta(0)}}{self.arguments}) as dag:',
        ]
        return Generated(
            dag_id=self.dag_id,
            source=PRELUDE + "\n".join([*head, *self._lines]) + "\n",
            constructs=tuple(sorted(self._constructs)),
        )

    def new(self, words: str, rule: str = "all_success", retries: int = 0) -> tuple[Task, str]:
        """A task of these words that is still to be written, and the options that every kind of task takes."""
        self._made += 1
        self.tasks += 1
        made = Task(f"t{self._made}", f"{self._prefix}t{self._made}_{words}")
        options = f"task_id={made.task_id.removeprefix(self._prefix)!r}"
        if rule != "all_success":
            options += f", trigger_rule={rule!r}"
        if retries:
            options += f", retries={retries}"
        self.used(*(f"word {word.rstrip('0123456789-')}" for word in words.split("_")))
        return made, options

    def _wait(self, made: Task, after: Sequence[Task]) -> None:
        if len(after) == 1:
            self.write(f"{after[0].name} >> {made.name}")
        elif after:
            self.write(f"[{', '.join(one.name for one in after)}] >> {made.name}")

    @contextmanager
    def _inside(self, name: str) -> Iterator[None]:
        outer = self._prefix
        self._prefix += f"{name}."
        self._depth += 1
        self.write("pass")
        yield
        self._depth -= 1
        self._prefix = outer
