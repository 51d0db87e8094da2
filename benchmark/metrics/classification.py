"""How well class probabilities match labels, for one sample or for thousands of resamples at once.

Which intervals and tests are made from the resamples is the business of `statistics`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

SCORES = (
    "accuracy",
    "balanced_accuracy",
    "macro_sensitivity",
    "macro_specificity",
    "macro_precision",
    "macro_f1",
    "macro_auc",
)
UNDECIDED = -1

# Resamples are worked on in chunks of this many (images x resamples), 8 MiB of float64, so that
# memory stays bounded; but never fewer than so many at a time, or the loop in `_auc` dominates.
_CHUNK_ELEMENTS = 1 << 20
_CHUNK_LEAST = 256

_Floats = NDArray[np.float64]
_Integers = NDArray[np.int64]


def scores(labels: ArrayLike, probabilities: ArrayLike) -> dict[str, float]:
    """The metrics named in `SCORES`.

    Conventions, ours where no source is named:

    - The predicted class has the largest probability; where several share it, the image is
      undecided and wrong for every class (the scorer of the ISIC challenges does the same).
    - A macro score is the plain mean over the classes that have an image; a class without one is
      not scored, but predicting it is still wrong.
    - `balanced_accuracy` is the mean sensitivity, so it equals `macro_sensitivity`: the field uses
      both names for it.
    - Sensitivity, specificity, precision and F1 of a class are one-vs-rest on the predicted
      classes. The precision of a class that is never predicted is 0.
    - `macro_auc` is the mean of the one-vs-rest areas under the ROC curve, equal scores counting
      one half.

    Args:
        labels: (N,) int, in [0, C).
        probabilities: (N, C) float, finite. Only their order matters, they need not sum to 1.

    Returns:
        Each score in [0, 1]. With images of a single class, `macro_specificity` and `macro_auc`
        are NaN.

    Raises:
        ValueError: wrong shapes, no image, a label outside [0, C), a probability not finite.
    """
    ones = np.ones((1, np.shape(labels)[0] if np.ndim(labels) else 0), dtype=np.int64)
    return {name: float(value[0]) for name, value in resampled(labels, probabilities, ones).items()}


def resampled(
    labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike
) -> dict[str, _Floats]:
    """The metrics of `scores` for R weighted versions of one sample, such as bootstrap resamples.

    Args:
        labels: (N,) int, in [0, C).
        probabilities: (N, C) float, finite.
        weights: (R, N) int, at least 0: how many times each image enters each resample.

    Returns:
        Each score as (R,) float64: row r is what `scores` gives when image i is repeated
        `weights[r, i]` times. NaN where a resample leaves a score undefined.

    Raises:
        ValueError: as `scores`; weights negative, not integers or of another shape.
    """
    sample = _Sample.of(labels, probabilities)
    weights = np.asarray(weights)
    if weights.ndim != 2 or weights.shape[1] != sample.size:
        raise ValueError(f"weights must be (R, {sample.size}), not {weights.shape}")
    if not np.issubdtype(weights.dtype, np.integer) or (weights.size and weights.min() < 0):
        raise ValueError("weights must be integers of at least 0")
    result = {name: np.empty(len(weights)) for name in SCORES}
    step = max(_CHUNK_LEAST, _CHUNK_ELEMENTS // sample.size)
    for start in range(0, len(weights), step):
        rows = slice(start, start + step)
        for name, value in _macro(sample, sample.by_class(weights[rows])).items():
            result[name][rows] = value
    return result


def per_class(labels: ArrayLike, probabilities: ArrayLike, classes: Sequence[str]) -> pd.DataFrame:
    """One row per class, with the conventions of `scores`.

    Returns:
        Index `class`; columns `n` (images of the class), `sensitivity`, `specificity`,
        `precision`, `f1`, `auc`. A class without images has n 0 and NaN elsewhere.

    Raises:
        ValueError: as `scores`; another number of classes than probabilities have columns.
    """
    sample = _Sample.of(labels, probabilities)
    if len(classes) != sample.classes:
        raise ValueError(f"{len(classes)} class names for {sample.classes} columns")
    counted = sample.by_class(np.ones((1, sample.size), dtype=np.int64))
    present = counted.positives[:, 0] > 0
    columns = {
        "sensitivity": counted.sensitivity,
        "specificity": counted.specificity,
        "precision": counted.precision,
        "f1": counted.f1,
        "auc": counted.auc,
    }
    return pd.DataFrame(
        {"n": counted.positives[:, 0].astype(int)}
        | {name: np.where(present, values[:, 0], np.nan) for name, values in columns.items()},
        index=pd.Index(list(classes), name="class"),
    )


def predicted_classes(probabilities: ArrayLike) -> _Integers:
    """(N,) int: the class of the largest probability, `UNDECIDED` where several share it.

    Args:
        probabilities: (N, C) float.
    """
    probabilities = np.asarray(probabilities)
    largest = probabilities == probabilities.max(axis=1, keepdims=True)
    return np.where(largest.sum(axis=1) == 1, largest.argmax(axis=1), UNDECIDED)


def confusion(labels: ArrayLike, predicted: ArrayLike, classes_count: int) -> _Integers:
    """(C, C) int: images by true class (row) and predicted class (column).

    Undecided images are in no column, so a row may sum to less than the images of its class.

    Args:
        labels: (N,) int, in [0, C).
        predicted: (N,) int, in [0, C) or `UNDECIDED`.
        classes_count: C.

    Raises:
        ValueError: a class outside its range, or different lengths.
    """
    labels, predicted = np.asarray(labels), np.asarray(predicted)
    if labels.shape != predicted.shape or labels.ndim != 1:
        raise ValueError(f"labels {labels.shape} and predicted {predicted.shape} must both be (N,)")
    decided = predicted != UNDECIDED
    for values in (labels, predicted[decided]):
        if values.size and not (values.min() >= 0 and values.max() < classes_count):
            raise ValueError(f"classes must be in [0, {classes_count})")
    table = np.zeros((classes_count, classes_count), dtype=np.int64)
    np.add.at(table, (labels[decided], predicted[decided]), 1)
    return table


@dataclass(frozen=True)
class _ByClass:
    """Counts and scores of each class (row) in each resample (column): (C, r) float64 each.

    Undefined scores are NaN.
    """

    positives: _Floats
    hits: _Floats
    total: _Floats
    sensitivity: _Floats
    specificity: _Floats
    precision: _Floats
    f1: _Floats
    auc: _Floats


@dataclass(frozen=True)
class _Sample:
    """What does not depend on the weights: who is of which class, and who outscores whom."""

    size: int
    classes: int
    indicators: _Floats
    """(3 C, N) of 0 and 1: image is of the class; is predicted as it; both."""
    rankings: tuple[tuple[_Integers, _Integers, _Integers, _Integers], ...]
    """Per class: positives; negatives by rising score; and for each positive the number of
    negatives below it, and below or level with it."""

    @classmethod
    def of(cls, labels: ArrayLike, probabilities: ArrayLike) -> "_Sample":
        labels, probabilities = _checked(labels, probabilities)
        count = probabilities.shape[1]
        every = np.arange(count)[:, None]
        truth, called = labels == every, predicted_classes(probabilities) == every
        rankings = []
        for is_positive, column in zip(truth, probabilities.T, strict=True):
            positives, negatives = np.flatnonzero(is_positive), np.flatnonzero(~is_positive)
            negatives = negatives[np.argsort(column[negatives], kind="stable")]
            rankings.append(
                (
                    positives,
                    negatives,
                    np.searchsorted(column[negatives], column[positives], side="left"),
                    np.searchsorted(column[negatives], column[positives], side="right"),
                )
            )
        indicators = np.concatenate([truth, called, truth & called]).astype(np.float64)
        return cls(len(labels), count, indicators, tuple(rankings))

    def by_class(self, weights: NDArray[np.integer]) -> _ByClass:
        """Everything per class for weights (r, N). Counts are whole numbers, so sums are exact."""
        # Images by resamples: picking and summing images then walks along contiguous rows.
        by_image = np.ascontiguousarray(weights.T, dtype=np.float64)
        positives, called, hits = np.split(self.indicators @ by_image, 3)
        total = by_image.sum(axis=0, keepdims=True)
        negatives = total - positives
        precision = _ratio(hits, called)
        precision[called == 0] = 0.0
        return _ByClass(
            positives=positives,
            hits=hits,
            total=total,
            sensitivity=_ratio(hits, positives),
            specificity=_ratio(negatives - (called - hits), negatives),
            precision=precision,
            f1=_ratio(2 * hits, positives + called),
            auc=np.stack([_auc(by_image, *ranking) for ranking in self.rankings]),
        )


def _auc(
    by_image: _Floats, positives: _Integers, negatives: _Integers, below: _Integers, upto: _Integers
) -> _Floats:
    """(r,) share of (positive, negative) pairs that are in order; a tie counts one half."""
    passed = np.zeros((len(negatives) + 1, by_image.shape[1]))
    passed[1:] = by_image[negatives]
    for before, row in pairwise(passed):  # ten times faster than cumsum down the columns
        row += before
    drawn = by_image[positives]
    won = np.einsum("ir,ir->r", drawn, passed[below] + passed[upto]) / 2
    return _ratio(won, drawn.sum(axis=0) * passed[-1])


def _macro(sample: _Sample, counted: _ByClass) -> dict[str, _Floats]:
    present = counted.positives > 0
    present_count = present.sum(axis=0)

    def mean(values: _Floats) -> _Floats:
        # A NaN of a present class stays: it means that no class has both kinds of image.
        return _ratio(np.where(present, values, 0).sum(axis=0), present_count)

    sensitivity = mean(counted.sensitivity)
    return {
        "accuracy": _ratio(counted.hits.sum(axis=0), counted.total[0]),
        "balanced_accuracy": sensitivity,
        "macro_sensitivity": sensitivity,
        "macro_specificity": mean(counted.specificity),
        "macro_precision": mean(counted.precision),
        "macro_f1": mean(counted.f1),
        "macro_auc": mean(counted.auc),
    }


def _ratio(part: _Floats, whole: NDArray) -> _Floats:
    """`part / whole`, NaN where `whole` is 0."""
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _checked(labels: ArrayLike, probabilities: ArrayLike) -> tuple[NDArray, NDArray]:
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if labels.ndim != 1 or probabilities.ndim != 2 or len(labels) != len(probabilities):
        raise ValueError(
            f"labels must be (N,) and probabilities (N, C), not {labels.shape} and"
            f" {probabilities.shape}"
        )
    if not len(labels):
        raise ValueError("no image to score")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels must be integers, not {labels.dtype}")
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise ValueError(f"labels must be in [0, {probabilities.shape[1]})")
    if not np.isfinite(probabilities).all():
        raise ValueError("probabilities must be finite")
    return labels, probabilities
