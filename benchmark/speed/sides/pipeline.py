"""Our input pipeline: files to augmented batches, when nothing is decoded and when all is."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.data import load
from benchmark.data.dataset import Dataset
from benchmark.data.pipeline import Samples, training_batches
from benchmark.data.pixels import open_pixels
from benchmark.speed.sides import made
from benchmark.speed.sides.recipes import recipe
from benchmark.speed.worker import Prepared

# Of the other sides.
WORKERS = 2
# The recipe's augmentation is that of every architecture.
_ARCH: Mapping[str, Any] = {"arch": "ResNet50", "framework": "torch"}


@dataclass(frozen=True)
class Loading(Prepared):
    """A pass over batches of another side, and these: images (B, ...) and labels (B,)."""

    batches: Any = None


def first(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """The files are read, hashed, decoded and kept, then augmented."""
    paths = made.files(scratch / "images", settings["images"])
    cache = scratch / "cache"
    epochs = count()

    def work() -> int:
        shutil.rmtree(cache, ignore_errors=True)
        os.environ["DERMBENCH_CACHE"] = str(cache)
        samples = samples_of(load("folder", scratch / "images"), settings["size"])
        return _epoch(samples, settings, next(epochs))

    return Prepared(work, np.atleast_1d, facts=made.facts(paths))


def later(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """What was decoded is augmented."""
    made.files(scratch / "images", settings["images"])
    os.environ["DERMBENCH_CACHE"] = str(scratch / "cache")
    samples = samples_of(load("folder", scratch / "images"), settings["size"])
    epochs = count()
    return Prepared(lambda: _epoch(samples, settings, next(epochs)), np.atleast_1d)


def samples_of(dataset: Dataset, size: int) -> Samples:
    """All images of a data set, decoded to squares of this side."""
    pixels = open_pixels(dataset, size)
    return Samples(pixels, np.arange(len(pixels)), dataset.table["label"].to_numpy(np.int64))


def _epoch(samples: Samples, settings: Mapping[str, Any], number: int) -> int:
    """Images of an epoch's batches."""
    views = (recipe({**settings, **_ARCH}).augmentation,)
    batches = training_batches(samples, views, settings["batch"], 0, number)
    return sum(len(places) for _, places in batches)
