"""How weights are drawn before training: Keras' initialisers, in numpy, for both frameworks."""

import math

import numpy as np

from architectures.architecture import Architecture
from architectures.weights import Row

_ZEROS = ("bias", "beta", "moving_mean")
_ONES = ("gamma", "moving_variance")

# keras.applications.EfficientNetB0 has input layers; `weights=None` leaves them at mean 0 and
# variance 1. We give a new network the ImageNet values that its published weights were made for.
_INPUT = {"mean": (0.485, 0.456, 0.406), "variance": (0.229, 0.224, 0.225)}

# Standard deviation of a unit normal cut at two standard deviations.
_TRUNCATED_DEVIATION = 0.87962566103423978


def draw(
    role: str, shape: tuple[int, ...], initialiser: str, generator: np.random.Generator
) -> np.ndarray:
    """Values for one weight, float32 of `shape`.

    Args:
        role: what the weight is, see `network.Slot`.
        shape: in the Keras layout.
        initialiser: of kernels: "glorot" (uniform, Keras' default), "he" (truncated normal of
            variance 2/fan-in) or "fan-out" (truncated normal of variance 2/fan-out).
        generator: where the draws come from.
    """
    if role in _ZEROS:
        return np.zeros(shape, np.float32)
    if role in _ONES:
        return np.ones(shape, np.float32)
    if role in _INPUT:
        return np.array(_INPUT[role], np.float32)
    # Keras counts a depthwise kernel (kh, kw, C, 1) as one with C inputs and 1 output.
    field = math.prod(shape[:-2])
    fan_in, fan_out = field * shape[-2], field * shape[-1]
    if initialiser == "glorot":
        limit = math.sqrt(6 / (fan_in + fan_out))
        return generator.uniform(-limit, limit, shape).astype(np.float32)
    fan = fan_in if initialiser == "he" else fan_out
    deviation = math.sqrt(2 / fan) / _TRUNCATED_DEVIATION
    return (deviation * _truncated_normal(shape, generator)).astype(np.float32)


def initialiser(architecture: Architecture, row: Row) -> str:
    """How keras.applications draws the kernels of one layer of the backbone, for `draw`."""
    if architecture.initialiser == "efficientnet":
        return "fan-out"
    # keras.applications.nasnet: he_normal for convolutions, Keras' default for separable ones.
    if architecture.initialiser == "nasnet" and row.kind == "conv":
        return "he"
    return "glorot"


def _truncated_normal(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    values = generator.standard_normal(shape)
    while (outside := np.abs(values) > 2).any():
        values[outside] = generator.standard_normal(int(outside.sum()))
    return values
