"""Our predictions of a test set, from decoded pixels to probabilities."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.data import load
from benchmark.data.dataset import Dataset
from benchmark.data.pipeline import Samples
from benchmark.data.pixels import open_pixels
from benchmark.speed.sides import made, nets
from benchmark.speed.worker import Prepared
from benchmark.training.loop import PREDICTION_BATCH, predict

__all__ = ["PREDICTION_BATCH", "ours", "test_set"]


def ours(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """`benchmark.training.loop.predict`."""
    dataset = test_set(settings, scratch)
    pixels = open_pixels(dataset, settings["size"])
    rows = np.arange(len(pixels))
    samples = Samples(pixels, rows, dataset.table["label"].to_numpy(np.int64))
    engine = nets.engine(settings)
    return Prepared(lambda: predict(engine, samples, None, nets.SEED), facts=engine.device())


def test_set(settings: Mapping[str, Any], scratch: Path) -> Dataset:
    """Files of the network's own size, so that nobody's resizing decides the result."""
    folder = scratch / "images"
    made.files(folder, settings["images"], settings["size"], settings["size"])
    return load("folder", folder)
