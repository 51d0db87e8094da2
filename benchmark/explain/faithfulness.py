"""Whether the pixels that a map marks are those the network uses: insertion and deletion curves.

Petsiuk, Das and Saenko 2018 (RISE, arXiv 1806.07421). Any explainer's maps will do.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from architectures.network import Network
from benchmark.metrics import maps as heatmaps

STEPS = 16
"""Equal steps from no pixel to all of them (ours): with both ends shared, 32 images of a batch."""

BLUR = 1 / 3
"""Standard deviation of the Gaussian that hides an image, as a share of each side (ours).

Lesions are large: on 300 dermatoscopic photographs of HAM10000 with lesion masks, brought to
224x224, the median of the distance between the mean colours of lesion and skin that outlasts it is
0.10 of the image's own. A deviation of 5 pixels leaves 0.98 of it.
"""

_TIES_SEED = 0


class Curves(NamedTuple):
    """Probabilities of one class per image while its most relevant pixels come or go.

    Attributes:
        shares: (S,) float64, 0 to 1, of the pixels, the most relevant first.
        insertion: (M, S) float32 in [0, 1]: they are put into the blurred image.
        deletion: (M, S) float32 in [0, 1]: they are blurred in the image.
    """

    shares: NDArray[np.float64]
    insertion: NDArray[np.float32]
    deletion: NDArray[np.float32]


def curves(network: Network, images: np.ndarray, targets: np.ndarray, maps: np.ndarray) -> Curves:
    """Insertion and deletion curves of some images; a good map has a large and a small area.

    Both use one blurred image, where the paper inserts into a blurred image and deletes to a flat
    colour (ours: the two curves share their ends, and no patch of another colour comes in, which on
    skin may pass for a lesion). Maps are upscaled by half-pixel bilinear interpolation. Pixels of
    equal relevance, as in the zero part of a Grad-CAM map, come in a random order that is the same
    for all images of a size (ours): in reading order, a constant map would insert the image from
    the top.

    Args:
        network: a trained network.
        images: (M, H, W, 3) uint8 RGB, of the network's size.
        targets: (M,) int64, the class whose probability is followed.
        maps: (M, h, w) float32, finite; only the order of the upscaled values matters.

    Raises:
        UserError: the images are not of the network's size.
        ValueError: the numbers of images, targets and maps differ, or a map is not finite.
    """
    shares = np.linspace(0, 1, STEPS + 1)
    insertion = np.empty((len(images), len(shares)), np.float32)
    deletion = np.empty_like(insertion)
    for i, (image, target, heatmap) in enumerate(zip(images, targets, maps, strict=True)):
        ranks = _ranks(heatmaps.upscale(heatmap, image.shape[:2], "bilinear"))
        score = _probabilities(network.logits(_blends(image, ranks, shares)))[:, target]
        insertion[i] = score[: len(shares)]
        deletion[i] = [score[STEPS], *score[len(shares) :], score[0]]
    return Curves(shares, insertion, deletion)


def _blends(image: np.ndarray, ranks: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Insertion at all shares, then deletion at all but the first and the last, uint8 RGB."""
    blurred = _blurred(image)
    counts = np.rint(shares * ranks.size)
    taken = (ranks < counts[:, None, None])[..., None]
    return np.concatenate([np.where(taken, image, blurred), np.where(taken[1:-1], blurred, image)])


def _ranks(heatmap: np.ndarray) -> np.ndarray:
    """(H, W) int: 0 at the most relevant pixel, ties in a random order."""
    values = heatmap.ravel()
    shuffled = np.random.default_rng(_TIES_SEED).permutation(values.size)
    ranks = np.empty(values.size, np.int64)
    ranks[shuffled[np.argsort(-values[shuffled], kind="stable")]] = np.arange(values.size)
    return ranks.reshape(heatmap.shape)


def _blurred(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    # In floating point: on uint8 OpenCV rounds the weights to 1/256, of which so wide a kernel has
    # hundreds.
    blurred = cv2.GaussianBlur(
        image.astype(np.float32),
        (0, 0),
        sigmaX=BLUR * width,
        sigmaY=BLUR * height,
        borderType=cv2.BORDER_REFLECT,
    )
    return np.rint(blurred).astype(np.uint8)


def _probabilities(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
