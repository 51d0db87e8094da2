"""Cross-entropy in which every class weighs the same in all, however many images it has."""

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from benchmark.methods import rates
from benchmark.methods.base import Context, Method, Stage, on_logits


class ClassWeighted(Method):
    """One stage of cross-entropy weighted by inverse class frequency."""

    name = "class-weighted"
    summary = "cross-entropy weighted by inverse class frequency"
    paper = "textbook"
    settings: ClassVar[dict[str, str]] = {
        "class weights": "N / (K n_c), of N images in K classes, n_c of the class (scikit-learn's"
        ' "balanced"); the loss is the mean over the images, not over the weights'
    }

    def stages(self, context: Context) -> Iterator[Stage]:
        """A single stage over the whole recipe."""
        from benchmark.methods import losses

        weights = rates.inverse_frequency_weights(context.class_counts())

        loss = partial(losses.cross_entropy, class_weights=weights)
        yield Stage("train", on_logits(loss), context.recipe)
