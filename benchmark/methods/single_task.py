"""A network for each disease, trained on the images that have a grade of it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from benchmark.methods import grading_losses
from benchmark.methods.base import Batch, Context, Method, Stage, Tensor, Trainee


class SingleTask(Method):
    """One stage of cross-entropy: `supervised` under the name that grading gives it.

    It is what the teachers of `distillation` and `sall` are, and is written as a joint network's
    loss with a single head, so that `sall` without its other terms equals it bit for bit.
    """

    name = "single-task"
    summary = "a network for each disease, on its own images alone; the baseline of joint training"
    paper = "textbook; the baseline of SALL, Ju et al., IEEE JBHI 2021, arXiv 2003.10607"
    settings: ClassVar[dict[str, str]] = {
        "loss": "cross-entropy of the images with a grade of the disease, no class weights",
    }

    def stages(self, context: Context) -> Iterator[Stage]:
        """A single stage over the whole recipe."""
        only = grading_losses.Head("", 0, slice(0, len(context.classes)))

        def loss(network: Trainee, batch: Batch) -> Tensor:
            return grading_losses.single_loss(
                only, network, replace(batch, labels=batch.labels[:, None])
            )

        yield Stage("train", loss, context.recipe)
