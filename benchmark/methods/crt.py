"""cRT: a network trained as usual, then its classifier again on class-balanced draws."""

from collections.abc import Iterator
from typing import ClassVar

from benchmark.methods.base import Context, Method, Stage, on_logits
from benchmark.methods.decoupled import ClassifierOptions, classifier_stage
from benchmark.methods.oversampling import equal_shares


class Crt(Method):
    """Two stages of cross-entropy: everything on natural draws, the head on balanced ones."""

    name = "crt"
    summary = "classifier re-training on class-balanced draws, encoder frozen"
    paper = "Kang et al., ICLR 2020, arXiv 1910.09217"
    settings: ClassVar[dict[str, str]] = {
        "encoder": "of the best validation epoch, BatchNorm in inference mode in the second stage"
        " (ours)",
        "classifier": "drawn anew, class-balanced sampling (paper)",
    }
    Options = ClassifierOptions

    def stages(self, context: Context) -> Iterator[Stage]:
        """The whole recipe, then the classifier."""
        from benchmark.methods import losses

        loss = on_logits(losses.cross_entropy)
        yield Stage("train", loss, context.recipe)
        yield classifier_stage(context, self.options, loss, class_shares=equal_shares(context))
