"""The model of the flight delays example: will this flight leave more than 15 minutes late?

Plain functions on columns (arrays by name, as DuckDB hands them over); nothing here knows the warehouse, a
workflow or the date. The same rows give the same model, with the same version.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.preprocessing import OrdinalEncoder
from threadpoolctl import threadpool_limits

Columns = dict[str, NDArray[Any]]

CATEGORIES = ("carrier", "origin", "destination")
NUMBERS = (
    *("distance", "weekday", "minute_of_day", "traffic"),
    *("late_by_route", "late_by_carrier", "late_by_hour", "late_by_flight", "late_yesterday"),
    *("temperature", "dew_point", "humidity", "wind", "pressure", "pressure_change", "rain", "visibility"),
)
PARAMETERS: dict[str, float] = {
    "max_iter": 80,
    "learning_rate": 0.06,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 60,
    "l2_regularization": 1.0,
    "random_state": 0,
}

CONFIDENCE = 1.96
MARGIN = 0.05


@dataclass(frozen=True)
class Model:
    """A classifier with what it needs to read columns, and the share of late flights that it has seen."""

    version: str
    encoder: OrdinalEncoder
    classifier: HistGradientBoostingClassifier
    base_rate: float


@dataclass(frozen=True)
class Scores:
    """How probabilities fared, beside what one gets who knows nothing but the base rate.

    Accuracy is what people ask for, and on a quiet day nobody beats "always on time". Whether a model is better than
    nothing is decided on the log loss, which also sees probabilities that are right without crossing one half.
    """

    flights: int
    late_share: float
    accuracy: float
    baseline_accuracy: float
    auc: float | None
    """None on a day on which all flights were late, or none was."""
    log_loss: float
    baseline_log_loss: float

    @property
    def better_than_baseline(self) -> bool:
        """Whether the model knows more than the base rate."""
        return self.log_loss < self.baseline_log_loss

    def as_numbers(self) -> dict[str, float]:
        """All of them by name, but those that do not exist."""
        return {name: number for name, number in asdict(self).items() if number is not None}


def train(examples: Columns, trained_on: str) -> Model:
    """Learn from flights whose outcome is known.

    Arguments:
        examples: the columns of `CATEGORIES` and `NUMBERS`, and `late`.
        trained_on: the day, for the version; it ends with a digest of all that the model follows from.
    """
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    encoder.fit(_text(examples))
    late = examples["late"].astype(bool)
    classifier = HistGradientBoostingClassifier(
        categorical_features=list(range(len(CATEGORIES))), early_stopping=False, **PARAMETERS
    )
    features = _matrix(encoder, examples)
    # One thread: two tasks on two cores would only get in each other's way.
    with threadpool_limits(1):
        classifier.fit(features, late)
    return Model(f"{trained_on}-{_digest(features, late)}", encoder, classifier, float(late.mean()))


def predict(model: Model, flights: Columns) -> NDArray[np.float64]:
    """The probability of being late, for each flight."""
    with threadpool_limits(1):
        probability: NDArray[np.float64] = model.classifier.predict_proba(_matrix(model.encoder, flights))[:, 1]
    return probability


def score(probability: NDArray[np.float64], late: NDArray[np.bool_], base_rate: float) -> Scores:
    """Compare probabilities with what came true, and with a forecast of the base rate for every flight."""
    baseline = np.full(len(late), base_rate)
    return Scores(
        flights=len(late),
        late_share=float(late.mean()),
        accuracy=float(((probability > 0.5) == late).mean()),
        baseline_accuracy=float(((baseline > 0.5) == late).mean()),
        auc=float(roc_auc_score(late, probability)) if 0 < late.sum() < len(late) else None,
        log_loss=float(log_loss(late, probability, labels=[False, True])),
        baseline_log_loss=float(log_loss(late, baseline, labels=[False, True])),
    )


def save(model: Model, folder: Path) -> tuple[Path, str]:
    """Write the model to a file of its own, whole or not at all. The path, and the file's SHA-256."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{model.version}.joblib"
    unfinished = path.with_suffix(".unfinished")
    joblib.dump(model, unfinished)
    digest = hashlib.sha256(unfinished.read_bytes()).hexdigest()
    unfinished.rename(path)
    return path, digest


def load(path: Path, sha256: str) -> Model:
    """Read a model back.

    Raises:
        ValueError: the file is not the one that was saved (unpickling another one could run anything).
    """
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise ValueError(f"{path} is not the model that was registered: its SHA-256 is {found}, not {sha256}")
    model = joblib.load(path)
    assert isinstance(model, Model)
    return model


def sample_size(population: int) -> int:
    """How many of so many predictions people must check to know their accuracy to ± 5 % with 95 % confidence.

    Cochran's formula for a share of one half (the worst case), corrected for a finite population.
    """
    unlimited = CONFIDENCE**2 * 0.25 / MARGIN**2
    return round(unlimited / (1 + (unlimited - 1) / population)) if population else 0


def _matrix(encoder: OrdinalEncoder, columns: Columns) -> NDArray[np.float64]:
    numbers = [np.ma.filled(columns[name].astype(np.float64), np.nan) for name in NUMBERS]
    return np.column_stack([encoder.transform(_text(columns)), *numbers])


def _text(columns: Columns) -> NDArray[Any]:
    return np.column_stack([columns[name].astype(object) for name in CATEGORIES])


def _digest(features: NDArray[np.float64], late: NDArray[np.bool_]) -> str:
    digest = hashlib.sha256(json.dumps(PARAMETERS, sort_keys=True).encode())
    digest.update(features.tobytes())
    digest.update(late.tobytes())
    return digest.hexdigest()[:8]
