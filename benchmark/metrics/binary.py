"""How well one score tells a class from the rest, for one sample or for thousands of resamples.

What a positive is, one class of several or "malignant", is the caller's; `classification` calls
every class positive in turn.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

SCORES = (
    "auc",
    "average_precision",
    "sensitivity_at_90_specificity",
    "sensitivity_at_95_specificity",
)

# Resamples are worked on in chunks of this many (images x resamples), 8 MiB of float64, so that
# memory stays bounded; but never fewer than so many at a time, or the loop of `_cumulated`
# dominates. A dozen such parts are held at once, so of 10,000 images 256 resamples would be 250 MB.
_CHUNK_ELEMENTS = 1 << 20
_CHUNK_LEAST = 64

_Floats = NDArray[np.float64]
_Integers = NDArray[np.int64]


def scores(labels: ArrayLike, scores: ArrayLike) -> dict[str, float]:
    """The metrics named in `SCORES`.

    A threshold calls an image positive when its score is at least as high, so images of equal
    score are called alike: a tie is one threshold.

    - `auc`: the area under the ROC curve, equal scores counting one half.
    - `average_precision`: as `average_precision`.
    - `sensitivity_at_90_specificity`, `sensitivity_at_95_specificity`: as
      `sensitivity_at_specificity` of 0.90 and 0.95.

    Args:
        labels: (N,) bool, True for the positive class.
        scores: (N,) float, finite, higher for positives. Only their order matters.

    Returns:
        Each metric in [0, 1]. NaN where undefined: all of them without a positive; without a
        negative all but `average_precision`, which is then 1.

    Raises:
        ValueError: wrong shapes, no image, labels not bool, a score not finite.
    """
    found = resampled(labels, scores, np.ones((1, np.size(labels)), dtype=np.int64))
    return {name: float(value[0]) for name, value in found.items()}


def resampled(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike) -> dict[str, _Floats]:
    """The metrics of `scores` for R weighted versions of one sample, such as bootstrap resamples.

    Args:
        labels: (N,) bool.
        scores: (N,) float, finite.
        weights: (R, N) int, at least 0: how many times each image enters each resample.

    Returns:
        Each metric as (R,) float64: row r is what `scores` gives when image i is repeated
        `weights[r, i]` times. NaN where a resample leaves it undefined.

    Raises:
        ValueError: as `scores`; weights negative, not integers or of another shape.
    """
    labels, scores = _checked(labels, scores)
    ranking = Ranking.of(labels, scores)

    def measure(by_image: _Floats) -> dict[str, _Floats]:
        curve = ranking.weighted(by_image)
        return {
            "auc": curve.auc(),
            "average_precision": curve.average_precision(),
            "sensitivity_at_90_specificity": curve.sensitivity_at(0.90),
            "sensitivity_at_95_specificity": curve.sensitivity_at(0.95),
        }

    return in_chunks(weights, len(labels), measure)


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float:
    """The precision at each threshold, weighted by the positives that the threshold adds.

    The area under the precision-recall curve as a sum of steps, without interpolation, which
    scikit-learn and the scorer of the ISIC challenges use too.

    Args:
        labels: (N,) bool.
        scores: (N,) float, finite.

    Returns:
        In (0, 1]; NaN without a positive.

    Raises:
        ValueError: as `scores`.
    """
    return float(_curve(labels, scores).average_precision()[0])


def sensitivity_at_specificity(labels: ArrayLike, scores: ArrayLike, specificity: float) -> float:
    """The largest sensitivity of any threshold whose specificity is at least the one asked for.

    Points of the ROC curve only, nothing between them (ours). The threshold above all scores
    counts, so there always is one.

    Args:
        labels: (N,) bool.
        scores: (N,) float, finite.
        specificity: in [0, 1].

    Returns:
        In [0, 1]; NaN where there is no positive or no negative.

    Raises:
        ValueError: as `scores`; a specificity outside [0, 1].
    """
    if not 0 <= specificity <= 1:
        raise ValueError(f"specificity must be in [0, 1], not {specificity}")
    return float(_curve(labels, scores).sensitivity_at(specificity)[0])


@dataclass(frozen=True)
class Curve:
    """A sample's ROC curve in each of r resamples, at the scores of its P positives.

    Between two positives' scores the sensitivity stays and the specificity only falls, so no
    metric here needs another threshold. All counts are whole numbers, so sums are exact.

    Attributes:
        drawn: (P, r) how many times each positive is there, by falling score.
        level: (P,) how many of the P score at least as high as each.
        below, upto: (P, r) negatives that score less than each; less or the same.
        negatives: (r,) all negatives.
    """

    drawn: _Floats
    level: _Integers
    below: _Floats
    upto: _Floats
    negatives: _Floats

    @cached_property
    def positives(self) -> _Floats:
        """(r,) all positives."""
        return self.drawn.sum(axis=0)

    @cached_property
    def hits(self) -> _Floats:
        """(P, r) positives that score at least as high as each."""
        return _cumulated(self.drawn)[self.level]

    def auc(self) -> _Floats:
        """(r,) share of (positive, negative) pairs that are in order; a tie counts one half."""
        won = np.einsum("ir,ir->r", self.drawn, self.below + self.upto) / 2
        return ratio(won, self.positives * self.negatives)

    def average_precision(self) -> _Floats:
        """(r,) as the function of that name."""
        called = self.hits + (self.negatives - self.below)
        precision = np.divide(self.hits, called, out=np.zeros_like(called), where=called > 0)
        return ratio(np.einsum("ir,ir->r", self.drawn, precision), self.positives)

    def sensitivity_at(self, specificity: float) -> _Floats:
        """(r,) as `sensitivity_at_specificity`."""
        # 9 of 10 over 10 is the float 0.9, while one minus 1 of 10 need not be.
        allowed = ratio(self.below, self.negatives)
        hits = np.where(allowed >= specificity, self.hits, 0).max(axis=0, initial=0)
        hits[self.negatives == 0] = np.nan
        return ratio(hits, self.positives)


@dataclass(frozen=True)
class Ranking:
    """Who outscores whom, which does not depend on the weights.

    Attributes:
        positives: (P,) images, by falling score.
        negatives: (M,) images, by rising score.
        level: (P,) how many positives score at least as high as each.
        below, upto: (P,) how many negatives score less than each positive; less or the same.
    """

    positives: _Integers
    negatives: _Integers
    level: _Integers
    below: _Integers
    upto: _Integers

    @classmethod
    def of(cls, labels: NDArray[np.bool_], scores: np.ndarray) -> "Ranking":
        """Rank the images.

        Args:
            labels: (N,) bool.
            scores: (N,) float, finite.
        """
        rising = np.argsort(scores, kind="stable")
        positives, negatives = rising[labels[rising]], rising[~labels[rising]]
        own, other = scores[positives], scores[negatives]
        return cls(
            positives=positives[::-1],
            negatives=negatives,
            level=len(own) - np.searchsorted(own, own[::-1], side="left"),
            below=np.searchsorted(other, own[::-1], side="left"),
            upto=np.searchsorted(other, own[::-1], side="right"),
        )

    def weighted(self, by_image: _Floats) -> Curve:
        """The curve of every resample.

        Args:
            by_image: (N, r) whole numbers: how many times each image is there.
        """
        passed = _cumulated(by_image[self.negatives])
        drawn = by_image[self.positives]
        return Curve(drawn, self.level, passed[self.below], passed[self.upto], passed[-1])


def in_chunks(
    weights: ArrayLike, images: int, measure: Callable[[_Floats], dict[str, _Floats]]
) -> dict[str, _Floats]:
    """`measure` of every resample, in so many parts that memory stays bounded.

    Args:
        weights: (R, N) int, at least 0.
        images: N.
        measure: from weights as (N, r) float64 to named values, (r, ...) each.

    Returns:
        Its values for all resamples, (R, ...) each.

    Raises:
        ValueError: weights negative, not integers or of another shape.
    """
    weights = np.asarray(weights)
    if weights.ndim != 2 or weights.shape[1] != images:
        raise ValueError(f"weights must be (R, {images}), not {weights.shape}")
    if not np.issubdtype(weights.dtype, np.integer) or (weights.size and weights.min() < 0):
        raise ValueError("weights must be integers of at least 0")
    step = max(_CHUNK_LEAST, _CHUNK_ELEMENTS // images)
    # Images by resamples: picking and summing images then walks along contiguous rows.
    parts = [
        measure(np.ascontiguousarray(weights[start : start + step].T, dtype=np.float64))
        for start in range(0, max(len(weights), 1), step)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def ratio(part: _Floats, whole: np.ndarray) -> _Floats:
    """`part / whole`, NaN where `whole` is 0."""
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _cumulated(rows: _Floats) -> _Floats:
    """(n + 1, r): row k is the sum of the first k rows."""
    sums = np.zeros((len(rows) + 1, rows.shape[1]))
    sums[1:] = rows
    for before, row in pairwise(sums):  # ten times faster than cumsum down the columns
        row += before
    return sums


def _curve(labels: ArrayLike, scores: ArrayLike) -> Curve:
    """The one curve of a sample as it is."""
    labels, scores = _checked(labels, scores)
    return Ranking.of(labels, scores).weighted(np.ones((len(labels), 1)))


def _checked(labels: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    labels, scores = np.asarray(labels), np.asarray(scores)
    if labels.ndim != 1 or labels.shape != scores.shape:
        raise ValueError(f"labels {labels.shape} and scores {scores.shape} must both be (N,)")
    if not len(labels):
        raise ValueError("no image to score")
    if labels.dtype != np.bool_:
        raise ValueError(f"labels must be bool, not {labels.dtype}")
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite")
    return labels, scores
