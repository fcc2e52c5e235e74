"""Retry policies, callbacks, notifiers, settings, literals."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pendulum
import pytest

from piper.sdk import timezone
from piper.sdk.callbacks import AsyncCallback, SyncCallback
from piper.sdk.configuration import conf
from piper.sdk.dags import DAG
from piper.sdk.deadlines import DeadlineAlert, DeadlineReference
from piper.sdk.exceptions import AirflowConfigException
from piper.sdk.links import BaseOperatorLink
from piper.sdk.notifier import BaseNotifier
from piper.sdk.retry_policy import ExceptionRetryPolicy, RetryAction, RetryDecision, RetryPolicy, RetryRule
from piper.sdk.template import literal
from tests.unit.sdk.operators import shell, task_of

# --- retry policies -----------------------------------------------------------------------------

MINUTE = timedelta(minutes=1)


def test_the_first_rule_that_matches_holds() -> None:
    policy = ExceptionRetryPolicy(
        [
            RetryRule("json.JSONDecodeError", action=RetryAction.FAIL, reason="broken"),
            RetryRule([ConnectionError, "builtins.TimeoutError"], retry_delay=MINUTE),
            RetryRule(OSError, match_subclasses=False),
            RetryRule("nowhere.at.All"),
        ],
        default=RetryAction.DEFAULT,
    )

    def decide(error: BaseException) -> RetryDecision:
        return policy.evaluate(error, 1, 3)

    import json

    assert decide(json.JSONDecodeError("x", "", 0)) == RetryDecision.fail("broken")
    assert decide(ConnectionResetError()) == RetryDecision.retry(MINUTE, "Matched rule for ConnectionResetError")
    assert decide(TimeoutError()).action is RetryAction.RETRY
    assert decide(OSError()).action is RetryAction.RETRY
    assert decide(FileNotFoundError()) == RetryDecision.default()
    with pytest.raises(ValueError, match="dotted import path"):
        RetryRule("ValueError")


def test_a_policy_is_code_and_the_scheduler_knows_that_there_is_one() -> None:
    class Never(RetryPolicy):
        def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> Any:
            return RetryDecision.fail()

    with DAG("d") as dag:
        shell("a", retry_policy=Never(), retries=2)
    assert task_of(dag, "a").retry.policy
    with pytest.raises(TypeError, match="abstract"):
        RetryPolicy()  # type: ignore[abstract]


# --- callbacks and deadlines --------------------------------------------------------------------


def call() -> None: ...
async def acall() -> None: ...


def test_a_callback_is_a_function_at_the_top_of_a_module() -> None:
    assert SyncCallback(call, {"x": 1}, executor="celery").as_data() == {
        "kind": "sync",
        "path": f"{__name__}.call",
        "kwargs": {"x": 1},
        "executor": "celery",
    }
    assert AsyncCallback(f"{__name__}.acall").as_data()["kind"] == "async"
    assert SyncCallback("elsewhere.there.function").path == "elsewhere.there.function"
    assert SyncCallback(call) == SyncCallback(call) != SyncCallback(call, {"x": 1})


def test_what_cannot_be_called_back_is_refused() -> None:
    with pytest.raises(ValueError, match="top level"):
        SyncCallback(lambda: None)
    with pytest.raises(AttributeError, match="not awaitable"):
        AsyncCallback(call)
    with pytest.raises(ImportError, match="valid dot path"):
        SyncCallback("no path")
    with pytest.raises(AttributeError, match="not callable"):
        SyncCallback(f"{__name__}.MINUTE")
    with pytest.raises(ValueError, match="reserved"):
        SyncCallback(call, {"context": 1})


def test_deadlines_are_data() -> None:
    def stored(reference: Any) -> Any:
        return {
            name: value
            for name, value in DeadlineAlert(reference, MINUTE, SyncCallback(call)).as_data().items()
            if name not in ("callback", "name", "interval")
        }

    assert stored(DeadlineReference.DAGRUN_LOGICAL_DATE) == {"reference": "logical_date"}
    assert stored(DeadlineReference.FIXED_DATETIME(datetime(2026, 1, 1))) == {
        "reference": "fixed",
        "at": "2026-01-01T00:00:00+00:00",
    }
    assert stored(DeadlineReference.AVERAGE_RUNTIME()) == {
        "reference": "average_runtime",
        "max_runs": 10,
        "min_runs": 10,
    }
    assert DeadlineReference.FIXED_DATETIME(datetime(2026, 1, 1)) == DeadlineReference.FIXED_DATETIME(
        datetime(2026, 1, 1, tzinfo=UTC)
    )
    with pytest.raises(ValueError, match="at least 1"):
        DeadlineReference.AVERAGE_RUNTIME(5, 0)
    with pytest.raises(TypeError, match="interval must be a timedelta"):
        DeadlineAlert(DeadlineReference.DAGRUN_QUEUED_AT, 5, SyncCallback(call))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not currently supported"):
        DeadlineAlert(DeadlineReference.DAGRUN_QUEUED_AT, MINUTE, call)  # type: ignore[arg-type]


# --- notifiers ----------------------------------------------------------------------------------


class Told(BaseNotifier):
    """Keeps what it is told to say."""

    template_fields = ("message",)

    def __init__(self, message: str, context: Any = None) -> None:
        super().__init__(context)
        self.message = message
        self.told: list[str] = []

    def notify(self, context: Any) -> None:
        self.told.append(self.message)

    async def async_notify(self, context: Any) -> None:
        self.told.append(f"later: {self.message}")


def test_a_notifier_renders_its_fields_and_notifies() -> None:
    notifier = Told("{{ who }} failed")
    notifier({"who": "ann"})
    assert notifier.told == ["ann failed"]

    awaited = Told("{{ who }}", {"who": "bob"})

    async def wait() -> None:
        await awaited

    asyncio.run(wait())
    assert awaited.told == ["later: bob"]


def test_a_notifier_that_fails_says_so() -> None:
    class Silent(BaseNotifier):
        pass

    with pytest.raises(NotImplementedError, match=r"Silent has no notify\(\)"):
        Silent()({})


# --- the rest -----------------------------------------------------------------------------------


def test_a_literal_is_left_alone() -> None:
    value = literal("{{ not a template }}")
    assert value.resolve({}) == "{{ not a template }}"
    with DAG("d") as dag:
        shell("a", command=value)
    assert "command" not in task_of(dag, "a").arguments


def test_settings_come_from_the_environment_or_the_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "8")
    monkeypatch.setenv("AIRFLOW__CORE__FLAG", "True")
    monkeypatch.setenv("PIPER__CORE__FLAG", "no")
    monkeypatch.setenv("AIRFLOW__CORE__LIST", "a, b")
    assert conf.get("core", "parallelism") == "8"
    assert conf.getint("core", "parallelism") == 8
    assert conf.getfloat("core", "parallelism") == 8.0
    assert conf.gettimedelta("core", "parallelism") == timedelta(seconds=8)
    assert conf.getjson("core", "parallelism") == 8
    assert conf.getboolean("core", "flag") is False
    assert conf.getlist("core", "list") == ["a", "b"]
    assert conf.get("nowhere", "key", fallback=None) is None
    assert conf.getint("nowhere", "key", fallback=3) == 3
    assert conf.get("kubernetes_executor", "worker_container_tag") == ""
    assert not conf.has_option("nowhere", "key")
    with pytest.raises(AirflowConfigException, match="AIRFLOW__NOWHERE__KEY"):
        conf.get("nowhere", "key")
    with pytest.raises(AirflowConfigException, match="cannot be '8'"):
        conf.getboolean("core", "parallelism")
    with pytest.raises(AirflowConfigException, match="should be set"):
        conf.get_mandatory_value("nowhere", "key", fallback=None)


def test_a_link_has_a_key_of_its_own() -> None:
    class Docs(BaseOperatorLink):
        name = "Docs"  # type: ignore[assignment]

        def get_link(self, operator: Any, *, ti_key: Any) -> str:
            return "https://example.org"

    assert Docs().xcom_key == "_link_Docs"


def test_dates_with_zones() -> None:
    naive, aware = datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)
    assert timezone.is_naive(naive)
    assert timezone.is_localized(timezone.utcnow())
    assert timezone.make_aware(naive) == aware == timezone.convert_to_utc(naive) == timezone.datetime(2026, 1, 1)
    assert timezone.make_naive(aware) == naive
    assert timezone.parse("2026-01-01") == aware
    assert timezone.from_timestamp(aware.timestamp()) == aware
    assert timezone.coerce_datetime(aware, pendulum.timezone("Europe/Zurich")).hour == 1  # type: ignore[union-attr]
    assert timezone.coerce_datetime(None) is timezone.convert_to_utc(None) is timezone.make_aware(None) is None
    with pytest.raises(ValueError, match="expects a naive"):
        timezone.make_aware(aware)
    with pytest.raises(ValueError, match="naive datetime"):
        timezone.make_naive(naive)
