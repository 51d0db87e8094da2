"""The network that all sides of a work share: the same weights, layout, device and allocator."""

from collections.abc import Mapping
from typing import Any

import architectures
from benchmark.speed.sides.made import CLASSES
from benchmark.training.engine import Engine
from benchmark.training.frameworks import make_engine

SEED = 0


def engine(settings: Mapping[str, Any]) -> Engine:
    """An engine of the work's architecture, as a run makes it."""
    network = architectures.build(
        settings["arch"],
        settings["framework"],
        CLASSES,
        image_size=settings["size"],
        seed=SEED,
    )
    return make_engine(network, "auto", SEED)
