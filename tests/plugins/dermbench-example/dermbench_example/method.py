"""Cross-entropy on smoothed labels."""

from collections.abc import Iterator

from pydantic import Field

from benchmark import config
from benchmark.methods.base import Context, Method, Stage, Tensor, on_logits


class Smoothing(Method):
    """One stage of cross-entropy on labels of which a part is spread over all classes."""

    name = "example-smoothing"
    summary = "cross-entropy on smoothed labels"
    paper = "Szegedy et al., CVPR 2016, arXiv 1512.00567, section 7"

    class Options(config.Options):
        """How much is spread."""

        smoothing: float = Field(0.1, ge=0, lt=1, description="the paper's")

    def stages(self, context: Context) -> Iterator[Stage]:
        """A single stage over the whole recipe."""
        from keras import ops

        classes, smoothing = len(context.classes), self.options.smoothing

        def loss(logits: Tensor, labels: Tensor) -> Tensor:
            wanted = (1 - smoothing) * ops.one_hot(labels, classes) + smoothing / classes
            return -ops.mean(ops.sum(wanted * ops.log_softmax(logits), axis=-1))

        yield Stage("train", on_logits(loss), context.recipe)
