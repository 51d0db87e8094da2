"""Which pseudo-labels class-rebalancing self-training keeps: CReST, Wei et al. 2021.

The formulas of arXiv 2102.09559, section 3.2, and of CReST+, its progressive distribution
alignment; no framework.

The class-order trap: the paper writes the rate of the l-th class for classes sorted by count, and
its code's data have them in that order. Data sets do not: in ISIC 2018 class 0 is melanoma, the
second by count, and the rarest is dermatofibroma, class 5. Code that takes a class's index for its
rank runs and keeps the wrong classes. Here classes are ranked by their counts, and rates and
pseudo-labels are in the data set's own order. A second trap is the power: the paper's alpha is the
reciprocal of the code's flag of that name; here it is the paper's.
"""

from collections.abc import Sequence

import numpy as np

from benchmark.methods import rates as class_rates
from benchmark.methods.base import Picks


def sampling_rates(counts: np.ndarray | Sequence[int], alpha: float) -> np.ndarray:
    """(K,) what share of the pseudo-labels of each class is kept: more of the rarer ones.

    The class of rank r from the most frequent gets (count of rank r from the rarest / largest
    count)^alpha: the rarest keeps all. Of classes with equal counts, the lower index ranks as the
    more frequent.

    Args:
        counts: (K,) labelled images of each class; a 0 lets the class of the opposite rank keep
            nothing.
        alpha: 0 keeps every pseudo-label.

    Raises:
        ValueError: alpha is below 0, or the counts are no counts or all zero.
    """
    if alpha < 0:
        raise ValueError(f"alpha is {alpha}; it must be 0 or more")
    counts = class_rates.checked_counts(counts)
    ranked = np.argsort(-counts, kind="stable")
    rates = np.empty(len(counts))
    rates[ranked] = (counts[ranked[::-1]] / counts.max()) ** alpha
    return rates


def select(probabilities: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Which images' pseudo-labels are kept: the surest int(n_c * rate_c) of the n_c of class c.

    An image's pseudo-label is the class of its largest probability, that probability its
    confidence; of equally confident images, the earlier are kept.

    Args:
        probabilities: (N, K) float.
        rates: (K,) float64 in 0..1, in the same class order.

    Returns:
        (M,) int64 indices into the N images: class after class, in each the surest first. Their
        labels are `probabilities.argmax(axis=1)[indices]`.

    Raises:
        ValueError: there is not one rate in 0..1 for each class.
    """
    probabilities, rates = np.asarray(probabilities), np.asarray(rates, np.float64)
    if rates.shape != probabilities.shape[1:] or not ((rates >= 0) & (rates <= 1)).all():
        raise ValueError(f"needs {probabilities.shape[1]} rates in 0..1, not {rates}")
    predicted = probabilities.argmax(axis=1)
    surest = np.argsort(-probabilities.max(axis=1), kind="stable")
    by_class = (surest[predicted[surest] == label] for label in range(len(rates)))
    kept = [
        images[: _whole(len(images) * rate)] for images, rate in zip(by_class, rates, strict=True)
    ]
    return np.concatenate(kept)


def picks(probabilities: np.ndarray, rates: np.ndarray) -> Picks:
    """The images that `select` keeps, each with its pseudo-label; arguments and errors as there."""
    places = select(probabilities, rates)
    return Picks(places, np.asarray(probabilities)[places].argmax(axis=1).astype(np.int64))


def alignment_power(generation: int, generations: int, least: float) -> float:
    """t_g of CReST+: from 1 in the first generation straight down to `least` in the last.

    Args:
        generation: counted from 0.
        generations: how many there are; of a single one t is 1.
        least: the paper's t_min, in 0..1.

    Raises:
        ValueError: there is no such generation, or `least` is out of range.
    """
    if not 0 <= generation < generations or not 0 <= least <= 1:
        raise ValueError(f"generation {generation} of {generations}, least power {least}")
    return 1 - (1 - least) * generation / max(generations - 1, 1)


def alignment_target(counts: np.ndarray | Sequence[int], power: float) -> np.ndarray:
    """(K,) the class shares, to this power and made to sum to 1 again: flatter below 1.

    Args:
        counts: (K,) labelled images of each class.
        power: t_g; 0 makes all classes alike, those without an image too.

    Raises:
        ValueError: the counts are no counts or all zero.
    """
    counts = class_rates.checked_counts(counts)
    shares = (counts / counts.sum()) ** power
    return shares / shares.sum()


def _whole(number: float) -> int:
    # 100 * 0.29 is 28.999999999999996: rounding errors must not cost an image.
    return int(number * (1 + 1e-12))
