"""Class-balanced loss: cross-entropy weighted by the effective number of images of a class."""

from collections.abc import Iterator
from functools import partial

from pydantic import Field

from benchmark import config
from benchmark.methods import rates
from benchmark.methods.base import Context, Method, Stage, on_logits


class ClassBalanced(Method):
    """One stage of softmax cross-entropy, weighted (1 - beta) / (1 - beta^n_c), of sum K."""

    name = "class-balanced"
    summary = "cross-entropy weighted by effective number of images"
    paper = "Cui et al., CVPR 2019, arXiv 1901.05555"

    class Options(config.Options):
        """Of the weights."""

        beta: float = Field(
            0.9999,
            gt=0,
            lt=1,
            description="as in the codes of LDAM-DRW and MONICA; Cui et al. try 0.9 to 0.9999",
        )

    def stages(self, context: Context) -> Iterator[Stage]:
        """A single stage over the whole recipe."""
        from benchmark.methods import losses

        weights = rates.effective_number_weights(context.class_counts(), self.options.beta)

        loss = partial(losses.cross_entropy, class_weights=weights)
        yield Stage("train", on_logits(loss), context.recipe)
