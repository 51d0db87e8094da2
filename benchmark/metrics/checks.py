"""What several metrics ask of what they are given."""

import numpy as np
from numpy.typing import ArrayLike


def labels_and_probabilities(
    labels: ArrayLike, probabilities: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N,) of the classes 0 to C - 1 and probabilities (N, C), as arrays; N is 1 or more.

    Raises:
        ValueError: other shapes, no image, or labels that are no integers or no classes.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if labels.ndim != 1 or probabilities.ndim != 2 or len(labels) != len(probabilities):
        raise ValueError(
            f"labels must be (N,) and probabilities (N, C), not {labels.shape} and"
            f" {probabilities.shape}"
        )
    if not len(labels):
        raise ValueError("no image to score")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels must be integers, not {labels.dtype}")
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise ValueError(f"labels must be in [0, {probabilities.shape[1]})")
    return labels, probabilities
