"""Images whose class is plain to see."""

from pathlib import Path

import numpy as np
from PIL import Image

from benchmark.data.pipeline import Samples


def three_classes(side: int) -> Samples:
    """Three classes, 14:6:4, told apart by colour."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [14, 6, 4])
    pixels = rng.integers(0, 120, (24, side, side, 3))
    for label in range(3):
        pixels[labels == label, ..., label] += 120
    return Samples(pixels.astype(np.uint8), np.arange(24), labels)


def write_folder(folder: Path, side: int) -> None:
    """The same kind of images, eight of each class, as a folder per class."""
    samples = three_classes(side)
    for label in range(3):
        (folder / f"class-{label}").mkdir(parents=True)
        rows = np.resize(np.flatnonzero(samples.labels == label), 8)
        for number, row in enumerate(rows):
            # Moved, so that no two files are copies.
            pixels = np.roll(samples.pixels[row], number, axis=(0, 1))
            Image.fromarray(pixels).save(folder / f"class-{label}" / f"{number}.png")
