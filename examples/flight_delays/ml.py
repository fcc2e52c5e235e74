"""Every day: train, validate, deploy if it is worth it, predict the day's flights; and see how yesterday's fared.

A model serves only if it does better than the base rate on days that it has not seen, and no worse there than the
model that serves already. Predictions say which version made them. One run at a time: what a day deploys, the
next is measured against.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pendulum
import registry
import warehouse

from piper.operators.empty import EmptyOperator
from piper.operators.sensors.external_task import ExternalTaskSensor
from piper.sdk import DAG, log_metric, log_metrics, log_output, log_parameter, task
from piper.sdk.exceptions import AirflowSkipException

# The three tasks that need scikit-learn import `model` themselves: the process that has loaded this file is forked for
# each task of it, and should stay small.

with DAG(
    dag_id="flights_ml",
    description="Train, validate, deploy, predict, compare",
    schedule="@daily",
    start_date=pendulum.datetime(2013, 7, 22, tz="America/New_York"),
    end_date=pendulum.datetime(2013, 7, 28, tz="America/New_York"),
    catchup=True,
    max_active_runs=1,
    default_args={"owner": "data-science", "retries": 2, "retry_delay": timedelta(seconds=5)},
    tags=["example", "flights"],
    doc_md=__doc__,
):
    wait_for_features = ExternalTaskSensor(
        task_id="wait_for_features",
        external_dag_id="flights_etl",
        failed_states=["failed"],
        mode="reschedule",
        poke_interval=2,
        timeout=600,
    )

    @task
    def train(ds: str) -> dict[str, Any]:
        """Learn from the weeks before the last days, and save the model under its version."""
        import model

        days = registry.training_days(date.fromisoformat(ds))
        with warehouse.reading() as db:
            examples = registry.examples(db, days)
        trained = model.train(examples, trained_on=ds)
        file, sha256 = model.save(trained, warehouse.home() / "models")
        for name, value in model.PARAMETERS.items():
            log_parameter(name, value)
        log_metric("flights", len(examples["late"]))
        log_output("model", {"version": trained.version, "file": str(file), "sha256": sha256})
        return {
            "model_version": trained.version,
            "trained_on": ds,
            "first_day": str(days[0]),
            "last_day": str(days[1]),
            "flights": len(examples["late"]),
            "file": str(file),
            "sha256": sha256,
            "base_rate": trained.base_rate,
        }

    @task
    def validate(trained: dict[str, Any], ds: str) -> dict[str, Any]:
        """Try the model, and the one that serves, on the days that were kept from both."""
        import model

        today = date.fromisoformat(ds)
        with warehouse.reading() as db:
            examples = registry.examples(db, registry.validation_days(today))
            serving = registry.deployed(db, today - warehouse.DAY)
        late = examples["late"].astype(bool)
        candidate = model.load(Path(trained["file"]), trained["sha256"])
        scores = model.score(model.predict(candidate, examples), late, candidate.base_rate)
        better = scores.better_than_baseline
        log_metrics(scores.as_numbers())
        if serving:
            known = model.load(serving.file, serving.sha256)
            known_scores = model.score(model.predict(known, examples), late, known.base_rate)
            log_metric("serving_log_loss", known_scores.log_loss)
            better = better and scores.log_loss <= known_scores.log_loss
        return {**scores.as_numbers(), "better": better}

    @task(pool="warehouse")
    def register(trained: dict[str, Any], scores: dict[str, Any]) -> None:
        """Write down the model and its scores, also if it never serves."""
        with warehouse.writing() as db:
            registry.register(db, trained, scores)
        log_output("models", {"model_version": trained["model_version"]})

    @task.branch
    def choose(scores: dict[str, Any]) -> str:
        """Deploy the model, or keep the one that serves."""
        return "deploy" if scores["better"] else "keep"

    @task(pool="warehouse")
    def deploy(trained: dict[str, Any], ds: str) -> None:
        """From this day on, the new model serves."""
        with warehouse.writing() as db:
            registry.deploy(db, trained["model_version"], date.fromisoformat(ds))
        log_output("deployments", {"day": ds, "model_version": trained["model_version"]})

    keep = EmptyOperator(task_id="keep")

    @task(pool="warehouse", trigger_rule="none_failed_min_one_success")
    def predict(ds: str) -> dict[str, Any]:
        """Say of each of the day's flights how likely it is to be late, by the model that serves."""
        import model

        day = date.fromisoformat(ds)
        with warehouse.reading() as db:
            serving = registry.deployed(db, day)
            flights = registry.features(db, day)
        if serving is None:
            raise AirflowSkipException("no model has been good enough to serve yet")
        probability = model.predict(model.load(serving.file, serving.sha256), flights)
        with warehouse.writing() as db:
            rows = registry.write_predictions(db, day, serving.version, probability.tolist())
        log_metrics({"rows": rows, "expected_late_share": float(probability.mean())})
        log_output("predictions", {"partition": ds, "model_version": serving.version, "rows": rows})
        return {"model_version": serving.version, "rows": rows, "wanted": model.sample_size(rows)}

    @task(pool="warehouse")
    def sample_for_review(predicted: dict[str, Any], ds: str) -> int:
        """Choose as many predictions for people to check as it takes to know their accuracy to 5 %."""
        with warehouse.writing() as db:
            rows = registry.sample_for_review(
                db, date.fromisoformat(ds), predicted["model_version"], predicted["wanted"]
            )
        log_metric("rows", rows)
        return rows

    @task(pool="warehouse")
    def measure_accuracy(ds: str) -> list[dict[str, Any]]:
        """Compare yesterday's predictions with the delays that came true."""
        yesterday = date.fromisoformat(ds) - warehouse.DAY
        with warehouse.writing() as db:
            found = registry.measure_accuracy(db, yesterday)
        if not found:
            raise AirflowSkipException(f"nothing was predicted for {yesterday}")
        for row in found:
            log_metrics({name: row[name] for name in ("accuracy", "baseline_accuracy", "auc") if row[name] is not None})
        log_output("accuracy", {"partition": str(yesterday), "rows": len(found)})
        return [{**row, "day": str(row["day"])} for row in found]

    trained = train()
    scores = validate(trained)
    chosen = choose(scores)
    predicted = predict()

    wait_for_features >> [trained, measure_accuracy()]
    register(trained, scores) >> chosen >> [deploy(trained), keep] >> predicted
    sample_for_review(predicted)
