"""A network's map at the size of the masks and in their range. What it then scores is elsewhere."""

from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from benchmark.metrics.maps.checks import finite_map

Upscaling = Literal["bilinear", "bicubic", "nearest"]


def upscale(
    heatmap: ArrayLike, size: tuple[int, int], method: Upscaling = "bilinear"
) -> NDArray[np.float32]:
    """A map at the size of the masks: the map goes to them, never the masks to the map.

    Args:
        heatmap: (h, w) float, finite.
        size: (H, W) of the masks.
        method: "bilinear", ours: half-pixel centres, edges repeated, no smoothing, as torch's
            `interpolate(align_corners=False)` and TensorFlow 2's `tf.image.resize`. "bicubic" and
            "nearest" are Pillow's, the DermXDB authors' choice at image level and at the levels of
            characteristic and annotator (`calculate_mask_metrics` in analyse_gradcams.ipynb).
            Bicubic overshoots; `normalise` brings the values back to [0, 1].

    Returns:
        (H, W) float32. A constant map stays that constant.

    Raises:
        ValueError: not (h, w), a value that is not finite, an unknown method.
    """
    values = finite_map(heatmap)
    height, width = size
    if method == "bilinear":
        # The interpolation of equal values can be off by an ulp, which normalising would stretch.
        if values.min() == values.max():
            return np.full(size, values.flat[0])
        return cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR)
    if method not in ("bicubic", "nearest"):
        raise ValueError(f"unknown method {method!r}: one of {', '.join(get_args(Upscaling))}")
    kernel = Image.Resampling.BICUBIC if method == "bicubic" else Image.Resampling.NEAREST
    image = Image.fromarray(np.ascontiguousarray(values))
    return np.asarray(image.resize((width, height), kernel))


def normalise(heatmap: ArrayLike) -> NDArray[np.float32]:
    """Stretch each map to [0, 1] by its own minimum and maximum, as the DermXDB authors do.

    A constant map has nothing to stretch and keeps its value, as theirs does; one outside [0, 1]
    is clipped (ours).

    Args:
        heatmap: (..., H, W) float, finite. float32 is stretched in float32, as theirs; all else in
            float64.

    Returns:
        The same shape, float32 in [0, 1].

    Raises:
        ValueError: a value that is not finite.
    """
    values = np.asarray(heatmap)
    if values.dtype != np.float32:
        values = values.astype(np.float64)
    if values.ndim < 2 or not values.size:
        raise ValueError(f"maps must be (..., H, W), these are {values.shape}")
    low = values.min(axis=(-2, -1), keepdims=True)
    high = values.max(axis=(-2, -1), keepdims=True)
    # A minimum and a maximum carry every NaN and infinity with them.
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ValueError("maps must be finite")
    # Where a map is constant, it is clipped and divided by 1.
    flat = low == high
    stretched = np.where(flat, np.clip(values, 0, 1), values - low) if flat.any() else values - low
    stretched /= np.where(flat, 1, high - low)
    return stretched.astype(np.float32, copy=False)


def finite(heatmaps: ArrayLike) -> NDArray[np.float32]:
    """Maps (..., h, w) as float32; one with a value that is not finite is zero everywhere (ours).

    Such a map points nowhere, and scores as one that does.
    """
    values = np.asarray(heatmaps, dtype=np.float32)
    whole = np.isfinite(values).all(axis=(-2, -1), keepdims=True)
    return np.where(whole, values, np.float32(0))
