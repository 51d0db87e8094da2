"""Our predictions of a test set, from decoded pixels to probabilities."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.data import load
from benchmark.data.dataset import Dataset
from benchmark.speed.sides import made, nets
from benchmark.speed.sides.pipeline import samples_of
from benchmark.speed.worker import Prepared
from benchmark.training.loop import predict


def ours(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """`benchmark.training.loop.predict`."""
    samples = samples_of(test_set(settings, scratch), settings["size"])
    engine = nets.engine(settings)
    return Prepared(lambda: predict(engine, samples, None, nets.SEED), facts=engine.device())


def test_set(settings: Mapping[str, Any], scratch: Path) -> Dataset:
    """Files of the network's own size, so that nobody's resizing decides the result."""
    folder = scratch / "images"
    made.files(folder, settings["images"], settings["size"], settings["size"])
    return load("folder", folder)
