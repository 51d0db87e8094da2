"""How well a network's map matches the experts' masks: the one place where maps become scores.

Making the maps is the business of `benchmark.explain`, reading the masks that of `benchmark.data`.
Maps stay fuzzy from end to end; nothing here thresholds.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

FuseRule = Literal["sum", "share"]
FUZZY_SCORES = ("f1", "iou", "precision", "sensitivity", "specificity", "npv")


def fuzzy_scores(reference: ArrayLike, predicted: ArrayLike) -> dict[str, NDArray[np.float64]]:
    """Agreement of two maps by fuzzy set operations: min is "and", max is "or", 1 - x is "not".

    With t the reference, p the prediction, TP = sum min(t, p) and TN = sum min(1 - t, 1 - p):
    f1 = 2 TP / (sum t + sum p), iou = TP / sum max(t, p), precision = TP / sum p,
    sensitivity = TP / sum t, specificity = TN / sum (1 - t), npv = TN / sum (1 - p).
    Source: `pixel_metrics_fuzzy` in analyse_gradcams.ipynb of the DermXDB benchmark
    (arXiv 2302.12084, repository ralucaj/dermx-benchmark), whose paper calls the dice score F1.

    Args:
        reference: (..., H, W) in [0, 1].
        predicted: (..., H, W) in [0, 1]. The leading axes of both broadcast.

    Returns:
        For each name of `FUZZY_SCORES` a float64 array over the leading axes, in [0, 1]. NaN where
        the denominator is 0: an all-zero prediction has f1 0 and precision NaN; an all-zero
        reference sensitivity NaN; an all-one prediction npv NaN; an all-one reference specificity
        NaN; two all-zero maps f1 and iou NaN as well, for there is nothing to find and nothing
        found (the authors leave such images out, NaN lets the mean do so).

    Raises:
        ValueError: a value is NaN or outside [0, 1], or the maps differ in size.
    """
    t, p = _flat(reference, "reference"), _flat(predicted, "predicted")
    if np.shape(reference)[-2:] != np.shape(predicted)[-2:]:
        raise ValueError(
            f"reference {np.shape(reference)} and predicted {np.shape(predicted)} differ in size"
        )
    pixels = t.shape[-1]
    sum_t, sum_p = t.sum(axis=-1, dtype=np.float64), p.sum(axis=-1, dtype=np.float64)
    both = np.minimum(t, p).sum(axis=-1, dtype=np.float64)
    # max(t, p) = t + p - min(t, p), so three sums give all six scores; in this order of the
    # operations equal maps score exactly 1.
    either = (sum_t + sum_p) - both
    neither = pixels - either
    return {
        "f1": _ratio(2 * both, sum_t + sum_p),
        "iou": _ratio(both, either),
        "precision": _ratio(both, sum_p),
        "sensitivity": _ratio(both, sum_t),
        "specificity": _ratio(neither, pixels - sum_t),
        "npv": _ratio(neither, pixels - sum_p),
    }


def fuse(
    masks: ArrayLike, rule: FuseRule, annotators: Sequence[str] | None = None
) -> NDArray[np.float32]:
    """One reference map from the masks of one image.

    Args:
        masks: (M, H, W) bool, M at least 1.
        rule: "sum", the DermXDB authors' rule: the number of masks at each pixel over the largest
            such number, so a pixel that one annotator marks for two characteristics counts twice
            and every map reaches 1 (`fuzzy_union` in prepare_dermx_data.ipynb; they also round to
            8 bits when they store it, we do not). "share", ours: the share of the annotators who
            marked the pixel, for whatever characteristic.
        annotators: whose mask each one is, (M,); None when each is another's. "sum" does not ask.
            Someone who looked and marked nothing lowers the share by an empty mask.

    Returns:
        (H, W) float32 in [0, 1]; all zero when every mask is empty.

    Raises:
        ValueError: masks are not (M, H, W) bool, another number of annotators, an unknown rule.
    """
    stack = _masks(masks)
    names = [str(i) for i in range(len(stack))] if annotators is None else list(annotators)
    if len(names) != len(stack):
        raise ValueError(f"{len(names)} annotators for {len(stack)} masks")
    whose = np.asarray(names)
    people = sorted(set(names))
    total = _total(_count(stack[whose == person], rule) for person in people)
    return _scaled(total, rule, len(people))


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
    counts = {name: _count(_masks(masks), rule) for name, masks in masks_by_annotator.items()}
    if len({one.shape for one in counts.values()}) > 1:
        raise ValueError("the annotators' masks differ in size")
    if len(counts) < 2:
        return {}
    total = _total(counts.values())
    agreement = {}
    for name, own in counts.items():
        others = _scaled(total - own, rule, len(counts) - 1)
        found = fuzzy_scores(others, _scaled(own, rule, 1))
        agreement[name] = {score: float(value) for score, value in found.items()}
    return agreement


def upscale(heatmap: ArrayLike, size: tuple[int, int]) -> NDArray[np.float32]:
    """A map at the size of the masks, by bicubic interpolation as Pillow does it.

    The DermXDB authors' rule at image level (`calculate_mask_metrics` in analyse_gradcams.ipynb):
    the map goes to the mask's native size, never the mask to the map's. Bicubic interpolation
    overshoots; `normalise` brings the values back to [0, 1].

    Args:
        heatmap: (h, w) float, finite.
        size: (H, W) of the masks.

    Returns:
        (H, W) float32.

    Raises:
        ValueError: not (h, w), or a value that is not finite.
    """
    values = np.asarray(heatmap, dtype=np.float32)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"a map must be (h, w) and finite, this one is {values.shape}")
    height, width = size
    image = Image.fromarray(np.ascontiguousarray(values))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def normalise(heatmap: ArrayLike) -> NDArray[np.float32]:
    """Stretch each map to [0, 1] by its own minimum and maximum, as the DermXDB authors do.

    A constant map has nothing to stretch and keeps its value, as theirs does; one outside [0, 1]
    is clipped (ours).

    Args:
        heatmap: (..., H, W) float, finite.

    Returns:
        The same shape, float32 in [0, 1].

    Raises:
        ValueError: a value that is not finite.
    """
    values = np.asarray(heatmap, dtype=np.float64)
    if values.ndim < 2 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"maps must be (..., H, W) and finite, these are {values.shape}")
    low = values.min(axis=(-2, -1), keepdims=True)
    spread = values.max(axis=(-2, -1), keepdims=True) - low
    constant = np.clip(values, 0, 1)
    return np.divide(values - low, spread, out=constant, where=spread > 0).astype(np.float32)


def centred_gaussian(size: tuple[int, int], sigma: float = 0.25) -> NDArray[np.float32]:
    """A map that ignores the image: the floor that a network has to beat (ours).

    Args:
        size: (H, W).
        sigma: standard deviation as a share of the height and of the width.

    Returns:
        (H, W) float32, normalised as every map is.
    """
    # Pixel centres, as offsets from the middle in units of the side.
    down, across = ((np.arange(side) + 0.5) / side - 0.5 for side in size)
    return normalise(np.exp(-(down[:, None] ** 2 + across[None, :] ** 2) / (2 * sigma**2)))


def _count(masks: NDArray[np.bool_], rule: FuseRule) -> NDArray[np.int32]:
    """What one annotator's masks (M, H, W) add to each pixel."""
    if rule == "sum":
        return _total(masks)
    if rule == "share":
        return np.asarray(masks.any(axis=0), dtype=np.int32)
    raise ValueError(f"unknown rule {rule!r}: one of {', '.join(get_args(FuseRule))}")


def _total(layers: Iterable[NDArray]) -> NDArray[np.int32]:
    """The sum of (H, W) layers: one at a time is many times faster than numpy's sum of a stack."""
    first, *others = layers
    total = first.astype(np.int32)
    for layer in others:
        total += layer
    return total


def _scaled(count: NDArray[np.int32], rule: FuseRule, annotators: int) -> NDArray[np.float32]:
    whole = count.max() if rule == "sum" else annotators
    # An image on which nobody marked anything has a largest count of 0.
    return (count / max(1, whole)).astype(np.float32)


def _masks(masks: ArrayLike) -> NDArray[np.bool_]:
    stack = np.asarray(masks)
    if stack.ndim != 3 or not stack.size or stack.dtype != np.bool_:
        raise ValueError(f"masks must be (M, H, W) bool, not {stack.shape} {stack.dtype}")
    return stack


def _flat(maps: ArrayLike, name: str) -> NDArray[np.floating]:
    """(..., H, W) as (..., H*W), floating, checked."""
    values = np.asarray(maps)
    if values.ndim < 2 or not values.size:
        raise ValueError(f"{name} must be (..., H, W), not {values.shape}")
    if not np.issubdtype(values.dtype, np.floating):
        values = values.astype(np.float32)
    # Written so that a NaN fails it too.
    if not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(f"{name} must be in [0, 1] without NaN: normalise it first")
    # One memory order for both maps, so that their sums round alike.
    return np.ascontiguousarray(values).reshape(*values.shape[:-2], -1)


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """`part / whole`, NaN where `whole` is 0."""
    shape = np.broadcast_shapes(np.shape(part), np.shape(whole))
    ratio = np.divide(part, whole, out=np.full(shape, np.nan), where=np.asarray(whole) > 0)
    # Rounding of the sums can leave the range by an ulp.
    return np.clip(ratio, 0, 1)
