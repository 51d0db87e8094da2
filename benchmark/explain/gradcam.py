"""Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391) at the layer the catalogue names."""

from collections.abc import Iterator

import numpy as np

from architectures.network import Network


def gradcam_maps(
    network: Network, batches: Iterator[np.ndarray], targets: np.ndarray
) -> np.ndarray:
    """The maps of many images, batch by batch.

    Args:
        network: a trained network.
        batches: images (B, H, W, 3) uint8 RGB, in the order of `targets`.
        targets: (N,) int64, the class whose logit is differentiated.

    Returns:
        (N, h, w) float32, ReLU(sum_k mean_ij(dy/dA_k) A_k), not normalised; a map is zero
        everywhere where no channel speaks for the class.
    """
    parts: list[np.ndarray] = []
    seen = 0
    for images in batches:
        parts.append(network.gradcam(images, targets[seen : seen + len(images)]))
        seen += len(images)
    return np.concatenate(parts)
