"""What methods make of class counts and of the time: weights, margins, priors, rates.

Plain numpy, float64; no framework. Counts are of training images, (K,), 0 or more.
"""

import math
from collections.abc import Sequence

import numpy as np

Counts = np.ndarray | Sequence[int]


def inverse_frequency_weights(counts: Counts) -> np.ndarray:
    """(K,) N / (K n_c), so that the mean weight of an image is 1 (King and Zeng 2001).

    A class without images gets 0, as no image ever meets its weight, and K does not count it.

    Raises:
        ValueError: the counts are no counts, or all zero.
    """
    counts = checked_counts(counts)
    present = counts > 0
    return _where(present, counts.sum() / present.sum(), counts)


def effective_number_weights(counts: Counts, beta: float) -> np.ndarray:
    """(K,) proportional to (1 - beta) / (1 - beta^n_c): Cui et al. 2019 (arXiv 1901.05555).

    They sum to K, as in the authors' code. A class without images gets 0 and K does not count it.

    Args:
        counts: (K,).
        beta: above 0, below 1; towards 0 all weights are alike, towards 1 they are 1 / n_c.

    Raises:
        ValueError: beta is out of range, or the counts are no counts or all zero.
    """
    if not 0 < beta < 1:
        raise ValueError(f"beta is {beta}; it must be above 0 and below 1")
    counts = checked_counts(counts)
    present = counts > 0
    weights = _where(present, 1.0, 1 - beta**counts)
    return weights * (present.sum() / weights.sum())


def ldam_margins(counts: Counts, max_margin: float) -> np.ndarray:
    """(K,) proportional to n_c^(-1/4), the largest `max_margin`: LDAM, arXiv 1906.07413.

    A class without images gets 0, as no image ever meets its margin.

    Raises:
        ValueError: the counts are no counts, or all zero.
    """
    counts = checked_counts(counts)
    margins = _where(counts > 0, 1.0, counts**0.25)
    return margins * (max_margin / margins.max())


def log_prior(counts: Counts) -> np.ndarray:
    """(K,) log of each class's share of the images.

    A class without images counts as one image (ours): its logarithm would be minus infinity, which
    hides the class from a balanced softmax and lets it win every post-hoc adjustment.

    Raises:
        ValueError: the counts are no counts, or all zero.
    """
    counts = checked_counts(counts)
    return np.log(np.maximum(counts, 1) / counts.sum())


def sigmoid_rampup(step: float, length: float) -> float:
    """exp(-5 (1 - step / length)^2) up to `length`, 1 from there on: arXiv 1610.02242.

    Args:
        step: of the same unit as `length`, such as epochs; below 0 counts as 0.
        length: of the ramp; 0: there is none.

    Raises:
        ValueError: the length is below 0.
    """
    if length < 0:
        raise ValueError(f"the length of the ramp is {length}; it must be 0 or more")
    if length == 0:
        return 1.0
    left = 1 - min(max(step, 0), length) / length
    return math.exp(-5 * left**2)


def ema_rate(step: int, limit: float = 0.99) -> float:
    """How much of itself a mean teacher keeps in an update: min(1 - 1 / (step + 1), limit).

    Until the limit the teacher is the plain mean of the students so far; the first update replaces
    it (arXiv 1703.01780, the authors' code).

    Args:
        step: updates made before this one.
        limit: in 0..1.

    Raises:
        ValueError: the step is below 0.
    """
    if step < 0:
        raise ValueError(f"the step is {step}; it must be 0 or more")
    return min(1 - 1 / (step + 1), limit)


def checked_counts(counts: Counts) -> np.ndarray:
    """(K,) float64.

    Raises:
        ValueError: the counts are no counts, or all zero.
    """
    found = np.asarray(counts, np.float64)
    if found.ndim != 1 or not np.isfinite(found).all() or (found < 0).any():
        raise ValueError(f"class counts are numbers of images, 0 or more, not {counts!r}")
    if not found.any():
        raise ValueError("no class has an image")
    return found


def _where(present: np.ndarray, numerator: float, denominator: np.ndarray) -> np.ndarray:
    """Numerator / denominator for the classes that are present, 0 for the others."""
    return np.divide(numerator, denominator, out=np.zeros(len(present)), where=present)
