"""The fuzzy scores of two maps. Maps stay graded from end to end, nothing here thresholds."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.metrics.maps.checks import unit_maps

FUZZY_SCORES = ("f1", "iou", "precision", "sensitivity", "specificity", "npv")
_STRIP_PIXELS = 1 << 16


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
    t, p = unit_maps(reference, "reference"), unit_maps(predicted, "predicted")
    if t.shape[-2:] != p.shape[-2:]:
        raise ValueError(f"reference {t.shape} and predicted {p.shape} differ in size")
    common = np.result_type(t, p)
    t, p = t.astype(common, copy=False), p.astype(common, copy=False)
    both = np.empty(np.broadcast_shapes(t.shape[:-2], p.shape[:-2]))
    every_t = np.broadcast_to(t, both.shape + t.shape[-2:])
    every_p = np.broadcast_to(p, both.shape + p.shape[-2:])
    for index in np.ndindex(both.shape):
        both[index] = overlap(every_t[index], every_p[index])
    return scores_of_sums(both, areas(t), areas(p), t.shape[-2] * t.shape[-1])


def areas(maps: NDArray[np.floating]) -> NDArray[np.float64]:
    """The sum of each map: (..., H, W) float32 or float64 in, (...) float64 out."""
    found = np.empty(maps.shape[:-2])
    for index in np.ndindex(found.shape):
        found[index] = sum(cv2.sumElems(maps[index][rows])[0] for rows in _strips(maps))
    return found


def overlap(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Sum of the minimum of two maps (H, W) of one dtype, float32 or float64."""
    # OpenCV sums float32 in float64 and is several times faster at it than numpy.
    return sum(cv2.sumElems(cv2.min(one[rows], other[rows]))[0] for rows in _strips(one))


def _strips(maps: NDArray[np.floating]) -> Iterator[slice]:
    """Rows whose intermediate results fit the cache. In `areas` and `overlap` alike, so that equal
    maps have equal sums.
    """
    height, width = maps.shape[-2:]
    step = max(1, _STRIP_PIXELS // width)
    return (slice(start, start + step) for start in range(0, height, step))


def scores_of_sums(
    both: ArrayLike, sum_t: ArrayLike, sum_p: ArrayLike, pixels: int
) -> dict[str, NDArray[np.float64]]:
    """`fuzzy_scores` from what `overlap` and `areas` find on maps of so many pixels."""
    both, sum_t, sum_p = (np.asarray(value, np.float64) for value in (both, sum_t, sum_p))
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


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """`part / whole`, NaN where `whole` is 0."""
    shape = np.broadcast_shapes(np.shape(part), np.shape(whole))
    ratio = np.divide(part, whole, out=np.full(shape, np.nan), where=np.asarray(whole) > 0)
    # Rounding of the sums can leave the range by an ulp.
    return np.clip(ratio, 0, 1)
