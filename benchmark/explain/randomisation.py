"""Whether a map depends on what the network learnt: weights are randomised from the top layer down.

Any explainer's maps will do; how well they agree with experts is the business of the tasks.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from architectures.network import Network

# Quarters of the backbone's weighted layers that each stage randomises, besides the head.
_STAGES = {"head": 0, "last quarter": 1, "last half": 2, "last three quarters": 3, "all": 4}


@dataclass(frozen=True)
class Cascade:
    """How maps change while more and more of a network is randomised.

    Attributes:
        stages: R names, what was randomised, from the top layer down.
        shares: (R,) float64 in (0, 1], of the network's weights and statistics.
        similarity: (R, M) float64 in [-1, 1], each image's map against the trained network's:
            `rank_correlation`, NaN where one of the two is constant.
    """

    stages: tuple[str, ...]
    shares: NDArray[np.float64]
    similarity: NDArray[np.float64]


def cascade(network: Network, explain: Callable[[Network], np.ndarray], seed: int) -> Cascade:
    """Cascading parameter randomisation of Adebayo et al. 2018 (arXiv 1810.03292).

    A map that stays the same shows the image, not what the network learnt. They go on layer by
    layer; we take five stages: the head, then with it the last quarter, half, three quarters and
    all of the backbone's weighted layers, in the order of `Network.base_slots`. Values and
    BatchNormalization statistics become those of a new network, `Network.initialise`; what scales
    the input stays. The network is as it was when this returns or fails.

    Args:
        network: a trained network.
        explain: makes the maps, (M, h, w), of the same images and classes at every call.
        seed: of the random weights, the same ones at each stage.

    Raises:
        ValueError: the maps are not (M, h, w).
    """
    layers = [
        [slot.name for slot in slots]
        for row, slots in network.base_slots()
        if row.kind != "normalization"
    ]
    head = [slot.name for slot in network.head_slots()]
    trained = network.tensors()
    whole = sum(trained[name].size for layer in (*layers, head) for name in layer)
    shares, similarity = [], []
    try:
        reference = explain(network)
        network.initialise(seed)
        drawn = network.tensors()
        for quarters in _STAGES.values():
            kept = len(layers) - -(-len(layers) * quarters // 4)
            names = [name for layer in (*layers[kept:], head) for name in layer]
            network.assign(trained | {name: drawn[name] for name in names})
            similarity.append(rank_correlation(reference, explain(network)))
            shares.append(sum(trained[name].size for name in names) / whole)
    finally:
        network.assign(trained)
    return Cascade(tuple(_STAGES), np.array(shares), np.stack(similarity))


def rank_correlation(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Spearman's rank correlation over the pixels of each pair of maps, ties at their mean rank.

    Args:
        first: (M, h, w).
        second: (M, h, w).

    Returns:
        (M,) float64 in [-1, 1]; NaN where a map is constant or not a number somewhere.

    Raises:
        ValueError: the maps are not (M, h, w), or differ in shape.
    """
    a, b = np.asarray(first), np.asarray(second)
    if a.ndim != 3 or a.shape != b.shape:
        raise ValueError(f"maps must be (M, h, w) and alike, not {a.shape} and {b.shape}")
    x, y = (_centred_ranks(maps.reshape(len(maps), -1)) for maps in (a, b))
    scale = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    undefined = np.full(len(x), np.nan)
    # Rounding can leave the range by an ulp.
    return np.clip(np.divide((x * y).sum(axis=1), scale, out=undefined, where=scale > 0), -1, 1)


def _centred_ranks(pixels: np.ndarray) -> NDArray[np.float64]:
    ranks = rankdata(pixels, axis=1)
    return ranks - ranks.mean(axis=1, keepdims=True)
