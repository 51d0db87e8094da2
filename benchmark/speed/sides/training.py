"""An epoch of our training: the loop, the pipeline and the default recipe of a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.config import configure
from benchmark.data import load
from benchmark.data.pipeline import Samples
from benchmark.data.pixels import open_pixels
from benchmark.methods.base import Stage, on_logits
from benchmark.progress import SilentDisplay
from benchmark.recipe import Recipe
from benchmark.speed.sides import made, nets
from benchmark.speed.worker import Prepared
from benchmark.training.batches import StageData
from benchmark.training.loop import StageTraining

# More than are ever measured: the learning rate hardly falls.
_EPOCHS = 10_000


def recipe(settings: Mapping[str, Any]) -> Recipe:
    """What `run` takes unless told otherwise; the peers have its optimiser and rate too."""
    usual = configure(settings["arch"], "diagnosis", framework=settings["framework"]).recipe
    return usual.model_copy(update={"epochs": _EPOCHS, "batch_size": settings["batch"]})


def ours(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """One epoch of `StageTraining`; nothing is validated, and no checkpoint written.

    Those follow the clock, which goes on while others take their turns.
    """
    from benchmark.methods.losses import cross_entropy

    samples = _samples(settings, scratch)
    engine = nets.engine(settings)
    stage = Stage("train", on_logits(cross_entropy), recipe(settings), choose=False)
    engine.begin(stage)
    data = StageData.of(stage, samples, None)
    checkpoint = scratch / "checkpoint.safetensors"
    training = StageTraining(engine, stage, data, nets.SEED, checkpoint, SilentDisplay())

    def work() -> int:
        training.epoch(lambda: 0.0)
        return int(training.log.epochs[-1]["images"])

    return Prepared(work, trained, facts=engine.device())


def trained(images: int) -> np.ndarray:
    """How many images were trained on, for all sides do the same number."""
    return np.array([images])


def _samples(settings: Mapping[str, Any], scratch: Path) -> Samples:
    made.files(scratch / "images", settings["images"])
    dataset = load("folder", scratch / "images")
    pixels = open_pixels(dataset, settings["size"])
    return Samples(pixels, np.arange(len(pixels)), dataset.table["label"].to_numpy(np.int64))
