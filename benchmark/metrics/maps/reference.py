"""From masks to the reference map that a network is scored against, and how annotators agree.

The reference of the 2023 benchmark, which rounds to 8 bits, is in `dermxdb_2023`.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.metrics.maps.checks import mask_stack
from benchmark.metrics.maps.fuzzy import FUZZY_SCORES, areas, overlap, scores_of_sums

FuseRule = Literal["sum", "share"]

_Counts = NDArray[np.unsignedinteger]


def fuse(
    masks: ArrayLike, rule: FuseRule, annotators: Sequence[str] | None = None
) -> NDArray[np.float32]:
    """One reference map from the masks of one image.

    Args:
        masks: (M, H, W) bool, M at least 1.
        rule: "sum", the DermXDB authors' rule: the number of masks at each pixel over the largest
            such number, so a pixel that one annotator marks for two characteristics counts twice
            and every map reaches 1 (`fuzzy_union` in prepare_dermx_data.ipynb, without the 8 bits
            of the file). "share", ours: the share of the annotators who marked the pixel, for
            whatever characteristic.
        annotators: whose mask each one is, (M,); None when each is another's. "sum" does not ask.
            Someone who looked and marked nothing lowers the share by an empty mask.

    Returns:
        (H, W) float32 in [0, 1]; all zero when every mask is empty.

    Raises:
        ValueError: masks are not (M, H, W) bool, another number of annotators, an unknown rule.
    """
    stack = mask_stack(masks)
    names = [str(i) for i in range(len(stack))] if annotators is None else list(annotators)
    if len(names) != len(stack):
        raise ValueError(f"{len(names)} annotators for {len(stack)} masks")
    if rule == "sum":
        return _scaled(mask_counts(stack), rule, 1)
    people = sorted(set(names))
    marked = [
        _one_annotator(
            [mask for mask, whose in zip(stack, names, strict=True) if whose == who], rule
        )
        for who in people
    ]
    return _scaled(_total(marked), rule, len(people))


def mask_counts(masks: Sequence[NDArray[np.bool_]] | NDArray[np.bool_]) -> _Counts:
    """How many of the masks, M times (H, W) bool, mark each pixel: (H, W) unsigned."""
    return _total([mask.view(np.uint8) for mask in masks])


def leave_one_out_agreement(
    masks_by_annotator: Mapping[str, ArrayLike], rule: FuseRule
) -> dict[str, dict[str, float]]:
    """Each annotator scored like a network: their fused map against the others' fused map.

    The mean over annotators and images is the ceiling of the benchmark (ours).

    Args:
        masks_by_annotator: the masks of one image, (M, H, W) bool for each annotator.
        rule: as in `fuse`.

    Returns:
        For each annotator the `fuzzy_scores`, the others' map being the reference. Empty with
        fewer than two annotators: there is nobody to agree with.

    Raises:
        ValueError: as `fuse`; masks of different sizes.
    """
    counts = _counts(masks_by_annotator, rule)
    if len(counts) < 2:
        return {}
    total = _total(list(counts.values()))
    agreement = {}
    for name, own in counts.items():
        others = _scaled(total - own, rule, len(counts) - 1)
        agreement[name] = _agreement(others, _scaled(own, rule, 1))
    return agreement


def pairwise_agreement(
    masks_by_annotator: Mapping[str, ArrayLike], rule: FuseRule
) -> dict[tuple[str, str], dict[str, float]]:
    """Each annotator's fused map against each other one's.

    Args:
        masks_by_annotator: the masks of one image, (M, H, W) bool for each annotator.
        rule: as in `fuse`.

    Returns:
        For each pair of names, sorted, the `fuzzy_scores`. f1 and iou are the same whoever is the
        reference; the other four are the mean of both ways (ours), so precision equals sensitivity
        and specificity equals npv, and NaN if either way is: precision and sensitivity where one
        of the two marked nothing, all but specificity and npv where neither did. Empty with fewer
        than two annotators.

    Raises:
        ValueError: as `fuse`; masks of different sizes.
    """
    counts = _counts(masks_by_annotator, rule)
    fused = {name: _scaled(counts[name], rule, 1) for name in sorted(counts)}
    area = {name: float(areas(one)) for name, one in fused.items()}
    agreement = {}
    for one, other in combinations(fused, 2):
        both, pixels = overlap(fused[one], fused[other]), fused[one].size
        there = scores_of_sums(both, area[one], area[other], pixels)
        back = scores_of_sums(both, area[other], area[one], pixels)
        agreement[one, other] = {
            score: (float(there[score]) + float(back[score])) / 2 for score in FUZZY_SCORES
        }
    return agreement


def _agreement(reference: NDArray[np.float32], predicted: NDArray[np.float32]) -> dict[str, float]:
    found = scores_of_sums(
        overlap(reference, predicted), areas(reference), areas(predicted), reference.size
    )
    return {score: float(value) for score, value in found.items()}


def _counts(masks_by_annotator: Mapping[str, ArrayLike], rule: FuseRule) -> dict[str, _Counts]:
    counts = {
        name: _one_annotator(list(mask_stack(masks)), rule)
        for name, masks in masks_by_annotator.items()
    }
    if len({one.shape for one in counts.values()}) > 1:
        raise ValueError("the annotators' masks differ in size")
    return counts


def _one_annotator(masks: Sequence[NDArray[np.bool_]], rule: FuseRule) -> _Counts:
    """What one annotator's masks, M times (H, W), add to each pixel."""
    if rule == "sum":
        return mask_counts(masks)
    if rule == "share":
        marked = masks[0].copy()
        for mask in masks[1:]:
            marked |= mask
        return marked.view(np.uint8)
    raise ValueError(f"unknown rule {rule!r}: one of {', '.join(get_args(FuseRule))}")


def _total(layers: Sequence[_Counts]) -> _Counts:
    """The sum of (H, W) layers, in the smallest type that holds it."""
    most = sum(int(layer.max()) for layer in layers)
    total = np.zeros(layers[0].shape, np.min_scalar_type(most))
    # One layer at a time is many times faster than numpy's sum of a stack.
    for layer in layers:
        total += layer
    return total


def _scaled(count: _Counts, rule: FuseRule, annotators: int) -> NDArray[np.float32]:
    whole = count.max() if rule == "sum" else annotators
    # An image on which nobody marked anything has a largest count of 0.
    return np.divide(count, np.float32(max(1, whole)), dtype=np.float32, casting="same_kind")
