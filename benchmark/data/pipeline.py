"""Batches of augmented pixels, byte-identical for both frameworks and any number of workers.

Grain moves the data; the order and every random draw are ours: one numpy generator per epoch and
drawn image, seeded by their numbers, so nothing depends on which thread came first. What
an augmentation does to an image is the business of `augment`.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.common.threads import available
from benchmark.data.augment import augment
from benchmark.recipe import Augmentation

# Grain looks for jax's profiler when it is imported and warns that it is not there.
logging.getLogger("absl").setLevel(logging.ERROR)
import grain  # noqa: E402

# Random numbers that order an epoch, and those that augment its images; the training loop's own
# are 2 and 3.
LABELLED_STREAM, UNLABELLED_STREAM = (0, 1), (4, 5)
# Within the ordering streams: the one that draws classes. A permutation's seed ends before it.
_BY_CLASS = 1
_NEUTRAL = Augmentation()


@dataclass(frozen=True)
class Samples:
    """Images of one part of a split.

    Attributes:
        pixels: (M, H, W, 3) uint8 RGB of the whole data set, usually memory-mapped.
        rows: (N,) int64, which rows of `pixels` belong to this part.
        labels: (N,) int64; of several diseases (N, D), UNLABELLED where not known.
    """

    pixels: np.ndarray
    rows: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


def workers() -> int:
    """Threads that decode and augment: one per core, at most 16."""
    return min(available(), 16)


def training_batches(
    samples: Samples,
    views: Sequence[Augmentation],
    batch_size: int,
    seed: int,
    epoch: int,
    class_shares: np.ndarray | None = None,
    count: int | None = None,
    stream: tuple[int, int] = LABELLED_STREAM,
    threads: int | None = None,
    first: int = 0,
) -> Iterator[tuple[tuple[np.ndarray, ...], np.ndarray]]:
    """One epoch of random batches: ((images, ...), places), one array of images for each view.

    Images are (B, H, W, 3) uint8, places (B,) int64 among the samples; views of a position show
    the same image, and a neutral augmentation leaves it as it is. A last batch that is not full is
    dropped, unless it is the only one: BatchNorm statistics of a few images would be noise (ours).

    Args:
        samples: N of them.
        views: the augmentation of each view; none: places come without images.
        batch_size: B.
        seed: of the run.
        epoch: counted from 0; with `seed` it fixes every byte.
        class_shares: (K,) float64 probabilities: images are drawn with replacement, first the class
            by these shares, then one of its images, all alike; None: every image once.
        count: how many images an epoch has; more than N: every image comes again before any comes
            once more. None: N.
        stream: which random numbers, `LABELLED_STREAM` or `UNLABELLED_STREAM`.
        threads: workers; None: one per core.
        first: how many of its batches are left out; those after them are what they would be.

    Raises:
        ValueError: the shares are no distribution over the classes, or give some to a class that
            has no image.
    """
    ordering, augmenting = stream
    count = len(samples) if count is None else count
    if class_shares is None:
        generator = np.random.default_rng((seed, epoch, ordering))
        passes = -(-count // len(samples))
        order = np.concatenate([generator.permutation(len(samples)) for _ in range(passes)])[:count]
    else:
        generator = np.random.default_rng((seed, epoch, ordering, _BY_CLASS))
        order = _draw_by_class(samples.labels, class_shares, count, generator)
    repeats = _earlier_draws(order)

    def example(position: int) -> tuple[tuple[np.ndarray, ...], int]:
        sample, repeat = int(order[position]), int(repeats[position])
        if not views:
            return (), sample
        image = np.ascontiguousarray(samples.pixels[samples.rows[sample]])

        def view(number: int, ranges: Augmentation) -> np.ndarray:
            if ranges == _NEUTRAL:
                return image
            # A first draw's first view needs no further numbers: it is the usual single one.
            further = (repeat, number) if repeat or number else ()
            generator = np.random.default_rng((seed, epoch, augmenting, sample, *further))
            return augment(image, ranges, generator)

        shown = tuple(view(number, ranges) for number, ranges in enumerate(views))
        return shown, sample

    examples = grain.MapDataset.range(first * batch_size, len(order)).map(example)
    batches = examples.batch(batch_size, drop_remainder=len(order) >= batch_size)
    return iter(batches.to_iter_dataset(_read_options(threads)))


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


def _draw_by_class(
    labels: np.ndarray, shares: np.ndarray, count: int, generator: np.random.Generator
) -> np.ndarray:
    """Positions in `labels` (N,), drawn with replacement: (count,) int64."""
    counts = np.bincount(labels, minlength=len(shares))
    if len(counts) > len(shares):
        raise ValueError(f"{len(shares)} class shares, but a label of {len(counts) - 1}")
    for number in np.flatnonzero((counts == 0) & (shares > 0)):
        raise ValueError(f"class {number} has a share of {shares[number]:g} but no image")
    classes = generator.choice(len(shares), size=count, p=shares)
    grouped = np.argsort(labels, kind="stable")
    first = np.cumsum(counts) - counts
    return grouped[first[classes] + generator.integers(counts[classes])]


def _earlier_draws(order: np.ndarray) -> np.ndarray:
    """For each position of `order`, how often its value came before: (N,) int64."""
    grouped = np.argsort(order, kind="stable")
    _, first, counts = np.unique(order[grouped], return_index=True, return_counts=True)
    earlier = np.empty_like(order)
    earlier[grouped] = np.arange(len(order)) - np.repeat(first, counts)
    return earlier


def _read_options(threads: int | None) -> grain.ReadOptions:
    count = workers() if threads is None else threads
    return grain.ReadOptions(num_threads=count, prefetch_buffer_size=max(2 * count, 16))
