"""Weights and images drawn from a seed in numpy alone, so that both frameworks get the same ones.

`keras_reference.npz` holds what Keras makes of them. No framework is imported here.
"""

import hashlib
from collections.abc import Iterable

import numpy as np

from architectures.network import Network

SEED = 20

# (height, width) in pixels, by name. An even and an odd rectangle, as a fault of padding hides at
# one parity. Every architecture takes both; the largest least size is the Inceptions', 139.
SIZES = {"144x160": (144, 160), "145x171": (145, 171)}

# Of every kernel. Sums over branches double the variance block by block where no normalisation of
# the batch undoes it: at 1 the maps grow to 1e6, and biases and padding count for nothing.
_GAINS = {"NASNetMobile": 0.8, "ResNet50": 0.7, "ResNet50V2": 0.7, "Xception": 0.7}

# Of the first kernel as well: after this preprocessing it reads pixels of -128..128, else of -2..2.
_PIXEL_GAINS = {"caffe": 1 / 64}

# EfficientNetB0's input layer as in the published files, whose variance holds the deviation.
_INPUT = {"mean": (0.485, 0.456, 0.406), "variance": (0.229, 0.224, 0.225)}


def images(size: tuple[int, int]) -> np.ndarray:
    """Two images of coloured squares, of 3 and of 16 pixels: (2, height, width, 3) uint8 RGB."""
    height, width = size
    generator = np.random.default_rng([SEED, height, width])
    pair = []
    for side in (3, 16):
        squares = generator.integers(0, 256, (-(-height // side), -(-width // side), 3), np.uint8)
        pair.append(squares.repeat(side, 0).repeat(side, 1)[:height, :width])
    return np.stack(pair)


def weights(network: Network) -> dict[str, np.ndarray]:
    """Values for `network.assign`, float32, drawn by role in the order of `network.tensors()`."""
    generator = np.random.default_rng(SEED)
    row = network.architecture
    pixel_gain, gain = _PIXEL_GAINS.get(row.preprocessing, 1.0), _GAINS.get(row.name, 1.0)
    drawn = {}
    for name, array in network.tensors().items():
        values = _draw(name.rpartition("/")[2], array.shape, generator)
        if name.endswith("kernel"):
            values *= pixel_gain * gain
            pixel_gain = 1.0
        drawn[name] = values.astype(np.float32)
    return drawn


def _draw(role: str, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """Float64 of `shape`, in the Keras layout; nothing is 0 or 1, as new weights are."""
    if role.endswith("kernel"):
        # A depthwise kernel (kh, kw, C, 1) reads one channel.
        fan_in = np.prod(shape[:2] if role == "depthwise_kernel" else shape[:-1])
        return generator.standard_normal(shape) * np.sqrt(2 / fan_in)
    if role in ("beta", "bias"):
        return 0.1 + 0.2 * generator.standard_normal(shape)
    if role == "gamma":
        return generator.uniform(0.6, 1.4, shape)
    if role == "moving_mean":
        return 0.1 * generator.standard_normal(shape)
    if role == "moving_variance":
        return generator.uniform(0.7, 1.4, shape)
    return np.array(_INPUT[role])


def digest(arrays: Iterable[np.ndarray]) -> str:
    """SHA-256 of the values, in order."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array))
    return found.hexdigest()
