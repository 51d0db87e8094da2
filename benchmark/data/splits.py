"""Dividing samples into parts that never cut a group, stratified by class, from one seed.

Which part is used for what is a task's business.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from benchmark.data import copies
from benchmark.data.dataset import SPLITS, UNLABELLED, Dataset
from benchmark.data.images import content_hash
from benchmark.data.pixels import Progress
from benchmark.errors import DataError

# The share of the free samples that a missing part gets (ours): 60/20/20 where nothing is fixed,
# 80/20 where the test part is.
CARVED = 0.2
# Random orders tried where groups hold several classes; one is enough where they do not.
ATTEMPTS = 64


def split(
    table: pd.DataFrame,
    fractions: Mapping[str, float],
    seed: int,
    classes: Sequence[str] | None = None,
) -> dict[str, list[str]]:
    """Divide the labelled samples of `table`, whole groups at a time.

    The result depends on ids, groups, labels and seed, not on the order of the rows. First every
    class, rarest first, gets one of its groups into every part; then each remaining group, large
    ones first, goes where its classes are missing most (ours). Unlabelled samples are in no part.

    Args:
        table: index `id`, columns `label` (int) and `group`.
        fractions: part name to its share of the samples; positive, of sum 1.
        seed: of the random order of the groups.
        classes: class names for the error messages.

    Returns:
        Part name to sorted ids; every class that occurs is in every part.

    Raises:
        DataError: fewer than two classes, or a class has fewer groups than there are parts, or
            its groups are too entangled with those of other classes.
    """
    shares = np.array(list(fractions.values()), dtype=np.float64)
    if not np.isclose(shares.sum(), 1) or (shares <= 0).any():
        raise ValueError(f"fractions must be positive with sum 1, not {dict(fractions)}")
    labelled = table[table["label"] != UNLABELLED]
    # groupby sorts by group, so the order of the rows is gone from here on.
    counts = labelled.groupby(["group", "label"]).size().unstack(fill_value=0)
    if counts.shape[1] < 2:
        raise DataError(
            f"the {len(labelled)} labelled images are of {counts.shape[1]} class: a diagnosis needs"
            " at least two, add images of another class"
        )
    for label, groups in (counts > 0).sum().items():
        if groups < len(shares):
            raise DataError(
                f"class {classes[label] if classes else label} has {groups} groups (lesions or"
                f" patients), too few to be in each of {', '.join(fractions)}: add images of"
                f" {len(shares)} or more lesions, or leave the class out"
            )
    rng = np.random.default_rng(seed)
    for attempt in range(ATTEMPTS):
        parts = _assign(counts.to_numpy(), shares, rng, tidy=attempt == 0)
        if parts is not None:
            break
    else:
        raise DataError(
            f"no division into {', '.join(fractions)} was found with every class in every part,"
            " because groups (lesions or patients) hold images of several classes: fix the parts"
            " in a split column, or add groups of the rare classes"
        )
    chosen = labelled["group"].map(dict(zip(counts.index, parts, strict=True)))
    return {name: sorted(labelled.index[chosen == p]) for p, name in enumerate(fractions)}


def partition(dataset: Dataset, seed: int) -> dict[str, list[str]]:
    """The "train", "validation" and "test" ids of a data set: sorted, labelled samples only.

    Parts that the data set fixes are kept. Each part that it lacks is carved out of the free
    samples (train and those without a part), a fifth of them each, by `split`: so 60/20/20 where
    nothing is fixed, and validation is a fifth of train where only train and test are (ours).
    Whether fixed parts share what they must not is the business of `leaks`.

    Raises:
        DataError: a class is missing in a part, or as `split`.
    """
    table = dataset.table[dataset.table["label"] != UNLABELLED]
    parts = {name: sorted(table.index[table["split"] == name]) for name in SPLITS[1:]}
    free = table[~table["split"].isin(SPLITS[1:])]
    if free.empty:
        raise DataError(f"{dataset.root} has no training images: put some into the part 'train'")
    missing = [name for name, ids in parts.items() if not ids]
    if missing:
        shares = {"train": 1 - CARVED * len(missing)} | dict.fromkeys(missing, CARVED)
        try:
            parts |= split(free, shares, seed, dataset.classes)
        except DataError as error:
            raise DataError(f"{dataset.root}: {error}") from error
    else:
        parts["train"] = sorted(free.index)
    for name, ids in parts.items():
        present = set(table.loc[ids, "label"])
        for label in sorted(set(table["label"]) - present):
            groups = table.loc[table["label"] == label, "group"].nunique()
            raise DataError(
                f"{dataset.root}: class {dataset.classes[label]} ({groups} groups in all) has no"
                f" image in the part {name}: move a group of it there, or leave the class out"
            )
    return {name: parts[name] for name in SPLITS}


def united(dataset: Dataset, pixels: np.ndarray, progress: Progress | None = None) -> Dataset:
    """The data set, groups that hold copies of one image made one group, to be divided.

    HAM10000 has a few lesions under two names: by its names alone, two photographs of one lesion
    could fall into two parts. Copies are byte-identical or near-identical (`copies.find`).

    Args:
        dataset: any with photographs.
        pixels: (N, H, W, 3) uint8 in the order of the table, both sides 28 or more.
        progress: called as `progress(items, description, total)`, passes the items on.
    """
    table = dataset.table
    seen = copies.thumbnails(pixels, range(len(table)), progress)
    pairs = copies.find(seen, seen, progress)
    groups, group_of = np.unique(table["group"].to_numpy(str), return_inverse=True)
    _, content = np.unique([content_hash(path) for path in table["path"]], return_inverse=True)
    # One graph of groups and contents: what hangs together stays together.
    ends = (
        np.concatenate([group_of[pairs["first"]], group_of]),
        np.concatenate([group_of[pairs["second"]], len(groups) + content]),
    )
    count = len(groups) + len(table)
    graph = coo_array((np.ones(len(ends[0])), ends), shape=(count, count))
    _, part_of = connected_components(graph, directed=False)
    # Groups are sorted, so the first of a part is its name.
    _, first = np.unique(part_of[: len(groups)], return_index=True)
    names = dict(zip(part_of[: len(groups)][first], groups[first], strict=True))
    return replace(dataset, table=table.assign(group=[names[part_of[group]] for group in group_of]))


def _assign(
    counts: np.ndarray, shares: np.ndarray, rng: np.random.Generator, tidy: bool
) -> np.ndarray | None:
    """The part of every group, or None when some class misses a part.

    Args:
        counts: (G, C) samples per group and class.
        shares: (P,) wanted share of each part.
        rng: draws the order of the groups.
        tidy: cover the parts with small groups, which keeps the shares; else with random ones,
            which finds more divisions where groups hold several classes.
    """
    order = rng.permutation(len(counts))
    sizes = counts.sum(axis=1)
    totals = counts.sum(axis=0)
    by_size = order[np.argsort(sizes[order], kind="stable")]
    part = np.full(len(counts), -1)
    have = np.zeros((len(shares), counts.shape[1]))
    for label in np.argsort((counts > 0).sum(axis=0), kind="stable"):
        for p in rng.permutation(len(shares)):
            if have[p, label]:
                continue
            candidates = [
                g for g in (by_size if tidy else order) if part[g] < 0 and counts[g, label]
            ]
            if not candidates:
                return None
            part[candidates[0]] = p
            have[p] += counts[candidates[0]]
    wanted = shares[:, np.newaxis] * totals
    for group in by_size[::-1]:
        if part[group] < 0:
            # How much each part still lacks of the classes in this group, rare classes weighing
            # as much as common ones.
            lack = ((wanted - have) / totals) @ counts[group]
            part[group] = int(lack.argmax())
            have[part[group]] += counts[group]
    return part
