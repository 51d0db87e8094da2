"""Where labels stand so that they hide nothing: pure geometry, in points of 1/72 inch."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Distances from its point that a label may have, in points, and how many directions (ours).
_RADII = (9.0, 13.0, 18.0, 24.0, 31.0, 40.0, 50.0)
_DIRECTIONS = 16
_POINT = 4.0


def beside(
    points: ArrayLike,
    sizes: Sequence[tuple[float, float]],
    bounds: Sequence[float] | NDArray[np.float64],
) -> NDArray[np.float64]:
    """Offsets from points to the middles of their labels, by the first place that is free.

    Labels are placed in the order of their points. A place is free where it overlaps no label that
    is placed, covers no point and lies within the bounds; of free places the nearest counts, above
    to the right first. Where none is free the label stands where it overlaps least.

    Args:
        points: (N, 2).
        sizes: width and height of each label.
        bounds: left, bottom, right and top.

    Returns:
        (N, 2).
    """
    places = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    angles = np.pi / 4 + 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    ways = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    tried = np.concatenate([radius * ways for radius in _RADII])
    left, bottom, right, top = bounds
    marks = np.concatenate([places - _POINT, places + _POINT], axis=1)
    taken = np.empty((0, 4))
    offsets = np.zeros_like(places)
    for at, (place, size) in enumerate(zip(places, sizes, strict=True)):
        half = np.array(size) / 2
        boxes = np.concatenate([place + tried - half, place + tried + half], axis=1)
        covered = _overlaps(boxes, taken) + _overlaps(boxes, marks)
        outside = (boxes[:, :2] < (left, bottom)) | (boxes[:, 2:] > (right, top))
        # The nearest of the least covered, as argmin takes the first.
        chosen = int(np.argmin(covered + 1000.0 * outside.any(axis=1)))
        offsets[at] = tried[chosen]
        taken = np.concatenate([taken, boxes[chosen : chosen + 1]])
    return offsets


def unclear(points: ArrayLike, offsets: ArrayLike) -> NDArray[np.bool_]:
    """Which labels are as near to another point as to their own, or nearly (ours).

    Args:
        points: (N, 2).
        offsets: (N, 2) from each to the middle of its label.

    Returns:
        (N,).
    """
    places = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    labels = places + np.asarray(offsets)
    distances = np.linalg.norm(labels[:, None] - places[None], axis=2)
    own = np.diag(distances).copy()
    np.fill_diagonal(distances, np.inf)
    return np.asarray(distances.min(axis=1, initial=np.inf) < 1.6 * own)


def _overlaps(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B,) the area that each of the boxes (B, 4) shares with others (O, 4)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.asarray(np.clip(high - low, 0, None).prod(axis=2).sum(axis=1))


def spread(places: Sequence[float], least: float) -> list[float]:
    """Places on a line moved as little as need be so that neighbours are `least` apart.

    Places that are too near form a group, which is laid out about its mean (ours).

    Args:
        places: in any order.
        least: the least distance.

    Returns:
        In the order that was given.
    """
    order = np.argsort(places, kind="stable")
    groups: list[list[float]] = []
    for place in np.asarray(places, dtype=np.float64)[order]:
        groups.append([float(place)])
        while len(groups) > 1 and _start(groups[-1], least) < _end(groups[-2], least) + least:
            groups[-2:] = [groups[-2] + groups[-1]]
    moved = [_start(group, least) + least * at for group in groups for at in range(len(group))]
    found = [0.0] * len(moved)
    for at, place in zip(order, moved, strict=True):
        found[int(at)] = place
    return found


def _start(group: Sequence[float], least: float) -> float:
    return float(np.mean(group)) - least * (len(group) - 1) / 2


def _end(group: Sequence[float], least: float) -> float:
    return float(np.mean(group)) + least * (len(group) - 1) / 2
