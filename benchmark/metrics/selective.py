"""Selective classification: how right a network is where it is sure.

The confidence is the largest probability; the least confident images are left to an expert.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from benchmark.metrics.binary import ratio
from benchmark.metrics.confidence import Sample, sums_at

_Floats = NDArray[np.float64]
_Integers = NDArray[np.int64]


def aurc(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Area under the risk-coverage curve: the mean error rate of the n most confident, n = 1..N.

    Geifman, Uziel and El-Yaniv, "Bias-reduced uncertainty estimation" (ICLR 2019). Images of one
    confidence come in random order, and this is the expected area (ours): the order of the images
    does not matter.

    Args:
        labels: (N,) int, in [0, K).
        probabilities: (N, K) float in [0, 1], rows sum to 1.

    Returns:
        In [0, 1]; of a confidence that says nothing, about the error rate.

    Raises:
        ValueError: as `Sample.of`.
    """
    sample = Sample.of(labels, probabilities)
    return float(Kept.of(sample, sample.ones).aurc()[0])


def accuracy(labels: ArrayLike, probabilities: ArrayLike, percent: int) -> float:
    """Accuracy of the most confident images, when the others are left to an expert.

    Geifman and El-Yaniv, "Selective classification for deep neural networks" (NeurIPS 2017). The
    number kept is rounded up. Of images of one confidence on the border, the right and the wrong
    ones are kept in proportion (ours).

    Args:
        labels: (N,) int, in [0, K).
        probabilities: (N, K) float in [0, 1], rows sum to 1.
        percent: the coverage, in [1, 100].

    Raises:
        ValueError: as `Sample.of`; a percentage out of range.
    """
    if not 1 <= percent <= 100:
        raise ValueError(f"coverage must be 1 to 100 per cent, not {percent}")
    sample = Sample.of(labels, probabilities)
    return float(Kept.of(sample, sample.ones).accuracy(percent)[0])


def risk_coverage_table(labels: ArrayLike, probabilities: ArrayLike) -> pd.DataFrame:
    """`accuracy` at every per cent.

    Returns:
        Index `coverage`, 1 to 100 per cent; columns `n` (images kept), `least_confidence` (of
        those), `accuracy`, `risk` (1 - accuracy).

    Raises:
        ValueError: as `Sample.of`.
    """
    sample = Sample.of(labels, probabilities)
    kept = Kept.of(sample, sample.ones)
    percents = range(1, 101)
    n = np.concatenate([kept.count(percent) for percent in percents])
    right = np.concatenate([kept.accuracy(percent) for percent in percents])
    falling = np.sort(sample.confidence)[::-1]
    return pd.DataFrame(
        {
            "n": n,
            "least_confidence": falling[n - 1].astype(np.float64),
            "accuracy": right,
            "risk": 1 - right,
        },
        index=pd.Index(percents, name="coverage"),
    )


@dataclass(frozen=True)
class Kept:
    """The most confident images of each of r resamples, at the end of every level of confidence.

    Attributes:
        images: (r, L + 1) whole numbers, images at the L highest levels; from 0.
        hits: (r, L + 1) the right ones among them.
    """

    images: _Floats
    hits: _Floats

    @classmethod
    def of(cls, sample: Sample, by_image: _Floats) -> "Kept":
        """Of weights (N, r), whole numbers: how many times each image is there."""
        falling = np.argsort(-sample.confidence, kind="stable")
        ends = np.flatnonzero(np.diff(sample.confidence[falling], append=-1))
        drawn = by_image.T[:, falling]
        return cls(sums_at(drawn, ends), sums_at(drawn * sample.hits[falling], ends))

    def count(self, percent: int) -> _Integers:
        """(r,) images of the coverage, rounded up."""
        return -(-percent * self.images[:, -1].astype(np.int64) // 100)

    def accuracy(self, percent: int) -> _Floats:
        """(r,) as the function of that name."""
        n = self.count(percent)
        hits = [np.interp(*each) for each in zip(n, self.images, self.hits, strict=True)]
        return ratio(np.array(hits, dtype=np.float64), n)

    def aurc(self) -> _Floats:
        """(r,) as the function of that name."""
        errors = self.images - self.hits
        before, size = self.images[:, :-1].astype(np.int64), np.diff(self.images)
        share = np.divide(np.diff(errors), size, out=np.zeros_like(size), where=size > 0)
        # After j images of a level the risk is (errors + j share) / (before + j), which is
        # share + (errors - before share) / (before + j): a harmonic sum over j = 1..size.
        harmonic = np.cumsum(1 / np.arange(1, self.images.max(initial=0) + 1))
        harmonic = np.concatenate([[0.0], harmonic])
        steps = np.diff(harmonic[self.images.astype(np.int64)])
        area = size * share + (errors[:, :-1] - before * share) * steps
        return ratio(area.sum(axis=1), self.images[:, -1])
