"""How well ordered grades are found: how far off, and whether the diseased are referred.

What does not look at the order, such as sensitivities by grade, is in `classification`.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.metrics.binary import Ranking, in_chunks, ratio
from benchmark.metrics.confidence import Sample

SCORES = ("quadratic_kappa", "mean_absolute_grade_error", "referable_auc")

_Floats = NDArray[np.float64]
_Integers = NDArray[np.int64]


def scores(labels: ArrayLike, probabilities: ArrayLike, referable: int) -> dict[str, float]:
    """The metrics named in `SCORES`, each as the function of its name.

    Args:
        labels: (N,) int, in [0, K).
        probabilities: (N, K) float in [0, 1], rows sum to 1; grades in their order.
        referable: the least grade that is referred, in [1, K).

    Returns:
        Each metric; NaN where undefined.

    Raises:
        ValueError: wrong shapes, no image, a label outside [0, K), rows that are no
            probabilities, or a referable grade that refers all or none.
    """
    ones = np.ones((1, np.size(labels)), dtype=np.int64)
    found = resampled(labels, probabilities, referable, ones)
    return {name: float(value[0]) for name, value in found.items()}


def resampled(
    labels: ArrayLike, probabilities: ArrayLike, referable: int, weights: ArrayLike
) -> dict[str, _Floats]:
    """The metrics of `scores` for R weighted versions of one sample, such as bootstrap resamples.

    Args:
        labels: (N,) int, in [0, K).
        probabilities: (N, K) float in [0, 1], rows sum to 1.
        referable: the least grade that is referred, in [1, K).
        weights: (R, N) int, at least 0: how many times each image enters each resample.

    Returns:
        Each metric as (R,) float64: row r is what `scores` gives when image i is repeated
        `weights[r, i]` times. NaN where a resample leaves it undefined.

    Raises:
        ValueError: as `scores`; weights negative, not integers or of another shape.
    """
    sample = Sample.of(labels, probabilities)
    true, called = sample.labels, predicted_grades(sample.probabilities)
    ranking = _referrals(sample, referable)

    def measure(by_image: _Floats) -> dict[str, _Floats]:
        return {
            "quadratic_kappa": _kappa(true, called, by_image),
            "mean_absolute_grade_error": _error(true, called, by_image),
            "referable_auc": ranking.weighted(by_image).auc(),
        }

    return in_chunks(weights, sample.size, measure)


def predicted_grades(probabilities: ArrayLike) -> _Integers:
    """(N,) int: the grade of the largest probability, the lowest where several share it.

    `classification` calls an image whose probabilities tie wrong for every class; a distance
    between grades needs a grade (ours).

    Args:
        probabilities: (N, K) float.
    """
    return np.asarray(probabilities).argmax(axis=1)


def quadratic_kappa(labels: ArrayLike, predicted: ArrayLike, grades: int) -> float:
    """Cohen's kappa with quadratic weights: agreement beyond chance, far errors weighing more.

    Cohen, "Weighted kappa" (1968): 1 - the mean squared distance of true and predicted grades to
    that of the same grades paired at random. It does not change with grades that nobody has.

    Args:
        labels: (N,) int, in [0, grades).
        predicted: (N,) int, in [0, grades).
        grades: how many there are.

    Returns:
        In [-1, 1]; NaN where all true and predicted grades are the same one, so that chance
        agrees too.

    Raises:
        ValueError: wrong shapes, no image, a grade out of range.
    """
    true, called = _grades(labels, predicted, grades)
    return float(_kappa(true, called, np.ones((len(true), 1)))[0])


def mean_absolute_grade_error(labels: ArrayLike, predicted: ArrayLike, grades: int) -> float:
    """How many grades the predictions are off on average.

    Args:
        labels: (N,) int, in [0, grades).
        predicted: (N,) int, in [0, grades).
        grades: how many there are.

    Returns:
        In [0, grades - 1].

    Raises:
        ValueError: as `quadratic_kappa`.
    """
    true, called = _grades(labels, predicted, grades)
    return float(_error(true, called, np.ones((len(true), 1)))[0])


def referable_auc(labels: ArrayLike, probabilities: ArrayLike, referable: int) -> float:
    """Area under the ROC curve of telling whom to refer.

    The score is the sum of the probabilities of the grades that are referred; equal scores count
    one half.

    Args:
        labels: (N,) int, in [0, K).
        probabilities: (N, K) float in [0, 1], rows sum to 1; grades in their order.
        referable: the least grade that is referred, in [1, K).

    Returns:
        In [0, 1]; NaN where all or none of the images are to be referred.

    Raises:
        ValueError: as `scores`.
    """
    sample = Sample.of(labels, probabilities)
    return float(_referrals(sample, referable).weighted(sample.ones).auc()[0])


def _kappa(true: _Integers, called: _Integers, by_image: _Floats) -> _Floats:
    """(r,) of weights (N, r)."""
    # Sums of whole numbers, so all are exact: no table of pairs of grades is needed.
    pairs = np.stack([true, called, true**2 + called**2, (true - called) ** 2])
    true_sum, called_sum, squares, observed = pairs.astype(np.float64) @ by_image
    total = by_image.sum(axis=0)
    expected = squares * total - 2 * true_sum * called_sum
    return 1 - ratio(observed * total, expected)


def _error(true: _Integers, called: _Integers, by_image: _Floats) -> _Floats:
    """(r,) of weights (N, r)."""
    return ratio(np.abs(true - called).astype(np.float64) @ by_image, by_image.sum(axis=0))


def _referrals(sample: Sample, referable: int) -> Ranking:
    count = sample.probabilities.shape[1]
    if not 1 <= referable < count:
        raise ValueError(f"of {count} grades, the least referable must be in [1, {count})")
    score = sample.probabilities[:, referable:].sum(axis=1, dtype=np.float64)
    return Ranking.of(sample.labels >= referable, score)


def _grades(labels: ArrayLike, predicted: ArrayLike, grades: int) -> tuple[_Integers, _Integers]:
    true, called = np.asarray(labels), np.asarray(predicted)
    if true.ndim != 1 or true.shape != called.shape:
        raise ValueError(f"labels {true.shape} and predicted {called.shape} must both be (N,)")
    if not len(true):
        raise ValueError("no image to score")
    for each in (true, called):
        if not np.issubdtype(each.dtype, np.integer):
            raise ValueError(f"grades must be integers, not {each.dtype}")
        if each.min() < 0 or each.max() >= grades:
            raise ValueError(f"grades must be in [0, {grades})")
    return true.astype(np.int64), called.astype(np.int64)
