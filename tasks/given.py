"""What a task is given and gives: trials, what a network says of them, scores."""

import hashlib
import json
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pandas as pd

from benchmark.errors import UserError
from benchmark.records.record import Baseline, Metric, TrainingSummary, TrialRecord

# The trial of a run that has only one.
ONLY = "main"


@dataclass(frozen=True)
class Trial:
    """One split: which images train, which choose the epoch, which are scored.

    `unscored` are images of the test part that the task cannot score; they serve for nothing.
    `unlabelled` are training images whose labels nobody may see; `train` are the others.
    """

    name: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    unscored: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()

    @property
    def parts(self) -> dict[str, list[str]]:
        """Sorted ids of "train" (labelled or not), "validation" and "test"."""
        train = (*self.train, *self.unlabelled)
        parts = {"train": train, "validation": self.validation, "test": self.test}
        return {name: sorted(ids) for name, ids in parts.items()}

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the ids of each part, in any order, whichever of them are labelled."""
        return _digest(self.parts)

    @property
    def labelled_fingerprint(self) -> str:
        """SHA-256 of the ids of the labelled training images, "" where all are labelled."""
        return _digest(sorted(self.train)) if self.unlabelled else ""

    @property
    def test_fingerprint(self) -> str:
        """SHA-256 of the ids of the test part, in any order."""
        return _digest(sorted(self.test))


@dataclass(frozen=True)
class Probes:
    """What tests of the explanations themselves found, on some of the test images.

    Attributes:
        ids: M sample ids.
        shares: (S,) float64 in [0, 1], of the pixels that were inserted or deleted.
        insertion, deletion: (M, S) float32, the true class's probability.
        stages: R names, what was given random weights, from the top layer down.
        similarity: (R, M) of the maps to the trained network's; NaN where undefined.
    """

    ids: tuple[str, ...]
    shares: np.ndarray
    insertion: np.ndarray
    deletion: np.ndarray
    stages: tuple[str, ...]
    similarity: np.ndarray


@dataclass(frozen=True)
class Explanations:
    """Maps of the test images: float32, non-negative, not normalised, in the order of the ids.

    Attributes:
        explainer: which one made them; the others are `published`.
        true: (N, h, w), of the true class.
        predicted: (N, h, w), of the class the network says.
        every: (N, K, h, w), of every class; None for explainers too slow for that.
        untrained: (N, h, w), of the true class, by a network with random weights.
        published: (N, h, w), Grad-CAM of the predicted class as in the DermXDB benchmark's code.
        untrained_published: (N, h, w), the same class and rule, by the network with random weights.
        probes: of the explanations.
    """

    explainer: str
    probes: Probes
    true: np.ndarray
    predicted: np.ndarray
    untrained: np.ndarray
    published: np.ndarray
    untrained_published: np.ndarray
    every: np.ndarray | None = None

    def arrays(self) -> dict[str, np.ndarray]:
        """The maps that are there, by name."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in found.items() if isinstance(value, np.ndarray)}


@dataclass(frozen=True)
class Outputs:
    """What a trained network says of the test images, in the order of `ids`.

    Attributes:
        ids: N sample ids.
        probabilities: (N, K) float32, rows sum to 1.
        explanations: None when the task does not ask for them.
        temperature: by which the logits would have to be divided to fit the validation labels best;
            None when it is not asked for.
        network: the architecture's name, for titles; "" where it is not known.
    """

    ids: tuple[str, ...]
    probabilities: np.ndarray
    explanations: Explanations | None = None
    temperature: float | None = None
    network: str = ""


@dataclass(frozen=True)
class Score:
    """Metrics with intervals, what they are compared with, and the tables behind them.

    `notes` are for the reader of the record, one sentence each.
    """

    metrics: dict[str, Metric]
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    baselines: dict[str, Baseline] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a number where a metric belongs: a record holds its interval and images, too."""
        for name, metric in self.metrics.items():
            if not isinstance(metric, Metric):
                raise UserError(
                    f"score {name!r} is {metric!r} ({type(metric).__name__}), expected a Metric,"
                    " with its interval: see mean_metric and with_intervals in tasks/scoring.py"
                )


def trial_record(
    trial: Trial,
    metrics: dict[str, Metric],
    stages: tuple[TrainingSummary, ...] = (),
    temperature: float | None = None,
) -> TrialRecord:
    """What a record keeps of a trial; predictions made elsewhere have no stages of training."""
    return TrialRecord(
        name=trial.name,
        split_fingerprint=trial.fingerprint,
        test_fingerprint=trial.test_fingerprint,
        labelled_fingerprint=trial.labelled_fingerprint,
        n_train=len(trial.train),
        n_unlabelled=len(trial.unlabelled),
        n_validation=len(trial.validation),
        n_test=len(trial.test),
        stages=stages,
        temperature=temperature,
        metrics=metrics,
    )


def _digest(ids: Any) -> str:
    return hashlib.sha256(json.dumps(ids, sort_keys=True).encode()).hexdigest()
