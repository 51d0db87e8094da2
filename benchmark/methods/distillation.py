"""Knowledge distillation into one network for several diseases, and the teachers that SALL shares.

A teacher speaks once, of training images alone: its numbers are fixed before the student begins.
"""

from collections.abc import Generator, Iterator, Sequence
from functools import partial
from typing import ClassVar

import numpy as np
from pydantic import Field

from benchmark.methods import grading_losses
from benchmark.methods.base import Batch, Context, Stage, Tensor, Trainee
from benchmark.methods.grading_losses import Head

# Of the arrays beside the student's images: all teachers' logits, and one teacher's features.
LOGITS = "taught"
FEATURES = "taught-features-{}"
# What `describe` tells of the teachers, of distillation and of SALL.
TEACHERS = (
    "one for each disease, what single-task trains, on the images with a grade of it, from the"
    " weights that the student starts from (ours); asked once, in inference mode, of the training"
    " images alone, not augmented (ours)"
)
EPOCHS = "each teacher has the run's epochs, and so has the student (ours)"


class DistillationOptions(grading_losses.HeadOptions):
    """Of the student."""

    temperature: float = Field(
        3.0, gt=0, description="T of the softened softmax (ours, the one of SALL's code)"
    )
    share: float = Field(0.5, ge=0, le=1, description="of the teacher's part in the loss (ours)")


class Distillation(grading_losses.JointMethod):
    """A teacher for each disease, then a student of all: grades, and the teacher's softened ones.

    The paper (Hinton et al. 2015, arXiv 1503.02531): cross-entropy of the labels at temperature 1,
    and the divergence from the teacher's probabilities at a higher one times T^2.

    Ours: several teachers and one student with a head for each of them, of the teachers' own
    architecture, where the paper's student is smaller; a teacher is heard only on the images with a
    grade of its disease, on which it was trained, so that nothing crosses from one disease to the
    other but through the backbone; the divergence for their cross-entropy, which has the same
    gradient; T and the shares.
    """

    name = "distillation"
    summary = "one network, a head for each disease, that learns from a teacher of each"
    paper = "Hinton et al., Distilling the knowledge in a neural network, 2015, arXiv 1503.02531"
    Options = DistillationOptions
    settings: ClassVar[dict[str, str]] = {
        "loss": "sum over diseases of weight * mean over the batch's images with a grade of it of"
        " (1 - share) * cross-entropy + share * T^2 * KL(teacher / T || student / T)",
        "teachers": TEACHERS,
        "epochs": EPOCHS,
        "chosen by": "a teacher by its disease's validation score, the student by the mean over"
        " diseases (ours)",
    }

    def stages(self, context: Context) -> Iterator[Stage]:
        """A stage for each teacher, then the student's."""
        heads, options = grading_losses.heads(context, self.options), self.options
        beside = yield from teach(context, heads)

        def loss(network: Trainee, batch: Batch) -> Tensor:
            return distilled(
                heads,
                network(batch.images).logits,
                batch.inputs[LOGITS],
                batch.labels,
                options.temperature,
                options.share,
            )

        yield Stage(
            "train",
            loss,
            context.recipe,
            new_network=True,
            of=grading_losses.with_grades(heads, context.labels),
            beside=beside,
            judged_by=grading_losses.judging(heads),
        )


def distilled(
    heads: Sequence[Head],
    logits: Tensor,
    taught: Tensor,
    labels: Tensor,
    temperature: float,
    share: float,
) -> Tensor:
    """The sum over diseases of weight * `losses.knowledge_distillation` of the images with a grade.

    Args:
        heads: at least one.
        logits: (N, K) float, the student's.
        taught: (N, K) float, each disease's columns by its own teacher.
        labels: (N, D) integers, UNLABELLED where not known.
        temperature: T, above 0.
        share: of the teacher's part, in 0..1.
    """
    from benchmark.methods import losses

    return grading_losses.weighted(
        heads,
        lambda head: losses.knowledge_distillation(
            head.said(logits),
            head.said(taught),
            head.grades(labels),
            temperature,
            share,
            known=head.known(labels),
        ),
    )


def teach(
    context: Context, heads: Sequence[Head], features: bool = False
) -> Generator[Stage, None, dict[str, np.ndarray]]:
    """A stage for each disease's teacher; what the teachers say comes back, for `Stage.beside`.

    That is `LOGITS`, (N, K) float32, each disease's columns by its own teacher and 0 where it has
    none, and with `features` each teacher's (N, D) float32, named by `FEATURES` and its disease.
    Without diseases there is no stage and nothing to say.
    """
    if not heads:
        return {}
    assert context.survey is not None
    logits = np.zeros((len(context.labels), len(context.classes)), np.float32)
    beside = {LOGITS: logits}
    for head in heads:
        yield Stage(
            f"teacher-{head.name}",
            partial(grading_losses.single_loss, head),
            context.recipe,
            new_network=True,
            of=grading_losses.with_grades([head], context.labels),
            judged_by=(head.number,),
        )
        head.said(logits)[:] = head.said(context.survey.logits())
        if features:
            beside[FEATURES.format(head.name)] = context.survey.features()[0]
    return beside
