"""How well a map finds what the experts marked, whatever its threshold or calibration.

Only the order of a map's values counts, but for the relevance mass, which weighs them. Scores that
compare the values themselves are in `fuzzy`.

The sources define these for binary masks. Ours is graded, and so is what follows from it: a pixel
that the share s of the annotators marked is a positive of weight s and a negative of weight 1 - s.
On a binary reference each score is its source's; on a graded one a perfect map can stay below 1,
as no map can agree with annotators who disagree.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.metrics.maps.checks import unit_maps

LOCALISATION_SCORES = (
    "auprc",
    "auroc",
    "pointing_game",
    "relevance_mass",
    "relevance_rank",
    "best_iou",
)
# Values whose square roots round to the same of so many equal steps are ties (ours): a histogram
# takes a tenth of the time of a sort. The root serves maps of a long tail, on which steps equal in
# the value itself were wrong by up to 0.02. On smooth, peaked and noisy maps the areas were within
# 2e-5 of exact, on a map with nearly all values just under 1 within 3e-4; 8-bit maps lose nothing.
_LEVELS = 1 << 16
# So many pixels are counted at a time, for the sake of the cache.
_BLOCK_PIXELS = 1 << 18

_Floats = NDArray[np.float64]


def localisation_scores(reference: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """All of `LOCALISATION_SCORES`, for the work of the slowest of them.

    Args:
        reference: (H, W) in [0, 1], the share of the annotators who marked each pixel.
        predicted: (H, W) in [0, 1].

    Returns:
        Each score in [0, 1]; what it is and when it is NaN says the function of its name. All are
        NaN where nobody marked anything.

    Raises:
        ValueError: a value is NaN or outside [0, 1], or the maps are not of one size (H, W).
    """
    share, heat = _pair(reference, predicted)
    curve = _curve(share, heat)
    return {
        "auprc": _auprc(curve),
        "auroc": _auroc(curve),
        "pointing_game": _pointing_game(share, heat),
        "relevance_mass": _relevance_mass(share, heat),
        "relevance_rank": _relevance_rank(curve),
        "best_iou": _best_iou(curve),
    }


def auprc(reference: ArrayLike, predicted: ArrayLike) -> float:
    """Average precision over pixels: sum of precision times gain in recall, ties in one step.

    On a binary reference scikit-learn's `average_precision_score`. A constant map scores the mean
    share. NaN where nobody marked anything. Arguments and errors as `localisation_scores`.
    """
    return _auprc(_curve(*_pair(reference, predicted)))


def auroc(reference: ArrayLike, predicted: ArrayLike) -> float:
    """The chance that a marked pixel outranks an unmarked one, ties counting one half.

    On a binary reference scikit-learn's `roc_auc_score`. A constant map scores 0.5. NaN where
    nobody marked anything or everybody everything. Arguments and errors as `localisation_scores`.
    """
    return _auroc(_curve(*_pair(reference, predicted)))


def pointing_game(reference: ArrayLike, predicted: ArrayLike) -> float:
    """Whether the map's largest value lies on a mark.

    Zhang et al. 2018 (IJCV, arXiv 1608.00507), with no tolerance around the marks (ours; theirs is
    15 pixels). On a graded reference the share at that pixel. Pixels that share the largest value
    share the point (ours), so a constant map scores the mean share. NaN where nobody marked
    anything. Arguments and errors as `localisation_scores`.
    """
    return _pointing_game(*_pair(reference, predicted))


def relevance_mass(reference: ArrayLike, predicted: ArrayLike) -> float:
    """The part of the map's total that lies on the marks, each value times the share there.

    Relevance mass accuracy of Arras et al. 2022 (arXiv 2003.07258). NaN where nobody marked
    anything, and for the all-zero map. Arguments and errors as `localisation_scores`.
    """
    return _relevance_mass(*_pair(reference, predicted))


def relevance_rank(reference: ArrayLike, predicted: ArrayLike) -> float:
    """The part of the K largest values that lies on the marks, K being the number of marked pixels.

    Relevance rank accuracy of Arras et al. 2022 (arXiv 2003.07258). On a graded reference K is the
    sum of the shares, and a pixel counts its share (ours). Of pixels that tie for the last places
    each counts in part (ours), so a constant map scores the mean share. NaN where nobody marked
    anything. Arguments and errors as `localisation_scores`.
    """
    return _relevance_rank(_curve(*_pair(reference, predicted)))


def best_iou(reference: ArrayLike, predicted: ArrayLike) -> float:
    """The largest intersection over union that any threshold of the map reaches (ours).

    The mask is what at least half of the annotators marked; where no pixel has half of them, what
    anybody marked (share above 0). A constant map can only be all of the image and scores the
    mask's part of it. NaN where nobody marked anything. Arguments and errors as
    `localisation_scores`.
    """
    return _best_iou(_curve(*_pair(reference, predicted)))


@dataclass(frozen=True)
class _Curve:
    """What lies at or above each level that the map takes, from the highest down; (L,) float64.

    Attributes:
        pixels: how many pixels.
        shares: the sum of their shares, the weight of the positives.
        mask: how many of them are in the mask of `best_iou`.
    """

    pixels: _Floats
    shares: _Floats
    mask: _Floats


def _pair(
    reference: ArrayLike, predicted: ArrayLike
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    share, heat = unit_maps(reference, "reference"), unit_maps(predicted, "predicted")
    if share.ndim != 2 or share.shape != heat.shape:
        raise ValueError(
            f"reference {share.shape} and predicted {heat.shape} must be (H, W) of one size"
        )
    return share.astype(np.float32, copy=False), heat.astype(np.float32, copy=False)


def _curve(share: NDArray[np.float32], heat: NDArray[np.float32]) -> _Curve:
    least = 0.5 if share.max() >= 0.5 else np.nextafter(np.float32(0), np.float32(1))
    shares, counts = np.zeros(_LEVELS), np.zeros(2 * _LEVELS, np.intp)
    for start in range(0, heat.size, _BLOCK_PIXELS):
        block = slice(start, start + _BLOCK_PIXELS)
        weights = share.ravel()[block]
        roots = np.sqrt(heat.ravel()[block])
        level = np.rint(roots * np.float32(_LEVELS - 1)).astype(np.intp)
        shares += np.bincount(level, weights, _LEVELS)
        # The mask selects the upper half of twice as many levels: one pass counts both.
        level += (weights >= least) * np.intp(_LEVELS)
        counts += np.bincount(level, minlength=2 * _LEVELS)
    out, inside = counts.reshape(2, _LEVELS)
    taken = np.flatnonzero(out + inside)[::-1]
    return _Curve(
        *(np.cumsum(each[taken], dtype=np.float64) for each in (out + inside, shares, inside))
    )


def _auprc(curve: _Curve) -> float:
    if not curve.shares[-1]:
        return float("nan")
    precision = curve.shares / curve.pixels
    return _bounded(precision @ np.diff(curve.shares, prepend=0) / curve.shares[-1])


def _auroc(curve: _Curve) -> float:
    negatives = curve.pixels - curve.shares
    if not curve.shares[-1] or negatives[-1] <= 0:
        return float("nan")
    # The trapezoidal rule: the ties of one level count one half.
    outranking = curve.shares - np.diff(curve.shares, prepend=0) / 2
    steps = np.diff(negatives, prepend=0)
    return _bounded(outranking @ steps / (curve.shares[-1] * negatives[-1]))


def _pointing_game(share: NDArray[np.float32], heat: NDArray[np.float32]) -> float:
    if not share.any():
        return float("nan")
    return float(share[heat == heat.max()].mean(dtype=np.float64))


def _relevance_mass(share: NDArray[np.float32], heat: NDArray[np.float32]) -> float:
    total = cv2.sumElems(heat)[0]
    if not total or not share.any():
        return float("nan")
    return _bounded(cv2.sumElems(heat * share)[0] / total)


def _relevance_rank(curve: _Curve) -> float:
    wanted = curve.shares[-1]
    if not wanted:
        return float("nan")
    # Linear between two levels: pixels of one level are taken in proportion.
    found = np.interp(wanted, [0, *curve.pixels], [0, *curve.shares])
    return _bounded(found / wanted)


def _best_iou(curve: _Curve) -> float:
    if not curve.mask[-1]:
        return float("nan")
    return float((curve.mask / (curve.pixels + curve.mask[-1] - curve.mask)).max())


def _bounded(score: float) -> float:
    """Without the ulp by which rounding can leave [0, 1]."""
    return float(np.clip(score, 0, 1))
