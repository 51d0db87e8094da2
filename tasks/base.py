"""What a task is: the trials it splits a data set into and the score it gives their outputs."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from benchmark import config, pictures
from benchmark.data import splits
from benchmark.data.dataset import Dataset
from benchmark.data.pixels import Progress, silent
from benchmark.errors import DataError
from benchmark.metrics import classification, statistics
from benchmark.records.predictions import Predictions
from benchmark.records.record import Baseline, Metric, TrainingSummary, TrialRecord

# The trial of a run that has only one.
ONLY = "main"

# Part of every task's protocol: the split is the same for all seeds of a run, so that seeds
# differ by training alone and every row of a table is scored on the same images.
SPLIT_SEED = 0
BOOTSTRAP_SEED = 0


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
    """

    ids: tuple[str, ...]
    probabilities: np.ndarray
    explanations: Explanations | None = None
    temperature: float | None = None


@dataclass(frozen=True)
class Score:
    """Metrics with intervals, what they are compared with, and the tables behind them.

    `notes` are for the reader of the record, one sentence each.
    """

    metrics: dict[str, Metric]
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    baselines: dict[str, Baseline] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Task(ABC):
    """One question. Subclasses fix its protocol; a change of protocol changes `version`.

    Class attributes:
        name, version, summary: as shown by `list`.
        Options: what may be asked of it beyond the data: each field is a flag of `run`.
        headline: the metric that ranks.
        dataset: the data set of a run that names none.
        needs: what the data must have beyond labels: "masks".
        maps: whether test images need maps that explain what the network says.
        selected_by: the validation score that chooses the epoch; macro one-vs-rest AUC, ours: it
            needs no threshold and moves with every image.
        seeded: whether the run's seed decides the trials, not only what is drawn in training.
        explained_with: the explainer that shows why, on some test images; "": none.
        graded: whether its trials are several diseases, which one network may learn together.
        shown: the metrics the command line prints, in order; "*" stands for any text.
        per_image: metric -> the column of the table `per_image` whose mean it is, of metrics that
            need more than probabilities: these columns are kept with the predictions.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    summary: ClassVar[str]
    Options: ClassVar[type[config.Options]] = config.Options
    headline: ClassVar[str]
    dataset: ClassVar[str] = "synthetic"
    needs: ClassVar[frozenset[str]] = frozenset()
    maps: ClassVar[bool] = False
    selected_by: ClassVar[str] = "macro_auc"
    seeded: ClassVar[bool] = False
    explained_with: ClassVar[str] = ""
    graded: ClassVar[bool] = False
    shown: ClassVar[tuple[str, ...]]
    per_image: ClassVar[Mapping[str, str]] = {}

    # Of the class's own `Options`.
    options: Any

    def __init__(self, options: config.Options | None = None) -> None:
        self.options = self.Options() if options is None else options

    def prepare(self, dataset: Dataset) -> Dataset:
        """The data as the question has them, such as with other classes; here as they are.

        `trials` divides the data as they are; all else gets them prepared.
        """
        return dataset

    def check(self, dataset: Dataset) -> None:
        """Refuse data that cannot answer the question.

        Raises:
            DataError: fewer than two classes, or masks are needed and there are none.
        """
        if len(dataset.classes) < 2:
            raise DataError(
                f"{dataset.root}: task {self.name} needs at least two classes, found"
                f" {', '.join(dataset.classes) or 'none'}"
            )
        if "masks" in self.needs and dataset.masks.empty:
            raise DataError(
                f"{dataset.root}: task {self.name} needs experts' masks and found none; see"
                f" `python -m benchmark describe {dataset.name}` for where they belong"
            )

    def trials(self, dataset: Dataset) -> list[Trial]:
        """One trial: the data set's own split, or one by group and label (SPLIT_SEED)."""
        parts = splits.partition(dataset, SPLIT_SEED)
        return [
            Trial(ONLY, tuple(parts["train"]), tuple(parts["validation"]), tuple(parts["test"]))
        ]

    def trials_of(self, dataset: Dataset, seed: int) -> list[Trial]:
        """The trials of a run with this seed; here those of `trials`, whatever the seed."""
        return self.trials(dataset)

    def of_trial(self, dataset: Dataset, name: str) -> Dataset:
        """The data with the labels and classes of the trial of this name; here as they are."""
        return dataset

    def selection(self, labels: np.ndarray, probabilities: np.ndarray) -> float:
        """The validation score that chooses the epoch; the higher the better."""
        return classification.scores(labels, probabilities)[self.selected_by]

    @abstractmethod
    def score(
        self, dataset: Dataset, trial: Trial, outputs: Outputs, progress: Progress = silent
    ) -> Score:
        """Score the outputs on the trial's test images; `progress` shows how far it has come."""

    def rescore(
        self, dataset: Dataset, trial: Trial, said: Predictions, temperature: float | None
    ) -> Score:
        """The score of a trial from what is kept of it: every metric that needs no map.

        Args:
            dataset: with the labels of the trial; photographs and masks are not looked at.
            trial: which was scored.
            said: of its test images.
            temperature: that was fitted, if one was.
        """
        return self.score(
            dataset, trial, Outputs(said.ids, said.probabilities, temperature=temperature)
        )

    def map_scores(
        self,
        dataset: Dataset,
        ids: Sequence[str],
        heatmaps: np.ndarray,
        progress: Progress = silent,
    ) -> dict[str, np.ndarray]:
        """What maps of the true class score, made anywhere; here nothing.

        Args:
            dataset: with its masks.
            ids: N test images.
            heatmaps: (N, h, w) float, non-negative and finite.
            progress: over the images.

        Returns:
            metric -> (N,) float64 of those of `per_image` that need nothing else; NaN where an
            image has none.
        """
        return {}

    @abstractmethod
    def draw(self, dataset: Dataset, outputs: Outputs, score: Score, folder: Path) -> list[Path]:
        """Draw the pictures of a trial into `folder`; the files, most telling first."""

    def overall(self, dataset: Dataset, results: Sequence[tuple[Trial, Outputs, Score]]) -> Score:
        """The run's own score, of all its trials; here that of the only one, without its tables."""
        ((_, _, score),) = results
        return replace(score, tables={})

    def tested(self, trials: Sequence[Trial]) -> tuple[str, ...]:
        """The test images of any of the trials, sorted: what a resample of a run draws from."""
        return tuple(sorted({sample for trial in trials for sample in trial.test}))

    def resampling(self, dataset: Dataset, trials: Sequence[Trial], count: int) -> np.ndarray:
        """(R, N) how often each resample has each image of `tested`: those of the run's intervals.

        Args:
            dataset: as `prepare` gives it.
            trials: all of the run.
            count: how many are drawn; R may be less, see `resamples`.
        """
        return resamples(*truth(dataset, self.tested(trials)), count)

    def sampled(
        self, dataset: Dataset, results: Sequence[tuple[Trial, Predictions]], weights: np.ndarray
    ) -> dict[str, np.ndarray]:
        """The run's scores in resamples of its test images.

        Args:
            dataset: as `prepare` gives it; photographs and masks are not looked at.
            results: every trial and what was said of its test images.
            weights: (R, N) int, how often each resample has each image of `tested`.

        Returns:
            metric -> (R,) float64, the headline among them; NaN where undefined. A row of ones
            gives the metrics of the run.
        """
        ((trial, said),) = results
        own = weights[:, positions(self.tested([trial]), said.ids)]
        labels, _ = truth(dataset, said.ids)
        found = classification.resampled(labels, said.probabilities, own)
        means = {n: statistics.weighted_mean(each, own) for n, each in said.values.items()}
        return found | means

    def draw_overall(self, dataset: Dataset, score: Score, folder: Path) -> list[Path]:
        """Draw the pictures of the run's own score into `folder`; here there are none."""
        return []


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


def truth(dataset: Dataset, ids: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N,) int64 and groups (N,) str of some images."""
    rows = dataset.table.loc[list(ids)]
    return rows["label"].to_numpy(np.int64), rows["group"].to_numpy(str)


def positions(images: Sequence[str], ids: Sequence[str]) -> np.ndarray:
    """(M,) int64: where in `images` each id stands."""
    place = {sample: number for number, sample in enumerate(images)}
    return np.array([place[sample] for sample in ids], np.int64)


def diagnosis_metrics(dataset: Dataset, outputs: Outputs) -> dict[str, Metric]:
    """Every classification score with its 95 % bootstrap interval over groups."""
    labels, groups = truth(dataset, outputs.ids)
    weights = resamples(labels, groups)
    return with_intervals(
        classification.scores(labels, outputs.probabilities),
        classification.resampled(labels, outputs.probabilities, weights),
        groups,
    )


def resamples(
    labels: np.ndarray, groups: np.ndarray, count: int = statistics.RESAMPLES
) -> np.ndarray:
    """(R, N) how often each test image enters each bootstrap resample, for scores over classes.

    A resample that lacks one of the classes asks an easier question: it is left out (ours); where
    that leaves less than half of them, none is kept, and there is no interval.
    """
    weights = statistics.group_weights(groups, count, BOOTSTRAP_SEED)
    whole = np.ones(len(weights), bool)
    for label in np.unique(labels):
        whole &= weights[:, labels == label].any(axis=1)
    if whole.all():
        return weights  # a choice of all rows would be a second copy of what may be large
    return weights[whole] if 2 * whole.sum() >= len(weights) else weights[:0]


def with_intervals(
    values: Mapping[str, float], samples: Mapping[str, np.ndarray], groups: np.ndarray
) -> dict[str, Metric]:
    """A metric for each score, with its 95 % bootstrap interval.

    Args:
        values: score -> its value.
        samples: score -> (R,) its values in the resamples.
        groups: (N,) the groups of the images that enter.
    """
    n, count = len(groups), len(np.unique(groups))
    return {
        name: metric(statistics.Estimate(value, *statistics.interval(samples[name]), n, count))
        for name, value in values.items()
    }


def mean_metric(values: np.ndarray, groups: np.ndarray) -> Metric:
    """The mean of one value per image with its interval; NaN values do not enter."""
    return metric(statistics.bootstrap(values, groups, statistics.RESAMPLES, BOOTSTRAP_SEED))


def metric(estimate: statistics.Estimate) -> Metric:
    """A record's metric: None where a number is not defined."""
    value, low, high = (
        float(number) if np.isfinite(number) else None
        for number in (estimate.value, estimate.low, estimate.high)
    )
    note = "" if value is not None else "not defined on these images"
    return Metric(value=value, low=low, high=high, n=estimate.n, groups=estimate.groups, note=note)


def shown_in(dataset: Dataset, folder: Path) -> str:
    """Whose the pictures in `folder` are: the data set, and the trial where a run has several."""
    trial = folder.parent.name
    return dataset.name if trial == ONLY else f"{dataset.name}, {trial}"


def draw_confusion(dataset: Dataset, outputs: Outputs, folder: Path) -> Path:
    """Draw the confusion matrix of the test images."""
    labels, _ = truth(dataset, outputs.ids)
    predicted = classification.predicted_classes(outputs.probabilities)
    target = folder / "confusion.png"
    counts = classification.confusion(labels, predicted, len(dataset.classes))
    pictures.confusion(counts, dataset.classes, shown_in(dataset, folder), target)
    return target
