"""Arrows between tasks, groups, results and lists of them."""

from __future__ import annotations

import pytest

from piper.sdk.dags import DAG
from piper.sdk.edges import Label, chain, chain_linear, cross_downstream
from piper.sdk.group import TaskGroup
from tests.unit.sdk.operators import shell, spec, upstream


def test_arrows_join_tasks_lists_and_results_in_both_directions() -> None:
    with DAG("d") as dag:
        a, b, c, d, e = (shell(name) for name in "abcde")
        a >> [b, c] >> d
        e << d.output
    assert upstream(dag) == {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c"), "e": ("d",)}


def test_an_arrow_gives_its_right_side() -> None:
    with DAG("d"):
        a, b = shell("a"), shell("b")
        assert (a >> b) is b
        assert (b << a) is a
        assert ([a] >> b) is b


def test_an_arrow_drawn_twice_is_one() -> None:
    with DAG("d") as dag:
        a, b = shell("a"), shell("b")
        a >> b
        b << a
    assert upstream(dag)["b"] == ("a",)


def test_tasks_of_two_dags_cannot_be_joined() -> None:
    with DAG("one"):
        a = shell("a")
    with DAG("two"):
        b = shell("b")
    with pytest.raises(RuntimeError, match=r"more than one Dag: .*'one'.*'two'"):
        a >> b


def test_tasks_without_any_dag_cannot_be_joined() -> None:
    with pytest.raises(ValueError, match="don't have Dags yet"):
        shell("a") >> shell("b")


def test_something_else_beside_an_arrow_is_refused() -> None:
    def work() -> None: ...

    with DAG("d"):
        a = shell("a")
        with pytest.raises(TypeError, match=r"received function \('work' is not called: write work\(\)\)"):
            a >> work
        with pytest.raises(TypeError, match="received str"):
            a >> ["b"]


def test_chain_joins_neighbours_and_lists_pairwise() -> None:
    with DAG("d") as dag:
        a, b, c, d, e, f = (shell(name) for name in "abcdef")
        chain(a, [b, c], [d, e], f)
    assert upstream(dag) == {"a": (), "b": ("a",), "c": ("a",), "d": ("b",), "e": ("c",), "f": ("d", "e")}


def test_chain_refuses_lists_of_different_lengths() -> None:
    with DAG("d"):
        a, b, c = (shell(name) for name in "abc")
        with pytest.raises(ValueError, match="Got 2 and 1"):
            chain([a, b], [c])
        with pytest.raises(TypeError, match="Chain not supported"):
            chain([a], 5)


def test_chain_linear_joins_all_with_all() -> None:
    with DAG("d") as dag:
        a, b, c, d, e = (shell(name) for name in "abcde")
        chain_linear(a, [b, c], [d, e])
    assert upstream(dag)["d"] == upstream(dag)["e"] == ("b", "c")


def test_chain_linear_refuses_labels_and_nothing() -> None:
    with DAG("d"):
        a, b = shell("a"), shell("b")
        with pytest.raises(ValueError, match="Labels are not supported"):
            chain_linear(a, Label("x"), b)
        with pytest.raises(ValueError, match="Did you forget to expand"):
            chain_linear([a, b])


def test_cross_downstream_joins_each_with_each() -> None:
    with DAG("d") as dag:
        a, b, c, d = (shell(name) for name in "abcd")
        cross_downstream([a, b], [c, d])
    assert upstream(dag)["c"] == upstream(dag)["d"] == ("a", "b")


def test_a_label_is_words_on_an_arrow_and_nothing_else() -> None:
    with DAG("d") as dag:
        a, b, c, d = (shell(name) for name in "abcd")
        a >> Label("good") >> b
        d << Label("bad") << [b, c]
    stored = spec(dag)
    assert [(edge.upstream, edge.downstream, edge.label) for edge in stored.edge_labels] == [
        ("a", "b", "good"),
        ("b", "d", "bad"),
        ("c", "d", "bad"),
    ]
    assert upstream(dag) == {"a": (), "b": ("a",), "c": (), "d": ("b", "c")}
    assert dag.get_edge_info("a", "b") == {"label": "good"}
    assert dag.get_edge_info("a", "d") == {}


def test_labels_in_chains_and_between_groups() -> None:
    with DAG("d") as dag:
        start = shell("start")
        with TaskGroup("g") as group:
            shell("x") >> shell("y")
        with TaskGroup("h") as other:
            shell("z")
        chain(start, [Label("one"), Label("two")], [group, other])
        group >> Label("three") >> other
    labels = {(label.upstream, label.downstream): label.label for label in spec(dag).edge_labels}
    assert labels == {("start", "g.x"): "one", ("start", "h.z"): "two", ("g.y", "h.z"): "three"}


def test_a_label_between_tasks_of_different_groups_joins_only_them() -> None:
    with DAG("d") as dag:
        with TaskGroup("g"):
            a, _ = shell("a"), shell("b")
        with TaskGroup("h"):
            c = shell("c")
        a >> Label("x") >> c
    assert upstream(dag)["h.c"] == ("g.a",)


def test_two_labels_cannot_follow_each_other() -> None:
    with DAG("d"), pytest.raises(TypeError, match="two labels"):
        shell("a") >> Label("x") >> Label("y")
