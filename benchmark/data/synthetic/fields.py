"""Smooth random fields and shapes on a pixel grid, the raw material of skin and lesions.

Arrays are (H, W) float32 unless said otherwise. Nothing here knows what a lesion is.
"""

import cv2
import numpy as np

Shape = tuple[int, int]
Points = np.ndarray  # (N, 3) float32: row, column, radius in pixels

FAR = 1e3  # distance_to_spots where no spot is near


def noise(rng: np.random.Generator, shape: Shape, scale: float) -> np.ndarray:
    """Smooth noise of about zero mean and unit variance whose features are `scale` pixels wide."""
    return stretched_noise(rng, shape, (scale, scale))


def stretched_noise(
    rng: np.random.Generator, shape: Shape, scale: tuple[float, float]
) -> np.ndarray:
    """Smooth noise whose features are `scale` = (rows, columns) pixels wide, at least one."""
    height, width = shape
    rows, columns = (max(step, 1.0) for step in scale)
    # More cells than fit, and a random phase: the grid must not show at fixed places.
    cells = (int(height / rows) + 3, int(width / columns) + 3)
    coarse = rng.standard_normal(cells, dtype=np.float32)
    top, left = (rng.random(2) * (rows, columns)).astype(int)
    fine = cv2.resize(
        coarse, (round(cells[1] * columns), round(cells[0] * rows)), interpolation=cv2.INTER_CUBIC
    )
    # Cubic interpolation loses about a third of the variance.
    return fine[top : top + height, left : left + width] * np.float32(1.25)


def fractal(
    rng: np.random.Generator, shape: Shape, scale: float, octaves: int = 3, fall: float = 0.5
) -> np.ndarray:
    """Noise summed over `octaves` of halving width and of weights 1, fall, fall**2, ...

    Its variance is about one.
    """
    weights = np.array([fall**k for k in range(octaves)])
    weights /= np.sqrt((weights**2).sum())
    total = np.zeros(shape, np.float32)
    for k, weight in enumerate(weights):
        total += np.float32(weight) * noise(rng, shape, scale / 2**k)
    return total


def ramp(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Smooth step: 0 at `low`, 1 at `high` (which may be the smaller one)."""
    t = np.clip((values - low) / (high - low), 0, 1).astype(np.float32)
    return t * t * (3 - 2 * t)


def blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur with `sigma` in pixels."""
    return cv2.GaussianBlur(values, (0, 0), max(sigma, 0.1))


def distance_to_spots(shape: Shape, spots: Points, wobble: np.ndarray | None = None) -> np.ndarray:
    """Distance to the nearest spot's centre in units of that spot's radius, FAR beyond 2.5 radii.

    `wobble` (H, W) is added to the distances, so that no outline is a perfect circle.
    """
    height, width = shape
    nearest = np.full(shape, FAR, np.float32)
    for row, column, radius in spots:
        reach = 2.5 * radius + 1
        top, bottom = max(int(row - reach), 0), min(int(row + reach) + 2, height)
        left, right = max(int(column - reach), 0), min(int(column + reach) + 2, width)
        if top >= bottom or left >= right:
            continue
        rows = (np.arange(top, bottom, dtype=np.float32) - row)[:, None]
        columns = (np.arange(left, right, dtype=np.float32) - column)[None, :]
        distance = np.sqrt(rows * rows + columns * columns) / np.float32(radius)
        distance[distance > 2.5] = FAR
        window = nearest[top:bottom, left:right]
        np.minimum(window, distance, out=window)
    return nearest if wobble is None else nearest + wobble


def scatter(rng: np.random.Generator, where: np.ndarray, spacing: float, most: int) -> np.ndarray:
    """At most `most` random pixels of the bool map `where`, no two closer than `spacing` pixels.

    Returns:
        (N, 2) float32 rows and columns; empty when `where` is.
    """
    candidates = np.argwhere(where)
    if len(candidates) == 0:
        return np.zeros((0, 2), np.float32)
    tried = candidates[rng.integers(len(candidates), size=most * 8)].astype(np.float32)
    gaps = ((tried[:, None] - tried[None, :]) ** 2).sum(2)
    free = np.ones(len(tried), bool)
    kept: list[int] = []
    for index in range(len(tried)):
        if free[index] and len(kept) < most:
            kept.append(index)
            free &= gaps[index] >= spacing**2
    return tried[kept]


def with_radii(rng: np.random.Generator, places: np.ndarray, low: float, high: float) -> Points:
    """Places (N, 2) with a random radius between `low` and `high` pixels: (N, 3)."""
    radii = rng.uniform(low, high, size=(len(places), 1)).astype(np.float32)
    return np.hstack([places.reshape(-1, 2), radii])
