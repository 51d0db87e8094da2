"""Batches of augmented pixels, byte-identical for both frameworks and any number of workers.

Grain moves the data; the order and every random draw are ours: one numpy generator per image and
epoch, seeded by (seed, epoch, position), so nothing depends on which thread came first.
"""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from benchmark.config import Augmentation

# Grain looks for jax's profiler when it is imported and warns that it is not there.
logging.getLogger("absl").setLevel(logging.ERROR)
import grain  # noqa: E402

_BORDERS = {"reflect": cv2.BORDER_REFLECT_101, "nearest": cv2.BORDER_REPLICATE}
# Separates the stream that orders an epoch from the streams that augment its images.
_ORDER, _AUGMENT = 0, 1


@dataclass(frozen=True)
class Samples:
    """Images of one part of a split.

    Attributes:
        pixels: (M, H, W, 3) uint8 RGB of the whole data set, usually memory-mapped.
        rows: (N,) int64, which rows of `pixels` belong to this part.
        labels: (N,) int64.
    """

    pixels: np.ndarray
    rows: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


def workers() -> int:
    """Threads that decode and augment: one per core, at most 16."""
    return min(os.cpu_count() or 1, 16)


def training_batches(
    samples: Samples,
    augmentation: Augmentation,
    batch_size: int,
    seed: int,
    epoch: int,
    threads: int | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """One epoch of shuffled, augmented batches: images (B, H, W, 3) uint8, labels (B,) int64.

    A last batch that is not full is dropped, unless it is the only one: BatchNorm statistics of a
    few images would be noise (ours).
    """
    order = np.random.default_rng((seed, epoch, _ORDER)).permutation(len(samples))

    def example(position: int) -> tuple[np.ndarray, np.int64]:
        sample = order[position]
        generator = np.random.default_rng((seed, epoch, _AUGMENT, int(sample)))
        image = augment(samples.pixels[samples.rows[sample]], augmentation, generator)
        return image, samples.labels[sample]

    stream = grain.MapDataset.range(len(order)).map(example)
    stream = stream.batch(batch_size, drop_remainder=len(order) >= batch_size)
    yield from stream.to_iter_dataset(_read_options(threads))


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Batches that `training_batches` gives for `count` images."""
    return max(count // batch_size, 1)


def plain_batches(
    samples: Samples, batch_size: int, threads: int | None = None
) -> Iterator[np.ndarray]:
    """The images in their own order, not augmented: (B, H, W, 3) uint8; the last may be smaller."""

    def example(position: int) -> np.ndarray:
        return np.ascontiguousarray(samples.pixels[samples.rows[position]])

    stream = grain.MapDataset.range(len(samples)).map(example).batch(batch_size)
    yield from stream.to_iter_dataset(_read_options(threads))


def augment(image: np.ndarray, ranges: Augmentation, generator: np.random.Generator) -> np.ndarray:
    """One random variant of `image`: (H, W, 3) uint8 in and out."""
    height, width = image.shape[:2]
    # Every number is drawn whether or not it is used, so switching one range off leaves the others.
    flip_x, flip_y, turn, lean, zoom_x, zoom_y, light = generator.random(7)
    angle, shear = np.deg2rad([(2 * turn - 1) * ranges.rotation, (2 * lean - 1) * ranges.shear])
    scale_x = 1 + (2 * zoom_x - 1) * ranges.zoom
    scale_y = 1 + (2 * zoom_y - 1) * ranges.zoom
    if ranges.horizontal_flip and flip_x < 0.5:
        scale_x = -scale_x
    if ranges.vertical_flip and flip_y < 0.5:
        scale_y = -scale_y
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = rotation @ np.array([[1, -np.sin(shear)], [0, np.cos(shear)]])
    linear = linear @ np.diag([scale_x, scale_y])
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    warp = np.column_stack([linear, centre - linear @ centre])
    image = cv2.warpAffine(
        image, warp, (width, height), flags=cv2.INTER_LINEAR, borderMode=_BORDERS[ranges.border]
    )
    low, high = ranges.brightness
    factor = low + light * (high - low)
    return image if factor == 1 else cv2.convertScaleAbs(image, alpha=factor)


def _read_options(threads: int | None) -> grain.ReadOptions:
    count = workers() if threads is None else threads
    return grain.ReadOptions(num_threads=count, prefetch_buffer_size=max(2 * count, 16))
