"""What the methods share that learn from two views of an unlabelled image.

Their streams hold every training image, labelled ones too, without its label (as the code of CReST
does; ours for the others).
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from pydantic import Field

from architectures.network import Forward
from benchmark import config
from benchmark.methods import rates
from benchmark.methods.base import Context, Picks, Stage, Teacher, Tensor, Trainee, on_logits
from benchmark.recipe import Augmentation, Recipe

# Draws what the loss gets with each batch: see `Stage.inputs`.
Inputs = Callable[[int, int, np.random.Generator], dict[str, np.ndarray]]


class StreamOptions(config.Options):
    """Of the stream of images without labels."""

    unlabelled_ratio: int = Field(
        1,
        ge=1,
        description="images without labels per labelled one in a batch (default of CReST's code)",
    )


def together(network: Trainee, *groups: Tensor) -> list[Forward]:
    """What the network says of several groups of images, (N_i, H, W, 3) each, in a single pass.

    In it BatchNorm normalises all groups by the statistics of their union, and its running
    statistics are of that union too; where memory is short, by those of parts with a share of each.
    """
    from keras import ops

    found = network(ops.concatenate(groups))
    ends = np.cumsum([group.shape[0] for group in groups])[:-1].tolist()
    features, logits = ops.split(found.features, ends), ops.split(found.logits, ends)
    return [Forward(*group) for group in zip(features, logits, strict=True)]


def ramped(weight: float, length: float, recipe: Recipe, start: float = 0.0) -> Inputs:
    """Gives the loss a `weight`, (1,) float32: `rates.sigmoid_rampup` of the epoch.

    Args:
        weight: the largest.
        length: of the ramp, which begins with the first epoch, as a share of the epochs.
        recipe: of the stage.
        start: the share of the epochs before which the weight is 0.
    """

    def inputs(epoch: int, size: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
        reached = rates.sigmoid_rampup(epoch, length * recipe.epochs)
        grown = weight * reached if epoch >= start * recipe.epochs else 0.0
        return {"weight": np.full(1, grown, np.float32)}

    return inputs


def average(limit: float, training: bool, judged: bool) -> Teacher:
    """A mean teacher: the plain mean of the networks so far, until it keeps `limit` of itself."""
    return Teacher(partial(rates.ema_rate, limit=limit), training, judged)


def supervised_stage(
    context: Context,
    loss: Callable[[Tensor, Tensor], Tensor],
    name: str = "train",
    picks: Picks | None = None,
) -> Stage:
    """What is left of a method whose weights are all 0: no images without labels, no teacher."""
    return Stage(name, on_logits(loss), context.recipe, picks=picks)


def strong(weak: Augmentation) -> Augmentation:
    """The run's augmentation, and upon it crop, colours and a grey square; ours.

    It stands for RandAugment and cutout of FixMatch: a strong view must be hard, and its diagnosis
    still to be seen.
    """
    harder = {
        "crop": (0.5, 1.0),
        "crop_ratio": (3 / 4, 4 / 3),
        "jitter": (0.4, 0.4, 0.4, 0.1),
        "jitter_probability": 0.8,
        "greyscale_probability": 0.2,
        "cutout": (0.0, 0.5),
    }
    return weak.model_copy(update=harder)


STRONG_VIEW = (
    "the run's augmentation, a crop of 50 to 100 % of the area, colour jitter 0.4, 0.4, 0.4, 0.1"
    " in 80 % and grey in 20 % of the images, a grey square of at most half the side (ours;"
    " FixMatch's paper: RandAugment and cutout)"
)
STREAM = (
    "every training image, labelled ones too, without its label (CReST's code; ours for the others)"
)
