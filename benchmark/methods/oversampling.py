"""Oversampling: an epoch has as many images of every class, rare ones repeated."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from benchmark.methods.base import Context, Method, Stage, on_logits


class Oversampling(Method):
    """One stage of cross-entropy on class-balanced draws."""

    name = "oversampling"
    summary = "cross-entropy on draws in which every class is as frequent"
    paper = "textbook; the class-balanced sampling of Kang et al., arXiv 1910.09217 (q = 0)"
    settings: ClassVar[dict[str, str]] = {
        "sampling": "class uniformly, then an image of it uniformly, with replacement; an epoch has"
        " as many draws as there are images; repeated images are augmented anew"
    }

    def stages(self, context: Context) -> Iterator[Stage]:
        """A single stage over the whole recipe."""
        from benchmark.methods import losses

        loss = on_logits(losses.cross_entropy)
        yield Stage("train", loss, context.recipe, class_shares=equal_shares(context))


def equal_shares(context: Context) -> np.ndarray:
    """(K,) float64: the same share for every class that has an image."""
    present = context.class_counts() > 0
    return present / present.sum()
