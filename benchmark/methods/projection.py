"""The head that maps features for a contrastive loss, and is then discarded: D-D-128 with ReLU."""

from typing import Any

import numpy as np

from architectures.initial import draw
from benchmark.methods.base import Tensor

PROJECTION = 128


def initial_mapping(features: int, seed: int) -> dict[str, np.ndarray]:
    """The mapping head's first weights, Glorot uniform as all of ours, in either framework."""
    generator = np.random.default_rng((seed, features, PROJECTION))
    shapes = {"hidden": (features, features), "out": (features, PROJECTION)}
    found = {}
    for name, shape in shapes.items():
        found[f"{name}/kernel"] = draw("kernel", shape, "glorot", generator)
        found[f"{name}/bias"] = draw("bias", shape[1:], "glorot", generator)
    return found


def mapped_views(features: Tensor, parameters: Any, views: int) -> Tensor:
    """Features (V * M, D), one view of all images after the other, to embeddings (M, V, 128).

    They are not yet normalised: the loss does that.
    """
    from keras import ops

    hidden = ops.matmul(features, parameters["hidden/kernel"]) + parameters["hidden/bias"]
    mapped = ops.matmul(ops.relu(hidden), parameters["out/kernel"]) + parameters["out/bias"]
    return ops.transpose(ops.reshape(mapped, (views, -1, PROJECTION)), (1, 0, 2))
