"""Mixup: images and labels blended in pairs."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from pydantic import Field

from benchmark import config
from benchmark.methods.base import Batch, Context, Method, Stage, Tensor, Trainee


class Mixup(Method):
    """One stage of cross-entropy on convex blends of two images of the batch."""

    name = "mixup"
    summary = "cross-entropy on blends of two images"
    paper = "Zhang et al., ICLR 2018, arXiv 1710.09412"
    settings: ClassVar[dict[str, str]] = {
        "share": "one Beta(alpha, alpha) draw per batch, partners by a random permutation of the"
        " batch (authors' code)",
        "pixels": "blended as floats before the network's preprocessing, which is linear",
    }

    class Options(config.Options):
        """How much is blended."""

        alpha: float = Field(0.2, gt=0, description="the paper's for ImageNet; 1 for CIFAR")

    def stages(self, context: Context) -> Iterator[Stage]:
        """A single stage over the whole recipe."""
        from keras import ops

        from benchmark.methods import losses

        alpha = self.options.alpha

        def inputs(epoch: int, size: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
            share = generator.beta(alpha, alpha, size=1).astype(np.float32)
            return {"share": share, "partner": generator.permutation(size).astype(np.int64)}

        def loss(network: Trainee, batch: Batch) -> Tensor:
            share, partner = batch.inputs["share"], batch.inputs["partner"]
            images = ops.cast(batch.images, "float32")
            blend = share * images + (1 - share) * ops.take(images, partner, axis=0)
            logits = network(blend).logits
            first = losses.cross_entropy(logits, batch.labels)
            second = losses.cross_entropy(logits, ops.take(batch.labels, partner, axis=0))
            return share[0] * first + (1 - share[0]) * second

        yield Stage("train", loss, context.recipe, inputs=inputs)
