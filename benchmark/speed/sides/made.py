"""Images that are made for the measurements: as large as ISIC's, of nobody."""

from pathlib import Path

import cv2
import numpy as np

# Of ISIC 2018, task 3: 600 x 450 pixels.
WIDTH, HEIGHT = 600, 450
CLASSES = 7
_QUALITY = 95


def pixels(count: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """(N, H, W, 3) uint8: smooth colours under fine noise, so that JPEG has something to do."""
    generator = np.random.default_rng(seed)
    found = np.empty((count, height, width, 3), np.uint8)
    for image in found:
        coarse = generator.integers(90, 230, (6, 8, 3)).astype(np.float32)
        smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        noise = generator.normal(0, 20, (height, width, 3)).astype(np.float32)
        image[:] = np.clip(smooth + cv2.GaussianBlur(noise, (0, 0), 0.8), 0, 255)
    return found


def labels(count: int) -> np.ndarray:
    """(N,) int64: the classes in turn."""
    return np.arange(count) % CLASSES


def files(folder: Path, count: int, height: int = HEIGHT, width: int = WIDTH) -> list[Path]:
    """JPEG files below a folder for each class, in the order of `labels`."""
    paths = []
    for number, label in enumerate(labels(count)):
        path = folder / f"class-{label}" / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        (image,) = pixels(1, height, width, seed=number)
        cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        paths.append(path)
    return paths


def facts(paths: list[Path]) -> dict[str, str]:
    """What there is to know of the files."""
    mean = sum(path.stat().st_size for path in paths) / len(paths)
    return {"JPEG": f"{mean / 1000:.0f} kB each, quality {_QUALITY}"}
