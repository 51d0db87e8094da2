"""What tasks share when they score: the truth, resamples, intervals, the confusion matrix."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmark import pictures
from benchmark.data.dataset import Dataset
from benchmark.metrics import classification, statistics
from benchmark.records.record import Metric
from tasks.given import ONLY, Outputs

# Part of every task's protocol, so that rows are compared on the same resamples.
BOOTSTRAP_SEED = 0


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


def sample_first(weights: np.ndarray) -> np.ndarray:
    """(1 + R, N): the images as they are, each once, before the resamples (R, N)."""
    return np.concatenate([np.ones((1, weights.shape[1]), weights.dtype), weights])


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
    title = ", ".join(filter(None, [outputs.network, shown_in(dataset, folder)]))
    pictures.confusion(counts, dataset.classes, title, target)
    return target
