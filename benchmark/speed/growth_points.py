"""One point of a growth curve, measured in this process: `python -m ... NAME SIZE`, one JSON line.

Each function here prepares a point: it imports and makes what is needed, and gives the work, which
alone is measured. `growth` has the curves and starts the processes.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmark.records.environment import MemoryWatch
from benchmark.speed import growth_made as made
from benchmark.speed.growth import Curve, named
from benchmark.speed.sides.made import pixels

# What is measured, and facts about what it was done with.
Work = tuple[Callable[[], Any], dict[str, float]]
_ARCH, _SIDE, _BATCH = "MobileNetV2", 72, 8
_SCORED, _SCORED_CLASSES, _MASKED = 1000, 6, 40


def main(name: str, size: str) -> None:
    """Measure a point of the curve of this name and print its fields."""
    curve = named(name)
    module, _, function = curve.point.partition(":")
    with TemporaryDirectory(prefix="growth-") as scratch:
        work, facts = getattr(import_module(module), function)(int(size), Path(scratch))
        print(json.dumps(_timed(curve, work) | {"facts": facts}))


def training_run(images: int, scratch: Path) -> Work:
    """A run of one epoch on so many images, from their files to the record."""
    from benchmark.run import run

    def once(data: Path) -> None:
        run(
            *(_ARCH, "diagnosis"),
            dataset="folder",
            data_dir=data,
            image_size=_SIDE,
            epochs=1,
            out=scratch / "results",
        )

    # A small one, for all that is imported on the way.
    made.folder(scratch / "few", 40)
    made.folder(scratch / "data", images)
    once(scratch / "few")
    return lambda: once(scratch / "data"), {}


def search_for_copies(images: int, scratch: Path) -> Work:
    """Every two of so many images compared, as before a data set is divided."""
    from benchmark.data import copies

    every = pixels(images, copies.SMALLEST, copies.SMALLEST)

    def work() -> Any:
        thumbnails = copies.thumbnails(every, range(images))
        return copies.find(thumbnails, thumbnails)

    return work, {"pixel_bytes": every.nbytes}


def training_step(side: int, scratch: Path) -> Work:
    """One step of cross-entropy on images of this side."""
    from benchmark.config import configure
    from benchmark.methods.base import Context, Stage
    from benchmark.registry import METHODS

    engine = _engine(side)
    recipe = configure(_ARCH, "diagnosis", image_size=side).recipe
    batch = made.batch(_BATCH, side)
    classes = tuple(map(str, range(made.CLASSES)))
    context = Context(batch.labels, classes, recipe, engine.network.width)
    method = METHODS.get("cross-entropy")
    (stage,) = method(method.Options()).stages(context)
    assert isinstance(stage, Stage)
    engine.begin(stage)

    # The loss is looked at, so that an accelerator has finished the step.
    return lambda: float(engine.train_step(batch, recipe.learning_rate)), {}


def prediction(side: int, scratch: Path) -> Work:
    """Probabilities of a batch of images of this side."""
    engine = _engine(side)
    images = pixels(_BATCH, side, side)
    return lambda: engine.predict(iter([images])), {}


def scores_of_classes(classes: int, scratch: Path) -> Work:
    """Scores with intervals over so many classes."""
    return _scores(_SCORED, classes)


def scores_of_images(images: int, scratch: Path) -> Work:
    """Scores with intervals over so many test images."""
    return _scores(images, _SCORED_CLASSES)


def overlaps_of_masks(annotators: int, scratch: Path) -> Work:
    """The agreement of so many annotators, each with a mask of every image."""
    from benchmark.raters import raters

    dataset = made.masked(scratch / "masks", _MASKED, annotators)
    return lambda: raters(dataset), {"pairs": annotators * (annotators - 1) / 2}


def leaderboard(records: int, scratch: Path) -> Work:
    """The first board of so many records: tables, pages, plots and site."""
    from benchmark.leaderboard import build

    made.records(scratch / "warm", 1)
    build(scratch / "warm")
    written = made.records(scratch / "results", records)
    return lambda: build(scratch / "results"), {"bytes_per_record": written / records}


def _scores(images: int, classes: int) -> Work:
    from benchmark.metrics import classification, statistics

    labels, probabilities, groups = made.judged(images, classes)

    def work() -> list[tuple[float, float]]:
        weights = statistics.group_weights(groups)
        classification.scores(labels, probabilities)
        found = classification.resampled(labels, probabilities, weights)
        return [statistics.interval(each) for each in found.values()]

    return work, {}


def _engine(side: int) -> Any:
    import architectures
    from benchmark.training.frameworks import make_engine, select_backend

    select_backend("torch")
    network = architectures.build(_ARCH, "torch", made.CLASSES, image_size=side)
    return make_engine(network, "auto", 0)


def _timed(curve: Curve, work: Callable[[], Any]) -> dict[str, float]:
    seconds, cpu_seconds = [], []
    with MemoryWatch() as memory:
        if curve.repeats > 1:
            work()
        for _ in range(curve.repeats):
            started, started_cpu = time.perf_counter(), time.process_time()
            work()
            cpu_seconds.append(time.process_time() - started_cpu)
            seconds.append(time.perf_counter() - started)
    return {
        "seconds": median(seconds),
        "cpu_seconds": median(cpu_seconds),
        "anonymous_bytes": memory.peak,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
