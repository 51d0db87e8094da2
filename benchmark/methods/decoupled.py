"""What decoupled methods share: a new linear classifier on an encoder that is left as it is."""

from collections.abc import Callable
from math import ceil
from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from benchmark import config
from benchmark.methods.base import Batch, Context, Stage, Tensor, Trainee
from benchmark.recipe import Recipe


class ClassifierOptions(config.Options):
    """Of the second stage; a run's configuration has both as numbers."""

    # Of the run's epochs.
    share: ClassVar[float] = 0.25

    classifier_epochs: int | None = Field(
        None, ge=1, description="a quarter of the run's, rounded up, where none are given (ours)"
    )
    classifier_rate: float | None = Field(
        None, gt=0, description="learning rate; the run's where none is given (ours)"
    )

    def settled(self, recipe: Recipe) -> Self:
        """With the numbers that follow from the run's recipe."""
        numbers = {
            "classifier_epochs": self.classifier_epochs or ceil(self.share * recipe.epochs),
            "classifier_rate": self.classifier_rate or recipe.learning_rate,
        }
        return self.model_copy(update=numbers)


def classifier_stage(
    context: Context,
    options: ClassifierOptions,
    loss: Callable[[Trainee, Batch], Tensor],
    freeze: str = "backbone",
    class_shares: np.ndarray | None = None,
) -> Stage:
    """The second stage: the head is drawn anew and is all that is trained."""
    recipe, options = context.recipe, options.settled(context.recipe)
    settings = {
        "epochs": options.classifier_epochs,
        "learning_rate": options.classifier_rate,
        # Steps that suit the first stage's epochs would come at once in so few.
        "schedule": recipe.schedule if recipe.schedule == "cosine" else "constant",
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
