"""SALL: each disease's teacher grades the images that have no grade of that disease."""

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import add
from typing import ClassVar

from pydantic import Field

from benchmark.methods import grading_losses
from benchmark.methods.base import Batch, Context, Stage, Tensor, Trainee
from benchmark.methods.distillation import EPOCHS, FEATURES, LOGITS, TEACHERS, teach


class SallOptions(grading_losses.HeadOptions):
    """Of the student."""

    temperature: float = Field(
        3.0, gt=0, description="T of the soft labels and of the student's answer (authors' code)"
    )
    semantic_weight: float = Field(
        1.0, ge=0, description="of the soft labels beside the known grades (ours)"
    )
    feature_weight: float = Field(
        0.1, ge=0, description="of the teachers' relations between images (ours)"
    )


class Sall(grading_losses.JointMethod):
    """A teacher for each disease, then a student of all: own grades, soft labels, relations.

    The paper (Ju et al., IEEE JBHI 2021, arXiv 2003.10607) was read in its abstract only: each
    image has a grade of one disease, the other disease's labels are extra signals in semantic and
    in feature space, and both are trained together by distillation. Its code (PyJulie/SALL): one
    backbone, a head for each disease; T = 3; the cross-entropy of each head to a soft target, that
    for one image holds its grade and the predictions of the others; the heads weigh the same. How
    the targets were made is not in it.

    Ours: the teachers, as single-task trains them, from the student's first weights; the grade of
    an image's own disease stays a hard label at temperature 1, where the code softens the student's
    answer of every head by T; the soft term is multiplied by T^2, as Hinton et al. 2015 do, so
    that T does not change its weight; the mean of a term is over the images of the batch that have
    part in it. The signal in feature space was not found, nor what is adversarial: ours is that the
    student relates the images of a batch to each other as every teacher does, by the relations of
    SRC-MT. The run's optimiser, schedule and augmentation; no dropout but the head's, where they
    have 0.5.

    A disease of weight 0 takes no part, nor does a term; what is then without use is neither
    trained nor read. So with a single disease of weight 1 and both further terms 0 the run equals
    single-task's, bit for bit; and where every image has every grade the soft labels are of no
    image.
    """

    name = "sall"
    summary = "one network, a head for each disease; teachers label what has no grade of theirs"
    paper = "Ju et al., SALL, IEEE JBHI 2021, arXiv 2003.10607; code PyJulie/SALL"
    Options = SallOptions
    settings: ClassVar[dict[str, str]] = {
        "loss": "sum over diseases of weight * (mean cross-entropy of the images with a grade of"
        " it + semantic_weight * T^2 * mean cross-entropy of student / T to teacher / T of those"
        " without) + feature_weight * mean over teachers of the distance of relations",
        "own grade": "a hard label at temperature 1 (ours; authors' code: every head at T)",
        "soft labels": "of the images without a grade of the disease (our reading: how the authors'"
        " were made was not found); T^2 is Hinton's (ours)",
        "relations": "of the pooled features of every two images of the batch, as SRC-MT's (ours;"
        " the paper's term in feature space was not found)",
        "teachers": TEACHERS,
        "epochs": EPOCHS,
        "chosen by": "a teacher by its disease's validation score, the student by the mean over"
        " diseases (ours)",
    }

    def stages(self, context: Context) -> Iterator[Stage]:
        """A stage for each teacher that is of use, then the student's."""
        options = self.options
        heads = grading_losses.heads(context, options)
        softly = [head for head in heads if not head.known(context.labels).all()]
        softly = softly if options.semantic_weight else []
        teachers = heads if options.feature_weight else softly
        beside = yield from teach(context, teachers, features=bool(options.feature_weight))

        def loss(network: Trainee, batch: Batch) -> Tensor:
            student = network(batch.images)
            total = grading_losses.graded(heads, student.logits, batch.labels)
            if softly:
                total = total + options.semantic_weight * grading_losses.softly_graded(
                    softly,
                    student.logits,
                    batch.inputs[LOGITS],
                    batch.labels,
                    options.temperature,
                )
            if options.feature_weight:
                total = total + options.feature_weight * relations(
                    student.features, [batch.inputs[FEATURES.format(head.name)] for head in heads]
                )
            return total

        yield Stage(
            "train",
            loss,
            context.recipe,
            new_network=True,
            # A teacher speaks of every image.
            of=None if teachers else grading_losses.with_grades(heads, context.labels),
            beside=beside,
            judged_by=grading_losses.judging(heads),
        )


def relations(features: Tensor, taught: Sequence[Tensor]) -> Tensor:
    """The mean over teachers of `losses.relation_consistency`.

    Args:
        features: (N, D) float, the student's.
        taught: (N, E) float each, of the same images.
    """
    from benchmark.methods import losses

    each = [losses.relation_consistency(features, teacher) for teacher in taught]
    return reduce(add, each) / len(each)
