"""What decoupled methods share: a new linear classifier on an encoder that is left as it is."""

from collections.abc import Callable

import numpy as np
from pydantic import Field

from benchmark import config
from benchmark.methods.base import Batch, Context, Stage, Tensor, Trainee

_SHARE = 4


class ClassifierOptions(config.Options):
    """Of the second stage."""

    classifier_epochs: int | None = Field(
        None, ge=1, description=f"none: 1/{_SHARE} of the run's, rounded up (ours)"
    )
    classifier_rate: float | None = Field(
        None, gt=0, description="learning rate; none: the run's (ours)"
    )


def classifier_stage(
    context: Context,
    options: ClassifierOptions,
    loss: Callable[[Trainee, Batch], Tensor],
    freeze: str = "backbone",
    class_shares: np.ndarray | None = None,
) -> Stage:
    """The second stage: the head is drawn anew and is all that is trained."""
    recipe = context.recipe
    settings = {
        "epochs": options.classifier_epochs or -(-recipe.epochs // _SHARE),
        "learning_rate": options.classifier_rate or recipe.learning_rate,
        "warmup_epochs": 0.0,
        "freeze": freeze,
    }
    return Stage(
        "classifier",
        loss,
        recipe.model_copy(update=settings),
        class_shares=class_shares,
        new_head=True,
    )
