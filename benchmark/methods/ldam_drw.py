"""LDAM-DRW: margins that grow with rarity, and class weights for the last epochs."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from pydantic import Field

from architectures.heads import COSINE_SCALE
from benchmark import config
from benchmark.methods import rates
from benchmark.methods.base import Batch, Context, Method, Stage, Tensor, Trainee


class LdamDrw(Method):
    """One stage: label-distribution-aware margins on cosines, re-weighting deferred."""

    name = "ldam-drw"
    summary = "label-distribution-aware margins, deferred re-weighting, normalised classifier"
    paper = "Cao et al., NeurIPS 2019, arXiv 1906.07413; code kaidic/LDAM-DRW"
    head = "cosine"
    settings: ClassVar[dict[str, str]] = {
        "margins": "max_margin (n_min / n_c)^(1/4) (paper)",
        "scale": f"{COSINE_SCALE:g} (authors' code), in training and in the network's logits",
        "class weights": "effective numbers of the class-balanced loss, a batch's losses divided by"
        " the sum of its weights (authors' code); in the last epoch at least (ours)",
        "epoch": "the best by validation of all, those before the class weights too (ours)",
    }

    class Options(config.Options):
        """Of margins and weights."""

        max_margin: float = Field(0.5, gt=0, description="of the rarest class (authors' code)")
        beta: float = Field(0.9999, gt=0, lt=1, description="of the class weights (authors' code)")
        deferred: float = Field(
            0.8,
            ge=0,
            le=1,
            description="share of the epochs before the class weights (authors' code: epoch 160 of"
            " 200)",
        )

    def stages(self, context: Context) -> Iterator[Stage]:
        """A single stage over the whole recipe, so that optimiser and schedule go on."""
        from benchmark.methods import losses

        counts, options = context.class_counts(), self.options
        late = rates.effective_number_weights(counts, options.beta).astype(np.float32)
        first = _first_weighted(options.deferred, context.recipe.epochs)

        def inputs(epoch: int, size: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
            return {"class_weights": late if epoch >= first else np.ones_like(late)}

        def loss(network: Trainee, batch: Batch) -> Tensor:
            cosines = network(batch.images).logits / COSINE_SCALE
            return losses.ldam(
                cosines,
                batch.labels,
                counts,
                max_margin=options.max_margin,
                scale=COSINE_SCALE,
                class_weights=batch.inputs["class_weights"],
            )

        yield Stage("train", loss, context.recipe, inputs=inputs)


def _first_weighted(deferred: float, epochs: int) -> int:
    """The first epoch, from 0, with class weights: the last at the latest, or none at all."""
    return epochs if deferred == 1 else min(round(deferred * epochs), epochs - 1)
