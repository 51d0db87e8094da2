"""Long-tailed training parts: how many images of each class, and which, groups kept whole.

Which part of a data set is thinned is a task's business.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from benchmark.data.dataset import UNLABELLED
from benchmark.errors import DataError

# The head class has as many images as the data allow at this ratio, whatever ratio is asked.
HEAD_RATIO = 10.0
# A class further from its target than both is told (ours).
MISS_SHARE = 0.1
MISS_IMAGES = 2

_ROUNDING = 1e-9


def profile(
    counts: ArrayLike, ratio: float, classes: Sequence[str] | None = None
) -> NDArray[np.int64]:
    """How many images each class keeps in an exponential long tail.

    Of K classes, the one ranked r by its count (0 the most frequent, ties by index) keeps
    head * ratio ** (-r / (K - 1)) images, rounded up: the profile of CIFAR-LT (Cui et al. 2019,
    arXiv 1901.05555) and of ISIC2019-LT, whose published counts are rounded up. There as here the
    head stays as the ratio grows, so that the tail alone gets rarer. Its size is ours: the largest
    that leaves every class enough images at `HEAD_RATIO`.

    Args:
        counts: (K,) int, images that there are. A class without any has target 0 and no rank.
        ratio: images of the head class to those of the rarest, at least `HEAD_RATIO`.
        classes: class names for the error message.

    Returns:
        (K,) int64 targets, none above its count.

    Raises:
        DataError: the rarest class would keep less than one image; names the classes that have
            too few images for a larger head, and the least number of each that would do.
        ValueError: fewer than two classes with images, or the ratio is below `HEAD_RATIO`.
    """
    counts = np.asarray(counts, dtype=np.int64)
    order = np.argsort(-counts, kind="stable")[: int((counts > 0).sum())]
    if len(order) < 2 or not ratio >= HEAD_RATIO:
        raise ValueError(f"{len(order)} classes and ratio {ratio}: need 2 and {HEAD_RATIO:g}")
    exponent = np.arange(len(order)) / (len(order) - 1)
    head = int((counts[order] * HEAD_RATIO**exponent).min() + _ROUNDING)
    if head < ratio:
        # As many as a head of `ratio` images, the least that leaves the tail one, needs of each.
        least = rounded_up(ratio * HEAD_RATIO**-exponent)
        wanting = _too_few(counts, order, least, classes)
        raise DataError(
            f"imbalance {ratio:g} would leave class {_name(classes, order[-1])} less than one"
            f" training image, because the largest class can have only {head}: use a lower"
            f" imbalance, or add training images, to at least {wanting}"
        )
    targets = np.zeros_like(counts)
    targets[order] = rounded_up(head * float(ratio) ** -exponent)
    return targets


def draw(
    table: pd.DataFrame, targets: ArrayLike, seed: int, classes: Sequence[str] | None = None
) -> list[str]:
    """Choose images of a table so that no class has more than its target; groups stay whole.

    Groups come in random order and each is taken unless it would carry a class past its target.
    Those that hold a class with a smaller target come first: groups of several classes would else
    fill up the common ones and leave the rare ones short (ours). Where every group is one image,
    the draw for a higher ratio is part of that for a lower one. Ids, groups, labels and seed
    decide, not the order of the rows.

    Args:
        table: index `id`, columns `label` (int) and `group`; unlabelled rows are never drawn.
        targets: (K,) int, the most images of each class.
        seed: of the random order.
        classes: class names for the error message.

    Returns:
        Sorted ids.

    Raises:
        DataError: a class with a target gets no image, because its groups are too large.
    """
    targets = np.asarray(targets, dtype=np.int64)
    labelled = table[table["label"] != UNLABELLED]
    # groupby sorts by group, so the order of the rows is gone from here on.
    by_group = labelled.groupby(["group", "label"]).size().unstack(fill_value=0)
    counts = by_group.reindex(columns=range(len(targets)), fill_value=0).to_numpy()
    rarest = np.where(counts > 0, targets, targets.max(initial=0) + 1).min(axis=1)
    order = np.random.default_rng(seed).permutation(len(counts))
    taken, have = [], np.zeros_like(targets)
    for group in order[np.argsort(rarest[order], kind="stable")]:
        if (have + counts[group] <= targets).all():
            taken.append(by_group.index[group])
            have += counts[group]
    for label in np.flatnonzero((have == 0) & (targets > 0)):
        raise DataError(
            f"no group (lesion or patient) of class {_name(classes, label)} fits into its target of"
            f" {targets[label]} training images: use a lower imbalance, or add lesions with few"
            " images"
        )
    return sorted(labelled.index[labelled["group"].isin(taken)])


def misses(counts: ArrayLike, targets: ArrayLike, classes: Sequence[str]) -> tuple[str, ...]:
    """A sentence for each class further from its target than `MISS_SHARE` and `MISS_IMAGES`.

    Args:
        counts: (K,) int, images drawn.
        targets: (K,) int, images wanted.
        classes: K names.
    """
    return tuple(
        f"class {name} has {count} training images where the profile has {target}, because lesions"
        " and patients stay whole"
        for name, count, target in far(counts, targets, classes)
    )


def far(
    counts: ArrayLike, targets: ArrayLike, classes: Sequence[str]
) -> Iterator[tuple[str, int, int]]:
    """Name, count and target of each class that `misses` is about; arguments as there."""
    of_each = zip(classes, np.asarray(counts).tolist(), np.asarray(targets).tolist(), strict=True)
    for name, count, target in of_each:
        if abs(count - target) > max(MISS_SHARE * target, MISS_IMAGES):
            yield name, count, target


def rounded_up(values: np.ndarray) -> NDArray[np.int64]:
    """The next whole number; one that is whole but for its last digits stays."""
    return np.ceil(values - _ROUNDING).astype(np.int64)


def _too_few(
    counts: np.ndarray, order: np.ndarray, least: np.ndarray, classes: Sequence[str] | None
) -> str:
    short = [
        (label, need) for label, need in zip(order, least, strict=True) if counts[label] < need
    ]
    return ", ".join(f"{need} of {_name(classes, k)} (now {counts[k]})" for k, need in short)


def _name(classes: Sequence[str] | None, label: int | np.integer) -> str:
    return classes[int(label)] if classes else str(label)
