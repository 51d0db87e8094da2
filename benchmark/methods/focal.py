"""Focal loss: images that are classified well weigh little."""

from collections.abc import Iterator
from functools import partial

from pydantic import Field

from benchmark import config
from benchmark.methods.base import Context, Method, Stage, on_logits


class Focal(Method):
    """One stage of -(1 - p_y)^gamma log p_y, p by softmax; the paper's own is by sigmoid."""

    name = "focal"
    summary = "focal loss, softmax form"
    paper = "Lin et al., ICCV 2017, arXiv 1708.02002; softmax form as in MONICA's code"

    class Options(config.Options):
        """Of the loss."""

        gamma: float = Field(
            2.0,
            ge=0,
            description="the paper's best, there with alpha 0.25, which is left"
            " out here (ours); 0 is cross-entropy",
        )

    def stages(self, context: Context) -> Iterator[Stage]:
        """A single stage over the whole recipe."""
        from benchmark.methods import losses

        loss = partial(losses.focal, gamma=self.options.gamma)
        yield Stage("train", on_logits(loss), context.recipe)
