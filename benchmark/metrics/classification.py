"""How well class probabilities match labels, for one sample or for thousands of resamples at once.

Which intervals and tests are made from the resamples is the business of `statistics`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from benchmark.metrics.binary import Ranking, in_chunks, ratio
from benchmark.metrics.checks import labels_and_probabilities

SCORES = (
    "accuracy",
    "balanced_accuracy",
    "macro_sensitivity",
    "macro_specificity",
    "macro_precision",
    "macro_f1",
    "macro_auc",
)
PER_CLASS = ("sensitivity", "specificity", "precision", "f1", "auc")
UNDECIDED = -1

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
    labels: ArrayLike,
    probabilities: ArrayLike,
    weights: ArrayLike,
    names: Collection[str] = SCORES,
) -> dict[str, _Floats]:
    """The metrics of `scores` for R weighted versions of one sample, such as bootstrap resamples.

    Args:
        labels: (N,) int, in [0, C).
        probabilities: (N, C) float, finite.
        weights: (R, N) int, at least 0: how many times each image enters each resample.
        names: of `SCORES`, those that are wanted; without `macro_auc` it takes a fifth of the time.

    Returns:
        Each score as (R,) float64: row r is what `scores` gives when image i is repeated
        `weights[r, i]` times. NaN where a resample leaves a score undefined.

    Raises:
        ValueError: as `scores`; weights negative, not integers or of another shape.
    """
    sample = _Sample.of(labels, probabilities, ranked="macro_auc" in names)

    def measure(by_image: _Floats) -> dict[str, _Floats]:
        found = _macro(sample.by_class(by_image))
        return {name: found[name] for name in names}

    return in_chunks(weights, sample.size, measure)


def resampled_per_class(
    labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike
) -> dict[str, _Floats]:
    """The metrics of `per_class` for R weighted versions of one sample.

    Args:
        labels: (N,) int, in [0, C).
        probabilities: (N, C) float, finite.
        weights: (R, N) int, at least 0: how many times each image enters each resample.

    Returns:
        The metrics named in `PER_CLASS` as (R, C) float64: row r is what `per_class` gives when
        image i is repeated `weights[r, i]` times. A class without images in a resample is NaN
        there in all metrics.

    Raises:
        ValueError: as `resampled`.
    """
    sample = _Sample.of(labels, probabilities)
    return in_chunks(weights, sample.size, lambda by_image: _each(sample.by_class(by_image)))


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
    counted = sample.by_class(np.ones((sample.size, 1)))
    return pd.DataFrame(
        {"n": counted.positives[:, 0].astype(int)}
        | {name: values[0] for name, values in _each(counted).items()},
        index=pd.Index(list(classes), name="class"),
    )


def g_mean(sensitivities: ArrayLike) -> _Floats:
    """Geometric mean of the sensitivities: 0 as soon as one class is never recognised.

    Kubat and Matwin, "Addressing the curse of imbalanced training sets" (ICML 1997), for two
    classes; Sun, Kamel and Wang, "Boosting for learning multiple classes with imbalanced class
    distribution" (ICDM 2006), for more.

    Args:
        sensitivities: (..., C) float in [0, 1]; NaN for a class without images, which does not
            enter.

    Returns:
        (...) float64 in [0, 1]; NaN where no class has images.
    """
    values = np.asarray(sensitivities, dtype=np.float64)
    present = ~np.isnan(values)
    # By logarithms, because a product of hundreds of classes would underflow.
    with np.errstate(divide="ignore"):
        logarithms = np.log(np.where(present, values, 1))
    return np.exp(ratio(logarithms.sum(axis=-1), present.sum(axis=-1)))


def hard_label_auc(sensitivity: ArrayLike, specificity: ArrayLike) -> _Floats:
    """Macro one-vs-rest AUC of the predicted classes, as if they were the scores.

    A curve with the one threshold of a hard label has the area (sensitivity + specificity) / 2.
    This is what the released test code of SuperCon (Chen, Zhuang and Chang, 2022) prints as AUC.
    For two classes and no undecided image it is the balanced accuracy; it is not the area under
    the ROC curve of the probabilities.

    Args:
        sensitivity: (..., C) float in [0, 1]; NaN for a class without images, which does not
            enter.
        specificity: (..., C) float in [0, 1].

    Returns:
        (...) float64 in [0, 1]; NaN where no class has images or all images are of one class.
    """
    sensitivity = np.asarray(sensitivity, dtype=np.float64)
    return _mean((sensitivity + np.asarray(specificity)) / 2, ~np.isnan(sensitivity), axis=-1)


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
    rankings: tuple[Ranking, ...]
    """Per class, against the rest; none where no AUC is wanted."""

    @classmethod
    def of(cls, labels: ArrayLike, probabilities: ArrayLike, ranked: bool = True) -> "_Sample":
        labels, probabilities = _checked(labels, probabilities)
        count = probabilities.shape[1]
        every = np.arange(count)[:, None]
        truth, called = labels == every, predicted_classes(probabilities) == every
        indicators = np.concatenate([truth, called, truth & called]).astype(np.float64)
        rankings = tuple(map(Ranking.of, truth, probabilities.T)) if ranked else ()
        return cls(len(labels), count, indicators, rankings)

    def by_class(self, by_image: _Floats) -> _ByClass:
        """Everything per class for weights (N, r). Counts are whole numbers, so sums are exact."""
        positives, called, hits = np.split(self.indicators @ by_image, 3)
        total = by_image.sum(axis=0, keepdims=True)
        negatives = total - positives
        precision = ratio(hits, called)
        precision[called == 0] = 0.0
        return _ByClass(
            positives=positives,
            hits=hits,
            total=total,
            sensitivity=ratio(hits, positives),
            specificity=ratio(negatives - (called - hits), negatives),
            precision=precision,
            f1=ratio(2 * hits, positives + called),
            auc=self._areas(by_image),
        )

    def _areas(self, by_image: _Floats) -> _Floats:
        if not self.rankings:
            return np.full((self.classes, by_image.shape[1]), np.nan)
        return np.stack([ranking.weighted(by_image).auc() for ranking in self.rankings])


def _macro(counted: _ByClass) -> dict[str, _Floats]:
    """Each of `SCORES`, (r,)."""
    present = counted.positives > 0
    sensitivity = _mean(counted.sensitivity, present, axis=0)
    return {
        "accuracy": ratio(counted.hits.sum(axis=0), counted.total[0]),
        "balanced_accuracy": sensitivity,
        "macro_sensitivity": sensitivity,
        "macro_specificity": _mean(counted.specificity, present, axis=0),
        "macro_precision": _mean(counted.precision, present, axis=0),
        "macro_f1": _mean(counted.f1, present, axis=0),
        "macro_auc": _mean(counted.auc, present, axis=0),
    }


def _each(counted: _ByClass) -> dict[str, _Floats]:
    """Each of `PER_CLASS`, (r, C), NaN for a class without images."""
    present = counted.positives > 0
    return {name: np.where(present, getattr(counted, name), np.nan).T for name in PER_CLASS}


def _mean(values: _Floats, present: NDArray[np.bool_], axis: int) -> _Floats:
    """Over the classes that are present; NaN where none is."""
    # A NaN of a present class stays: it means that no class has both kinds of image.
    return ratio(np.where(present, values, 0).sum(axis=axis), present.sum(axis=axis))


def _checked(labels: ArrayLike, probabilities: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    labels, probabilities = labels_and_probabilities(labels, probabilities)
    if not np.isfinite(probabilities).all():
        raise ValueError("probabilities must be finite")
    return labels, probabilities
