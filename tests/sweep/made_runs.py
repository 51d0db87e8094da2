"""Runs of which is known what they took, and why: made of factors, for tests of what is told."""

from benchmark.sweep.measured import Machine, Measured, StageSeconds
from benchmark.sweep.plan import Asked, planned

HERE = Machine.here(accelerated=False)
NETWORKS = {"MobileNet": 1.0, "MobileNetV2": 1.5, "VGG16": 9.0}
METHODS = {"cross-entropy": 1.0, "supercon": 2.5, "focal": 1.1}
# Seconds of an epoch of 100 x 100 pixels on one data set and the other.
IMAGES = {54: 2.0, 120: 4.0}
# Seconds of training beyond its epochs, of what grows with pixels, and of the rest.
WARM_UP, PREDICTION, START, DATA, SCORE = 6.0, 0.5, 5.0, 1.0, 2.0


def run(arch="MobileNetV2", images=54, **settings):
    """A planned run of the diagnosis task, of 100 x 100 pixels and one epoch."""
    usual = {"task": "diagnosis", "budget": "smoke", "image_size": 100, "device": "cpu"}
    return planned(Asked(arch=arch, dataset_options={"images": images}, **{**usual, **settings}))


def seconds(run):
    """What it takes from start to end."""
    one = measured(run)
    return one.wall


def measured(run, machine=HERE, wall=True, first=True):
    """What is known when it is done, by its seed as its id."""
    config = run.config
    height, width = config.image_size
    grown = height * width / 10_000
    network, images = NETWORKS[config.arch], IMAGES[config.dataset_options["images"]]
    warm_up = WARM_UP * network
    epoch = network * METHODS[config.method] * images * grown
    epochs = config.recipe.epochs
    parts = {
        "data": DATA,
        "training": warm_up + epochs * epoch,
        "prediction": PREDICTION * network * images * grown,
        "score": SCORE,
    }
    total = warm_up + epochs * epoch
    first_epoch = warm_up + epoch if first and epochs > 1 else None
    return Measured(
        run_id=f"{run.id}-{machine.processor}",
        config=config.public(),
        processor=machine.processor,
        accelerated=machine.accelerated,
        seconds=parts,
        stages=(StageSeconds(epochs=epochs, total=total, first=first_epoch),),
        wall=START + sum(parts.values()) if wall else None,
    )
