"""Plain supervised training: softmax cross-entropy, with class weights where the recipe says so."""

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

import numpy as np

from benchmark.methods.base import Context, Method, Stage, on_logits


class CrossEntropy(Method):
    """One stage of softmax cross-entropy."""

    name = "cross-entropy"
    summary = "softmax cross-entropy, optionally weighted by class"
    paper = "textbook; weights as in the DermXDB benchmark (arXiv 2302.12084, code)"
    settings: ClassVar[dict[str, str]] = {
        "class weights": "largest class count / class count (DermXDB benchmark's code); paper"
        " budget and this method only",
    }
    takes_class_weights = True

    def stages(self, context: Context) -> Iterator[Stage]:
        """A single stage over the whole recipe."""
        from benchmark.methods import losses

        weights = class_weights(context) if context.recipe.class_weights else None

        loss = partial(losses.cross_entropy, class_weights=weights)
        yield Stage("train", on_logits(loss), context.recipe)


def class_weights(context: Context) -> np.ndarray:
    """(K,) float32: the largest class count over each class's count; the largest class has 1."""
    counts = context.class_counts()
    # A class without a training image never meets its weight.
    return (counts.max() / np.maximum(counts, 1)).astype(np.float32)
