"""One network with a head for each disease, each trained on the images that have its grade."""

from collections.abc import Iterator
from typing import ClassVar

from benchmark.methods import grading_losses
from benchmark.methods.base import Batch, Context, Stage, Tensor, Trainee


class MultiTask(grading_losses.JointMethod):
    """One stage: the sum over diseases of weight times mean cross-entropy.

    The mean of a disease is over the images of the batch that have a grade of it; ours, so that its
    weight does not depend on how many images have one. A batch without any adds nothing for it.
    The weights are all 1 unless told. What the images without a grade might say of the disease is
    not used: it is what SALL adds.
    """

    name = "multi-task"
    summary = "one network, a head for each disease; images without a grade teach it nothing"
    paper = "textbook; the baseline of SALL, Ju et al., IEEE JBHI 2021, arXiv 2003.10607"
    settings: ClassVar[dict[str, str]] = {
        "loss": "sum over diseases of weight * mean cross-entropy over the batch's images with a"
        " grade of it, 0 where there is none (ours); no class weights",
        "chosen by": "the mean over diseases of the validation score (ours)",
    }

    def stages(self, context: Context) -> Iterator[Stage]:
        """A single stage over the whole recipe."""
        heads = grading_losses.heads(context, self.options)

        def loss(network: Trainee, batch: Batch) -> Tensor:
            return grading_losses.graded(heads, network(batch.images).logits, batch.labels)

        yield Stage(
            "train",
            loss,
            context.recipe,
            of=grading_losses.with_grades(heads, context.labels),
            judged_by=grading_losses.judging(heads),
        )
