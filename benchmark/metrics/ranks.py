"""Several treatments compared over several blocks by their ranks: networks over data sets.

Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7:1-30 (2006),
section 3.2: the Friedman test says whether there is any difference, Nemenyi's critical difference
which average ranks are apart.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import fdtrc, gammaln
from scipy.stats import rankdata, studentized_range

LEVEL = 0.05


@dataclass(frozen=True)
class Friedman:
    """The Friedman test: whether k treatments differ over N blocks.

    Attributes:
        chi2: Friedman's statistic, corrected for ties, in [0, N (k - 1)].
        f: Iman and Davenport's, from 0; infinite where all blocks rank alike.
        p: of `f`, in [0, 1].
    """

    chi2: float
    f: float
    p: float


def block_ranks(scores: ArrayLike) -> NDArray[np.float64]:
    """The rank of each treatment in each block, 1 for the highest score; ties get their mean rank.

    Args:
        scores: (N, k) of N blocks and k treatments, the higher the better.

    Returns:
        (N, k); each block's ranks sum to k (k + 1) / 2.

    Raises:
        ValueError: fewer than two blocks or treatments, or a score that is missing.
    """
    given = np.asarray(scores, dtype=np.float64)
    if given.ndim != 2 or min(given.shape) < 2:
        raise ValueError(f"scores {given.shape} must be (N, k) with at least two blocks and rows")
    if np.isnan(given).any():
        raise ValueError("a missing score has no rank")
    return np.asarray(rankdata(-given, axis=1), dtype=np.float64)


def friedman(ranks: ArrayLike) -> Friedman:
    """The Friedman test in the form of Iman and Davenport, which Demšar recommends (section 3.2.2).

    Friedman's own chi-square is conservative; this compares F = (N - 1) chi2 / (N (k - 1) - chi2)
    with the F distribution of k - 1 and (k - 1)(N - 1) degrees of freedom. Demšar's formula knows
    no ties; ours has the usual correction, as `scipy.stats.friedmanchisquare`. Where all treatments
    are tied in every block nothing differs: F is 0 and p 1 (ours).

    Args:
        ranks: (N, k), of `block_ranks`.
    """
    given = np.asarray(ranks, dtype=np.float64)
    blocks, treatments = given.shape
    middle = (treatments + 1) / 2
    within = ((given - middle) ** 2).sum()
    if within == 0:
        return Friedman(0.0, 0.0, 1.0)
    between = blocks * ((given.mean(axis=0) - middle) ** 2).sum()
    chi2 = float(blocks * (treatments - 1) * between / within)
    left = blocks * (treatments - 1) - chi2
    # Round-off of blocks that all rank alike.
    if left < 1e-9 * chi2:
        _, tied = np.unique(given[0], return_counts=True)
        logarithm = gammaln(tied + 1).sum() - gammaln(treatments + 1)
        return Friedman(chi2, float("inf"), float(np.exp(logarithm * (blocks - 1))))
    f = (blocks - 1) * chi2 / left
    freedom = (treatments - 1, (treatments - 1) * (blocks - 1))
    return Friedman(chi2, float(f), float(fdtrc(*freedom, f)))


def critical_difference(treatments: int, blocks: int, level: float = LEVEL) -> float:
    """How far two average ranks must lie apart to differ, by Nemenyi's test.

    q sqrt(k (k + 1) / (6 N)), q the quantile of the studentized range of k groups with infinite
    degrees of freedom over the root of 2 (Demšar 2006, section 3.2.2 and table 5a).

    Args:
        treatments: k, at least 2.
        blocks: N, at least 2.
        level: the test's error rate over all pairs, in (0, 1).
    """
    quantile = studentized_range.ppf(1 - level, treatments, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(treatments * (treatments + 1) / (6 * blocks)))


def cliques(average: ArrayLike, difference: float) -> list[tuple[int, int]]:
    """The largest groups of treatments in which no two average ranks are apart.

    Args:
        average: (k,) average ranks, rising.
        difference: two ranks that differ by as much or more are apart.

    Returns:
        First and last position of each group of at least two, from the best on; none within
        another.
    """
    ranks = np.asarray(average, dtype=np.float64)
    found: list[tuple[int, int]] = []
    for first, rank in enumerate(ranks):
        last = int(np.searchsorted(ranks, rank + difference, side="left")) - 1
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found
