"""An epoch of our training: the loop, the pipeline and the default recipe of a run."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.common.progress import SilentDisplay
from benchmark.data import load
from benchmark.methods.base import Stage, on_logits
from benchmark.speed.sides import made, nets
from benchmark.speed.sides.pipeline import samples_of
from benchmark.speed.sides.recipes import recipe
from benchmark.speed.worker import Prepared
from benchmark.training.batches import StageData
from benchmark.training.loop import StageTraining


def ours(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """One epoch of `StageTraining`; nothing is validated, and no checkpoint written.

    Those follow the clock, which goes on while others take their turns.
    """
    from benchmark.methods.losses import cross_entropy

    made.files(scratch / "images", settings["images"])
    samples = samples_of(load("folder", scratch / "images"), settings["size"])
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


def warmed(prepared: Prepared) -> Prepared:
    """With its first time, in which it compiles, told as a fact."""
    started = time.perf_counter()
    prepared.work()
    first = f"{time.perf_counter() - started:.0f} s"
    return replace(prepared, facts={**prepared.facts, "first time": first})


def trained(images: int) -> np.ndarray:
    """How many images were trained on, for all sides do the same number."""
    return np.array([images])
