"""What the maps' modules demand of their arrays. No score is computed here."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def unit_maps(maps: ArrayLike, name: str) -> NDArray[np.floating]:
    """Maps whose values are degrees, ready to be summed.

    Args:
        maps: (..., H, W) in [0, 1]; float32 and float64 stay what they are, all else becomes
            float32.
        name: what the error message calls them.

    Returns:
        The same values in C order.

    Raises:
        ValueError: another shape, a value that is NaN or outside [0, 1].
    """
    values = np.asarray(maps)
    if values.ndim < 2 or not values.size:
        raise ValueError(f"{name} must be (..., H, W), not {values.shape}")
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float32)
    # Written so that a NaN fails it too.
    if not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(f"{name} must be in [0, 1] without NaN: normalise it first")
    # One memory order for all maps, so that their sums round alike.
    return np.ascontiguousarray(values)


def finite_map(heatmap: ArrayLike) -> NDArray[np.float32]:
    """A map (h, w) of finite values, as float32; ValueError for anything else."""
    values = np.asarray(heatmap, dtype=np.float32)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"a map must be (h, w) and finite, this one is {values.shape}")
    return values


def mask_stack(masks: ArrayLike) -> NDArray[np.bool_]:
    """Masks (M, H, W) bool, M at least 1; ValueError for anything else."""
    stack = np.asarray(masks)
    if stack.ndim != 3 or not stack.size or stack.dtype != np.bool_:
        raise ValueError(f"masks must be (M, H, W) bool, not {stack.shape} {stack.dtype}")
    return stack
