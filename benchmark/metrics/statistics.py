"""How sure a score is: bootstrap over groups of images that belong together.

Images of one lesion or one patient are alike, so what is drawn is the group, with all its images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

RESAMPLES = 2000
# A mean of fewer images is told with a warning (ours).
FEW_IMAGES = 30


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
    groups: Sequence | NDArray, resamples: int = RESAMPLES, seed: int = 0
) -> NDArray[np.int32]:
    """How often each image enters each bootstrap resample: (R, N).

    Every resample draws as many groups as there are, with replacement (the cluster bootstrap), and
    takes all images of a drawn group. The draw follows the sorted group names, so it does not
    depend on the order of the images. A single group cannot be resampled: its weights are all 0,
    which leaves every score of every resample undefined (ours).

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
    weights = np.zeros((resamples, len(groups)), dtype=np.int32)
    if count == 1:
        return weights
    generator = np.random.default_rng(seed)
    for row in weights:
        row[:] = np.bincount(generator.integers(count, size=count), minlength=count)[member]
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
    values: ArrayLike, groups: Sequence | NDArray, resamples: int = RESAMPLES, seed: int = 0
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
    drawn = weights.sum(axis=1)
    means = np.divide(weights @ kept, drawn, out=np.full(len(drawn), np.nan), where=drawn > 0)
    low, high = interval(means)
    return Estimate(float(kept.mean()), low, high, len(kept), len(np.unique(whose)))


@lru_cache(maxsize=16)
def _kept_weights(groups: tuple, resamples: int, seed: int) -> NDArray[np.int32]:
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
