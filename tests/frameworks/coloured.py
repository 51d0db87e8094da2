"""Images whose class is plain to see."""

import numpy as np

from benchmark.data.pipeline import Samples


def three_classes(side: int) -> Samples:
    """Three classes, 14:6:4, told apart by colour."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [14, 6, 4])
    pixels = rng.integers(0, 120, (24, side, side, 3))
    for label in range(3):
        pixels[labels == label, ..., label] += 120
    return Samples(pixels.astype(np.uint8), np.arange(24), labels)
