"""Balanced softmax: cross-entropy with the class counts in the denominator."""

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from benchmark.methods.base import Context, Method, Stage, on_logits


class BalancedSoftmax(Method):
    """One stage of cross-entropy on logits + log n_c; predictions are by the logits alone."""

    name = "balanced-softmax"
    summary = "softmax that knows the class counts while it trains"
    paper = "Ren et al., NeurIPS 2020, arXiv 2007.10740"
    settings: ClassVar[dict[str, str]] = {
        "equals": "logit-adjustment with when=training and tau=1; without the paper's meta sampler"
    }

    def stages(self, context: Context) -> Iterator[Stage]:
        """A single stage over the whole recipe."""
        from benchmark.methods import losses

        loss = partial(losses.balanced_softmax, counts=context.class_counts())
        yield Stage("train", on_logits(loss), context.recipe)
