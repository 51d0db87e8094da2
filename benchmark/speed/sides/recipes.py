"""The recipe that all sides of a work share."""

from collections.abc import Mapping
from typing import Any

from benchmark.config import configure
from benchmark.recipe import Recipe

# More than are ever measured: the learning rate hardly falls.
_EPOCHS = 10_000


def recipe(settings: Mapping[str, Any]) -> Recipe:
    """What `run` takes unless told otherwise; the peers have its optimiser and rate too."""
    usual = configure(settings["arch"], "diagnosis", framework=settings["framework"]).recipe
    return usual.model_copy(update={"epochs": _EPOCHS, "batch_size": settings["batch"]})
