"""A folder of images that a network learns to tell apart in a moment."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_images(folder: Path, seed: int) -> None:
    """Two classes that differ in brightness, 16 images each."""
    generator = np.random.default_rng(seed)
    for label, (low, high) in {"dark": (0, 160), "light": (96, 256)}.items():
        (folder / label).mkdir(parents=True)
        for number in range(16):
            pixels = generator.integers(low, high, (65, 65, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number:02d}.png")
