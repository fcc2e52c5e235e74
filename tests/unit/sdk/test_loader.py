"""Files of DAGs: what they hold, and what is wrong with them."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from piper.model.errors import AuthorError, InvalidSpec
from piper.sdk import scope
from piper.sdk.loader import LoadedFile, get_parsing_context, load_file, module_name
from piper.sdk.specs import spec_of


@pytest.fixture
def bundle(tmp_path: Path) -> Iterator[Path]:
    """A folder of DAG files, forgotten afterwards."""
    modules, path = set(sys.modules), list(sys.path)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(tmp_path)):
            del sys.modules[name]


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip(), encoding="utf-8")


HEAD = "from piper.sdk import DAG, BaseOperator, dag\n"


def load(root: Path, text: str, **libraries: str) -> LoadedFile:
    """Load a file of this text, beside modules of those names."""
    write(root, {"flow.py": HEAD + textwrap.dedent(text), **{f"{name}.py": libraries[name] for name in libraries}})
    return load_file(root, "flow.py")


def test_dags_are_found_that_were_entered_or_are_global(bundle: Path) -> None:
    loaded = load(
        bundle,
        """
        with DAG("entered"): pass
        kept = DAG("kept")
        with DAG("quiet", auto_register=False): pass
        with DAG("quiet_but_kept", auto_register=False) as quiet: pass
        def make():
            DAG("lost")
            with DAG("made"): pass
        make()
        @dag
        def decorated(): ...
        decorated()
        for number in range(2):
            with DAG(f"loop_{number}") as same_name: pass
        """,
    )
    assert set(loaded.dags) == {"entered", "kept", "quiet_but_kept", "made", "decorated", "loop_0", "loop_1"}
    assert (loaded.warnings, loaded.imported) == ([], [])


def test_a_file_without_dags_is_fine(bundle: Path) -> None:
    assert load(bundle, "x = 1").dags == {}


def test_lines_are_those_of_the_file_also_where_a_helper_elsewhere_made_the_task(bundle: Path) -> None:
    loaded = load(
        bundle,
        """
        from library import make_task
        with DAG("d"):
            make_task("a")
            (
                make_task("b")
            )
        """,
        library="""
        from piper.sdk import BaseOperator
        def make_task(name):
            return BaseOperator(task_id=name)
        """,
    )
    made = spec_of(loaded.dags["d"], file="flow.py")
    assert made.source.line == 4
    assert [task.source.line for task in made.tasks if task.source] == [5, 7]
    assert loaded.imported == ["library.py"]


def test_a_dag_made_by_a_helper_elsewhere_is_of_the_line_that_called_it(bundle: Path) -> None:
    loaded = load(
        bundle,
        """
        import library
        library.make()
        """,
        library="""
        from piper.sdk import DAG
        def make():
            with DAG("d"): pass
        """,
    )
    assert spec_of(loaded.dags["d"], file="flow.py").source.line == 4


def test_the_folder_of_dags_is_the_root_of_the_bundle(bundle: Path) -> None:
    text = """
        from piper.sdk import conf
        dag = DAG("d", description=conf.get("core", "DAGS_FOLDER"))
        """
    assert load(bundle, text).dags["d"].description == str(bundle)


def test_all_files_that_were_imported_are_told_and_imported_anew(bundle: Path) -> None:
    write(bundle, {"package/two.py": "value = 1", "package/__init__.py": ""})
    one = "import package.two\nvalue = package.two.value"
    loaded = load(bundle, "import one, json\nwith DAG(f'd{one.value}'): pass", one=one)
    assert loaded.imported == ["one.py", "package/__init__.py", "package/two.py"]
    assert set(loaded.dags) == {"d1"}
    (bundle / "package" / "two.py").write_text("value = 22", encoding="utf-8")
    again = load_file(bundle, "flow.py")
    assert set(again.dags) == {"d22"}
    assert again.imported == loaded.imported


def test_a_module_has_a_name_of_its_own_that_is_always_the_same(bundle: Path) -> None:
    write(bundle, {"a/flow.py": "name = __name__", "b/flow.py": "name = __name__"})
    load_file(bundle, "a/flow.py")
    load_file(bundle, "b/flow.py")
    assert module_name("a/flow.py") != module_name("b/flow.py")
    assert module_name("a/my-flow 1.py").endswith("_my_flow_1")
    assert sys.modules[module_name("a/flow.py")].name == module_name("a/flow.py")


def test_a_class_of_the_file_has_a_path_that_does_not_depend_on_the_folder(bundle: Path, tmp_path_factory: Any) -> None:
    text = HEAD + "class Mine(BaseOperator): ...\nwith DAG('d'): Mine(task_id='a')"
    paths = []
    for root in (bundle, tmp_path_factory.mktemp("other")):
        (root / "flow.py").write_text(text, encoding="utf-8")
        paths.append(spec_of(load_file(root, "flow.py").dags["d"], file="flow.py").tasks[0].operator)
    assert paths[0] == paths[1] == f"{module_name('flow.py')}.Mine"


def test_warnings_are_told_with_their_place(bundle: Path) -> None:
    loaded = load(
        bundle,
        """
        import warnings
        warnings.warn("old thing", DeprecationWarning)
        with DAG("d"):
            BaseOperator.partial(task_id="m")
        """,
    )
    assert loaded.warnings == [
        "flow.py:4: DeprecationWarning: old thing",
        "flow.py:6: UserWarning: task 'm' was never mapped: call .expand(…) on what .partial(…) gives",
    ]


def test_a_file_may_ask_what_it_is_loaded_for(bundle: Path) -> None:
    loaded = load(
        bundle,
        """
        from piper.sdk import get_parsing_context
        for number in range(3):
            wanted = get_parsing_context().dag_id
            if wanted in (None, f"d{number}"):
                with DAG(f"d{number}"): pass
        """,
    )
    assert set(loaded.dags) == {"d0", "d1", "d2"}
    assert set(load_file(bundle, "flow.py", dag_id="d1").dags) == {"d1"}
    assert get_parsing_context() == (None, None)


# --- what is wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("x = (", 2, "SyntaxError"),
        ("def f(:\n  pass", 2, "SyntaxError: .*def f"),
        ("\nimport nowhere", 3, "ModuleNotFoundError: No module named 'nowhere'"),
        ("from piper.sdk import TaskGrup", 2, "cannot import name 'TaskGrup' .*did you mean 'TaskGroup'"),
        ("from piper.sdk import DayWindow", 2, "piper.sdk has no DayWindow yet: partitions come later"),
        ("\n\n1 / 0", 4, "ZeroDivisionError: division by zero"),
        ("def f():\n    return 1 / 0\nf()", 3, "ZeroDivisionError"),
        ("DAG('d', schedul='@daily')", 2, "did you mean 'schedule'"),
        ("DAG('a b')", 2, "'a b' is not a valid id"),
        ("with DAG('d'):\n    BaseOperator(task_id='a')\n    BaseOperator(task_id='a')", 4, "already been added"),
        ("import sys\nsys.exit(3)", 3, r"ends the process when it is loaded: SystemExit\(3\)"),
        ("raise RecursionError('deep')", 2, "RecursionError: deep"),
        ("import json\njson.loads('{')", 3, "JSONDecodeError"),
        ("open('/nowhere/at/all')", 2, "FileNotFoundError"),
        ("raise type('Odd', (BaseException,), {})('x')", None, ""),
    ],
)
def test_an_error_is_told_with_file_and_line(bundle: Path, text: str, line: int | None, words: str) -> None:
    if line is None:
        with pytest.raises(BaseException) as odd:  # noqa: PT011
            load(bundle, text)
        assert type(odd.value).__name__ == "Odd"
        return
    with pytest.raises(AuthorError, match=words) as caught:
        load(bundle, text)
    assert (caught.value.file, caught.value.line) == ("flow.py", line)


def test_a_module_that_lies_elsewhere_in_the_bundle_is_pointed_at(bundle: Path) -> None:
    (bundle / "plugins/operators").mkdir(parents=True)
    (bundle / "plugins/operators/cargo.py").write_text("")
    with pytest.raises(AuthorError, match=r"operators is in plugins: from plugins import operators$"):
        load(bundle, "from operators.cargo import Cargo")
    with pytest.raises(AuthorError, match=r"cargo is in plugins/operators: from plugins.operators import cargo$"):
        load(bundle, "import cargo")
    with pytest.raises(AuthorError, match=r"'nowhere': it is neither in this bundle nor installed where Piper runs$"):
        load(bundle, "import nowhere")


def test_an_error_in_an_imported_file_is_told_there(bundle: Path) -> None:
    with pytest.raises(AuthorError, match="ZeroDivisionError") as caught:
        load(bundle, "import broken", broken="x = 1\n1 / 0")
    assert (caught.value.file, caught.value.line) == ("broken.py", 2)
    with pytest.raises(AuthorError, match="SyntaxError") as caught:
        load(bundle, "import worse", worse="def")
    assert (caught.value.file, caught.value.line) == ("worse.py", 1)


def test_two_dags_of_a_file_cannot_have_one_id(bundle: Path) -> None:
    with pytest.raises(
        InvalidSpec, match="two DAGs of this file have the id 'd': the other is made in line 2"
    ) as caught:
        load(bundle, "with DAG('d'): pass\nwith DAG('d'): pass")
    assert (caught.value.file, caught.value.line) == ("flow.py", 3)


def test_a_file_that_is_not_there_or_not_python_is_refused(bundle: Path) -> None:
    with pytest.raises(AuthorError, match="No such file"):
        load_file(bundle, "nothing.py")
    (bundle / "data.txt").write_text("x")
    with pytest.raises(AuthorError, match=r"must end in .py"):
        load_file(bundle, "data.txt")


def test_a_broken_file_leaves_nothing_behind(bundle: Path) -> None:
    with pytest.raises(AuthorError):
        load(bundle, "with DAG('d'):\n    1 / 0")
    assert scope.current_dag() is None
    assert scope.loading_file() == ""
    assert module_name("flow.py") not in sys.modules
    assert set(load(bundle, "with DAG('e'): pass").dags) == {"e"}
