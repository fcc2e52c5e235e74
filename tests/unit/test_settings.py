"""Settings: where a value comes from, what is refused, and how values are written."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from piper.model.errors import InvalidSetting
from piper.settings import ExecutorBackend, Loaded, describe_settings, load_settings, shown_value, value_of


def load(home: Path, toml: str = "", options: dict[str, Any] | None = None, **environment: str) -> Loaded:
    (home / "piper.toml").write_text(toml)
    return load_settings({"PIPER_HOME": str(home)} | environment, options)


def test_every_setting_has_a_default_a_type_and_a_line_that_explains_it() -> None:
    known = describe_settings()
    assert len({setting.name for setting in known}) == len(known)
    for setting in known:
        assert setting.type
        assert setting.description.endswith("."), setting.name
        assert "\n" not in setting.description


def test_without_anything_there_are_defaults(tmp_path: Path) -> None:
    loaded = load_settings({"PIPER_HOME": str(tmp_path)})
    assert loaded.settings.web.port == 8080
    assert loaded.settings.home == tmp_path
    assert loaded.settings.database_url == f"sqlite:///{tmp_path}/piper.db"
    assert loaded.settings.dags == tmp_path / "dags"
    assert loaded.origin("web.port") == "default"


def test_the_home_is_that_of_the_user_unless_it_is_set() -> None:
    assert load_settings({}).settings.home == Path.home() / ".piper"


def test_the_command_line_goes_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    toml = "[web]\nport = 1001\nhost = '10.0.0.1'\n[executor]\nparallelism = 7\n"
    options = {"web.port": 1003, "web.host": None}
    loaded = load(tmp_path, toml, options, PIPER_WEB__PORT="1002", PIPER_WEB__HOST="10.0.0.2")
    assert (loaded.settings.web.port, loaded.settings.web.host, loaded.settings.executor.parallelism) == (
        1003,
        "10.0.0.2",
        7,
    )
    assert loaded.origin("web.port") == "command line"
    assert loaded.origin("web.host") == "PIPER_WEB__HOST"
    assert loaded.origin("executor.parallelism") == str(tmp_path / "piper.toml")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("worker.log_limit", "512MiB", 512 << 20),
        ("worker.log_limit", "1.5 GB", 1_500_000_000),
        ("worker.log_limit", "65536", 65536),
        ("worker.memory_limit", "none", None),
        ("worker.kill_grace", "30s", timedelta(seconds=30)),
        ("worker.kill_grace", "1h30m", timedelta(minutes=90)),
        ("worker.kill_grace", "250ms", timedelta(milliseconds=250)),
        ("worker.kill_grace", "2.5", timedelta(seconds=2.5)),
        ("core.paused_at_creation", "true", True),
        ("core.paused_at_creation", "0", False),
        ("web.allowed_hosts", "a.example, b.example", ("a.example", "b.example")),
        ("executor.backend", "local", ExecutorBackend.LOCAL),
    ],
)
def test_values_are_read_as_people_write_them(tmp_path: Path, name: str, text: str, value: object) -> None:
    section, key = name.upper().split(".")
    loaded = load(tmp_path, **{f"PIPER_{section}__{key}": text})
    assert value_of(loaded.settings, name) == value


def test_a_file_may_use_its_own_numbers_and_lists(tmp_path: Path) -> None:
    toml = "[worker]\nlog_limit = 4096\nkill_grace = 1.5\n[web]\nallowed_hosts = ['a', 'b']\n"
    settings = load(tmp_path, toml).settings
    assert settings.worker.log_limit == 4096
    assert settings.worker.kill_grace == timedelta(seconds=1.5)
    assert settings.web.allowed_hosts == ("a", "b")


@pytest.mark.parametrize(
    ("toml", "environment", "said"),
    [
        ("[web]\nprot = 1", {}, r"unknown setting 'web.prot' \(from .*piper.toml\); did you mean 'web.port'"),
        ("", {"PIPER_WBE__PORT": "1"}, r"unknown setting 'wbe.port' \(from PIPER_WBE__PORT\); did you mean 'web.port'"),
        ("", {"PIPER_WEB_PORT": "1"}, "PIPER_WEB_PORT is not the name of a setting: write PIPER_WEB__PORT"),
        ("", {"PIPER_XYZ__ABC": "1"}, "`piper config show` lists all settings"),
        ("port = 1", {}, "must stand in a section"),
        ("[web", {}, "cannot be read"),
        ("[web]\nport = 'many'", {}, "web.port .*'many' is not a integer"),
        ("[web]\nport = true", {}, "web.port .*True is not a integer"),
        ("[web]\nport = 70000", {}, "70000 must be between 0 and 65535"),
        ("[executor]\nparallelism = 0", {}, "0 must be at least 1"),
        ("[executor]\nbackend = 'kubernets'", {}, "'kubernets' is not a local"),
        ("[worker]\nlog_limit = 'much'", {}, "'much' is not a size: write it as"),
        ("[worker]\nkill_grace = '3 weeks'", {}, "'3 weeks' is not a duration"),
        ("[worker]\nkill_grace = -1", {}, "not negative"),
        ("[core]\nlog_level = 'LOUD'", {}, "none of DEBUG"),
        ("[database]\nurl = 'mysql://x'", {}, "must begin with sqlite"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(
    tmp_path: Path, toml: str, environment: dict[str, str], said: str
) -> None:
    with pytest.raises(InvalidSetting, match=said):
        load(tmp_path, toml, **environment)


def test_variables_that_are_no_settings_are_let_be(tmp_path: Path) -> None:
    load(tmp_path, PIPER_SERVER="http://x", PIPER_TOKEN="t", PIPER_FENCE_TOKEN="1.2", OTHER__X="1")


def test_secrets_are_never_shown() -> None:
    assert shown_value("database.url", "postgresql://u:pw@h/d") == "postgresql://u:********@h/d"
    assert shown_value("database.url", "postgresql://u:p@w@h/d") == "postgresql://u:********@h/d"
    url = "postgresql://u@h/d?sslmode=require&password=pw&sslpassword=pw&application_name=x"
    assert shown_value("database.url", url) == url.replace("=pw", "=********")
    assert shown_value("database.url", "sqlite:////x") == "sqlite:////x"
    assert shown_value("database.url", "") == ""


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("worker.log_limit", 100 << 20, "100MiB"),
        ("worker.log_limit", 5000, "5000"),
        ("worker.memory_limit", None, "none"),
        ("worker.kill_grace", timedelta(seconds=90.25), "1m30s250ms"),
        ("worker.kill_grace", timedelta(0), "0s"),
        ("core.paused_at_creation", True, "true"),
        ("web.allowed_hosts", ("a", "b"), "a, b"),
    ],
)
def test_values_are_shown_as_people_write_them(name: str, value: object, shown: str) -> None:
    assert shown_value(name, value) == shown


def test_what_is_shown_can_be_read_again(tmp_path: Path) -> None:
    for setting in describe_settings():
        if setting.default not in ("", "none"):
            section, key = setting.name.upper().split(".")
            again = load(tmp_path, **{f"PIPER_{section}__{key}": setting.default})
            assert shown_value(setting.name, value_of(again.settings, setting.name)) == setting.default
