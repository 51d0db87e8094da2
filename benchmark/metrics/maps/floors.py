"""Maps that know nothing of the network: what a network has to beat. All of them are ours."""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.metrics.maps.checks import unit_maps
from benchmark.metrics.maps.heatmap import normalise

MEAN_MAP_SIZE = (64, 64)


def centred_gaussian(size: tuple[int, int], sigma: float = 0.25) -> NDArray[np.float32]:
    """A map that ignores the image: photographers put the lesion in the middle.

    Args:
        size: (H, W).
        sigma: standard deviation as a share of the height and of the width.

    Returns:
        (H, W) float32, normalised as every map is.
    """
    # Pixel centres, as offsets from the middle in units of the side.
    offsets = ((np.arange(side, dtype=np.float32) + 0.5) / side - 0.5 for side in size)
    down, across = (np.exp(-(offset**2) / (2 * sigma**2)) for offset in offsets)
    return normalise(np.outer(down, across))


def constant(size: tuple[int, int]) -> NDArray[np.float32]:
    """A map that points everywhere: (H, W) float32, all ones."""
    return np.ones(size, np.float32)


def mean_map(references: Iterable[ArrayLike]) -> NDArray[np.float32]:
    """Where a data set's experts mark on average: a map that knows the data set, not the image.

    Args:
        references: maps (H, W) in [0, 1] of any sizes, read one at a time. From training images
            only, or the floor has seen the test.

    Returns:
        (64, 64) float32 in [0, 1], the mean of the maps brought to that size by area; to be scored
        it is upscaled and normalised as a network's.

    Raises:
        ValueError: no map at all; one that is not (H, W), is NaN or leaves [0, 1].
    """
    total, number = np.zeros(MEAN_MAP_SIZE), 0
    for reference in references:
        values = unit_maps(reference, "reference")
        if values.ndim != 2:
            raise ValueError(f"reference must be (H, W), not {values.shape}")
        total += cv2.resize(values, MEAN_MAP_SIZE[::-1], interpolation=cv2.INTER_AREA)
        number += 1
    if not number:
        raise ValueError("the mean of no maps: the training images have no masks")
    return (total / number).astype(np.float32).clip(0, 1)


def edge_map(photograph: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
    """Where the photograph has contours, as an edge detector sees it and no network.

    Grey values at the size of the masks (by area), blurred by a Gaussian of 1/200 of the shorter
    side, magnitude of the Sobel gradient, normalised.

    Args:
        photograph: (H, W, 3) uint8, RGB.
        size: (H, W) of the masks.

    Returns:
        (H, W) float32 in [0, 1]; all zero for a photograph of one colour.

    Raises:
        ValueError: not (H, W, 3) uint8.
    """
    if photograph.ndim != 3 or photograph.shape[2] != 3 or photograph.dtype != np.uint8:
        raise ValueError(f"not (H, W, 3) uint8: {photograph.shape} {photograph.dtype}")
    grey = cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY).astype(np.float32)
    grey = cv2.resize(grey, size[::-1], interpolation=cv2.INTER_AREA)
    grey = cv2.GaussianBlur(grey, (0, 0), min(size) / 200)
    across, down = (cv2.Sobel(grey, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    # cv2.magnitude rounds by where in memory a pixel lies: the same image would score otherwise.
    return normalise(np.sqrt(across * across + down * down))
