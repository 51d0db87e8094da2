"""Which training images keep their label: nested, stratified subsets of whole groups.

What the others serve for is the methods' business.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from benchmark.data import longtail
from benchmark.data.dataset import UNLABELLED
from benchmark.errors import DataError

# Places are compared with shares that may differ from them in the last digit.
_ROUNDING = 1e-9


def draw(
    table: pd.DataFrame, percents: Sequence[float], seed: int, classes: Sequence[str]
) -> dict[float, list[str]]:
    """Choose the labelled images at each label fraction, whole groups at a time.

    Every group has a place in [0, 1): the groups of a class stand in random order, and a group's
    place is the share of the class's images that earlier groups hold. A group of several classes
    stands with the rarest of them. At `p` percent the groups whose place is below p / 100 are
    labelled, so each fraction's images are part of every larger one's. Where every group is one
    image, a class of n images has ceil(p n / 100) labelled ones; CReST's code rounds up as well
    (Wei et al. 2021, arXiv 2102.09559). The rest is ours. Ids, groups, labels and seed decide, not
    the order of the rows.

    Args:
        table: the training images: index `id`, columns `label` (int) and `group`; rows without a
            label are never drawn.
        percents: in (0, 100]; 100 is all that have a label.
        seed: of the random order.
        classes: class names for the error message.

    Returns:
        For each of `percents`, in its order, the sorted ids.

    Raises:
        DataError: a class of the table has no labelled image at one of `percents`; names the class
            and the least fraction at which it has. Only a class that never has a group of its own
            can be so short.
        ValueError: a fraction outside (0, 100].
    """
    if not all(0 < percent <= 100 for percent in percents):
        raise ValueError(f"label fractions {list(percents)}: percent, above 0 and at most 100")
    labelled = table[table["label"] != UNLABELLED]
    # groupby sorts by group, so the order of the rows is gone from here on.
    by_group = labelled.groupby(["group", "label"]).size().unstack(fill_value=0)
    counts = by_group.to_numpy()
    places = _places(counts, seed)
    first = np.where(counts > 0, places[:, np.newaxis], 1.0).min(axis=0)
    place_of = labelled["group"].map(dict(zip(by_group.index, places, strict=True)))
    drawn = {}
    for percent in percents:
        for label, place in zip(by_group.columns, first, strict=True):
            if not _below(place, percent):
                if not place:
                    raise DataError(f"label fraction {percent:g} %: too small to label any image")
                raise DataError(
                    f"label fraction {percent:g} %: class {classes[label]} would have no labelled"
                    " image, because all its lesions or patients have images of rarer classes too:"
                    f" the least fraction at which it has one is {_least(place):g} %"
                )
        drawn[percent] = sorted(labelled.index[_below(place_of, percent)])
    return drawn


def misses(counts: ArrayLike, totals: ArrayLike, percent: float, classes: Sequence[str]) -> str:
    """A sentence on the classes that are far from their share, by the rule of `longtail.far`.

    Args:
        counts: (K,) int, labelled training images.
        totals: (K,) int, training images.
        percent: the label fraction that was asked for.
        classes: K names.

    Returns:
        "" where there is no such class.
    """
    wanted = longtail.rounded_up(np.asarray(totals) * percent / 100)
    far = [
        f"{name} {count} (not {share})"
        for name, count, share in longtail.far(counts, wanted, classes)
    ]
    whole = f"lesions and patients stay whole, so these classes miss {percent:g} % of their images"
    return f"{whole}: {', '.join(far)}" if far else ""


def _places(counts: np.ndarray, seed: int) -> np.ndarray:
    """(G,) place of each group, in [0, 1), of (G, C) images by group and class."""
    totals = counts.sum(axis=0)
    rarest = np.where(counts > 0, totals, totals.max(initial=0) + 1).argmin(axis=1)
    order = np.random.default_rng(seed).permutation(len(counts))
    places = np.zeros(len(counts))
    for label in range(counts.shape[1]):
        own = order[rarest[order] == label]
        sizes = counts[own, label]
        places[own] = (np.cumsum(sizes) - sizes) / max(sizes.sum(), 1)
    return places


def _below(place: ArrayLike, percent: float) -> np.ndarray:
    return np.asarray(place) < percent / 100 - _ROUNDING


def _least(place: float) -> float:
    """The least tenth of a percent that is above a place."""
    return float(min(np.floor(1000 * place + 1) / 10, 100))
