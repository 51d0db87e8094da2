"""How sure a score and a ranking are: bootstrap over groups of images that belong together.

Images of one lesion or one patient are alike, so what is drawn is the group, with all its images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit
from scipy.stats import rankdata

RESAMPLES = 2000
# A mean of fewer images is told with a warning (ours).
FEW_IMAGES = 30
# Groups that are drawn at a time (2 MiB).
_DRAWN = 1 << 18
# Of one product, at most so many weights as floats (8 MiB), but so many resamples at least.
_FLOATS, _ROWS = 1 << 20, 64


@dataclass(frozen=True)
class Estimate:
    """A score with its 95 % interval; NaN where it is undefined.

    `n` counts the images that enter the value, `groups` the groups that were resampled.
    """

    value: float
    low: float
    high: float
    n: int
    groups: int


def group_weights(
    groups: Sequence[Any] | np.ndarray, resamples: int = RESAMPLES, seed: int = 0
) -> NDArray[np.uint8]:
    """How often each image enters each bootstrap resample: (R, N).

    Every resample draws as many groups as there are, with replacement (the cluster bootstrap), and
    takes all images of a drawn group. The draw follows the sorted group names, so it does not
    depend on the order of the images. A single group cannot be resampled: its weights are all 0,
    which leaves every score of every resample undefined (ours). A byte holds each number: none of
    up to 255 groups can be drawn more often, and of more groups the chance is below 1e-500. NumPy
    multiplies bytes with bools or small integers into bytes, which wrap: give it floats.

    Args:
        groups: (N,) the group of each image.
        resamples: R.
        seed: same seed and groups, same weights.

    Raises:
        ValueError: no image.
    """
    if not len(groups):
        raise ValueError("no image to resample")
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    count = len(names)
    weights = np.zeros((resamples, len(groups)), dtype=np.uint8)
    if count == 1:
        return weights
    generator = np.random.default_rng(seed)
    # Many resamples at a time, with the draws of one after the other.
    rows = max(_DRAWN // count, 1)
    for start in range(0, resamples, rows):
        part = weights[start : start + rows]
        drawn = generator.integers(count, size=(len(part), count))
        drawn += count * np.arange(len(part))[:, None]
        counted = np.bincount(drawn.ravel(), minlength=len(part) * count)
        part[:] = counted.astype(np.uint8).reshape(-1, count)[:, member]
    return weights


def interval(samples: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """The percentile bootstrap interval of a score.

    Resamples in which the score is undefined (NaN) are left out; where they are more than half, the
    interval is (NaN, NaN), because what is left no longer stands for the data (ours).

    Args:
        samples: (R,) the score in each resample.
        level: the share of resamples inside, in (0, 1).
    """
    samples = np.asarray(samples, dtype=np.float64)
    defined = samples[~np.isnan(samples)]
    if 2 * len(defined) < len(samples) or not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap(
    values: ArrayLike, groups: Sequence[Any] | np.ndarray, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """The mean of one value per image, with its 95 % interval over groups.

    Images whose value is NaN do not enter; `n` and `groups` count those that do.

    Args:
        values: (N,) float, NaN where undefined.
        groups: (N,) the group of each image.
        resamples: how many bootstrap resamples.
        seed: of the resamples.

    Raises:
        ValueError: values and groups differ in length.
    """
    every, whose = np.asarray(values, dtype=np.float64), np.asarray(groups)
    if every.shape != whose.shape or every.ndim != 1:
        raise ValueError(f"values {every.shape} and groups {whose.shape} must both be (N,)")
    defined = ~np.isnan(every)
    kept, whose = every[defined], whose[defined]
    if not len(kept):
        return Estimate(float("nan"), float("nan"), float("nan"), 0, 0)
    weights = _kept_weights(tuple(whose.tolist()), resamples, seed)
    low, high = interval(_mean(kept, weights))
    return Estimate(float(kept.mean()), low, high, len(kept), len(np.unique(whose)))


def weighted_mean(values: ArrayLike, weights: np.ndarray) -> NDArray[np.float64]:
    """The mean of one value per image in each resample.

    Args:
        values: (N,) float; images whose value is NaN do not enter.
        weights: (R, N) int, how often each resample has each image.

    Returns:
        (R,); NaN where a resample has no image with a value.
    """
    every = np.asarray(values, dtype=np.float64)
    known = ~np.isnan(every)
    return _mean(every[known], weights[:, known])


def _mean(values: NDArray[np.float64], weights: np.ndarray) -> NDArray[np.float64]:
    """`weighted_mean` of values none of which is NaN."""
    drawn = weights.sum(axis=1)
    return np.divide(
        _sums(values, weights), drawn, out=np.full(len(drawn), np.nan), where=drawn > 0
    )


def _sums(values: NDArray[np.float64], weights: np.ndarray) -> NDArray[np.float64]:
    """The sum of `values` (N,) in each resample: (R,)."""
    # A product makes floats of all integers that it is given, eight bytes of each: part by part.
    step = max(_ROWS, _FLOATS // max(len(values), 1) // _ROWS * _ROWS)
    starts = range(0, max(len(weights) - step, 0) + 1, step)  # the last part has what remains too
    ends = [*starts[1:], len(weights)]
    return np.concatenate([weights[a:b] @ values for a, b in zip(starts, ends, strict=True)])


@lru_cache(maxsize=16)
def _kept_weights(groups: tuple[Any, ...], resamples: int, seed: int) -> NDArray[np.uint8]:
    """`group_weights`, drawn once for all the scores of the same images."""
    weights = group_weights(groups, resamples, seed)
    weights.flags.writeable = False
    return weights


def combine_seeds(estimates: Sequence[Estimate], least: float = 0.0, most: float = 1.0) -> Estimate:
    """One estimate for a network trained several times and scored on the same images (ours).

    The value is the mean over the seeds. The interval has two parts, added as independent: the
    spread over images, which is the mean half-width of the seeds' own intervals and does not
    shrink with more seeds because all are scored on the same images; and the spread over seeds,
    Student's t interval of their mean. It is cut to where the score lies. A single seed keeps its
    own interval, which knows nothing of the spread over seeds.

    Args:
        estimates: one per seed, at least one.
        least: the least value that the score can have.
        most: the largest.

    Returns:
        The combined estimate. A value that is undefined (NaN) for one seed leaves the value
        undefined, an interval likewise: a missing number is never averaged over. `n` and `groups`
        are the least of any seed.
    """
    n, groups = min(e.n for e in estimates), min(e.groups for e in estimates)
    value = float(np.mean([e.value for e in estimates]))
    if len(estimates) == 1:
        return Estimate(value, estimates[0].low, estimates[0].high, n, groups)
    quantile = stdtrit(len(estimates) - 1, 0.975)
    spread = quantile * np.std([e.value for e in estimates], ddof=1) / np.sqrt(len(estimates))
    below = np.mean([e.value - e.low for e in estimates])
    above = np.mean([e.high - e.value for e in estimates])
    low, high = value - np.hypot(below, spread), value + np.hypot(above, spread)
    # np.clip keeps a NaN as it is.
    low, high = (float(np.clip(end, least, most)) for end in (low, high))
    return Estimate(value, low, high, n, groups)


@dataclass(frozen=True)
class Difference:
    """How far one score is above another on the same images, with a 95 % interval and a p-value."""

    value: float
    low: float
    high: float
    p: float


def over_seeds(values: ArrayLike, samples: ArrayLike, seed: int = 0) -> NDArray[np.float64]:
    """Resamples of the mean over seeds, which vary with the images and with the seeds (ours).

    In each resample of the images the seeds are drawn anew, too: the mean moves by Student's t
    times its standard error over the seeds. Two to five seeds drawn with replacement would have a
    handful of outcomes and too little spread. The standard error is that on the images as they
    are: in a resample the seeds differ more, because it repeats the images on which they differ. A
    single seed has no spread that could be known: its resamples stay as they are.

    Args:
        values: (S,) the score of each seed.
        samples: (S, R) the same in each resample of the images, which are the same for all.
        seed: of the draws.

    Returns:
        (R,); NaN where the score of any seed is.
    """
    scores, every = np.asarray(values, np.float64), np.asarray(samples, np.float64)
    seeds, resamples = every.shape
    if seeds == 1:
        return every[0]
    error = scores.std(ddof=1) / np.sqrt(seeds)
    drawn = np.random.default_rng(seed).standard_t(seeds - 1, size=resamples)
    return every.mean(axis=0) + error * drawn


def difference_over_seeds(
    values: tuple[ArrayLike, ArrayLike], samples: tuple[ArrayLike, ArrayLike], seed: int = 0
) -> NDArray[np.float64]:
    """Resamples of the difference of two means over seeds, first minus second (ours).

    As `over_seeds`, with one draw for both: their standard errors added as independent, the degrees
    of freedom by Welch and Satterthwaite (Welch, "The generalization of 'Student's' problem when
    several different population variances are involved", 1947). Two draws of their own would be
    wider than the difference is uncertain. A side of one seed adds no spread: it has none known.

    Args:
        values: of both sides, (S,) and (T,) the score of each seed.
        samples: of both sides, (S, R) and (T, R) in the same resamples of the images.
        seed: of the draws.

    Returns:
        (R,); NaN where a score is.
    """
    scores = [np.asarray(side, np.float64) for side in values]
    first, second = (np.asarray(side, np.float64).mean(axis=0) for side in samples)
    several = [side for side in scores if len(side) > 1]
    errors = np.array([side.var(ddof=1) / len(side) for side in several])
    if not errors.sum() > 0:
        # Single seeds, seeds that agree, or a score that is missing and so is in the means.
        return first - second
    freedom = errors.sum() ** 2 / sum(
        error**2 / (len(side) - 1) for error, side in zip(errors, several, strict=True)
    )
    drawn = np.random.default_rng(seed).standard_t(freedom, size=len(first))
    return first - second + np.sqrt(errors.sum()) * drawn


def paired_test(value: float, samples: ArrayLike) -> Difference:
    """Whether a difference of two scores is one, by the paired bootstrap.

    The p-value is twice the share of resamples on the far side of 0 (those at 0 among them), one
    resample added to both so that it is never 0; equal scores in every resample have p 1.

    Args:
        value: the difference on the images as they are.
        samples: (R,) the difference in each resample, both scores on the same ones; NaN where
            either is undefined.

    Returns:
        All NaN but the value where more than half of the resamples are undefined, as `interval`.
    """
    differences = np.asarray(samples, dtype=np.float64)
    low, high = interval(differences)
    if np.isnan(low) or np.isnan(value):
        return Difference(value, float("nan"), float("nan"), float("nan"))
    defined = differences[~np.isnan(differences)]
    sides = (np.count_nonzero(defined <= 0), np.count_nonzero(defined >= 0))
    p = min(1.0, 2 * (min(sides) + 1) / (len(defined) + 1))
    return Difference(value, low, high, p)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """P-values corrected for their number.

    Holm, "A simple sequentially rejective multiple test procedure" (1979).

    Args:
        p_values: (M,) in [0, 1]; NaN does not count and stays.

    Returns:
        (M,) in [0, 1], never below the p-value itself.
    """
    given = np.asarray(p_values, dtype=np.float64)
    corrected = np.full(given.shape, np.nan)
    known = np.flatnonzero(~np.isnan(given))
    rising = known[np.argsort(given[known], kind="stable")]
    times = np.arange(len(rising), 0, -1)
    corrected[rising] = np.minimum(np.maximum.accumulate(given[rising] * times), 1)
    return corrected


def rank_intervals(samples: ArrayLike, level: float = 0.95) -> NDArray[np.int64]:
    """Which ranks each row could have: percentiles of its rank over the resamples.

    Equal scores share the better rank. Resamples in which any score is undefined are left out.

    Args:
        samples: (M, R) scores, the higher the better, of M rows in the same resamples.
        level: the share of resamples inside, in (0, 1).

    Returns:
        (M, 2) first and last rank, from 1; 1 and M for all where no resample is left.
    """
    scores = np.asarray(samples, dtype=np.float64)
    rows = len(scores)
    scores = scores[:, ~np.isnan(scores).any(axis=0)]
    if not scores.shape[1]:
        return np.tile([1, rows], (rows, 1))
    ranks = rankdata(-scores, method="min", axis=0)
    ends = [(1 - level) / 2, (1 + level) / 2]
    return np.quantile(ranks, ends, axis=1, method="inverted_cdf").T.astype(np.int64)


def smallest_shown(spread: float, level: float = 0.95, power: float = 0.8) -> float:
    """The smallest true difference that a test would find with this power.

    Of a normal two-sided test: (z of the level + z of the power) times the spread.

    Args:
        spread: the standard deviation of the difference over resamples.
        level: one minus the test's error rate.
        power: how often the difference shall be found.
    """
    return float(ndtri((1 + level) / 2) + ndtri(power)) * spread
