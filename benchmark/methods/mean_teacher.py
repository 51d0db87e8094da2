"""Mean teacher: the average of the network so far says what the network should."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from benchmark.methods import consistency
from benchmark.methods.base import Batch, Context, Method, Stage, Tensor, Trainee
from benchmark.methods.consistency import StreamOptions


class MeanTeacher(Method):
    """One stage: cross-entropy of the labelled images, and the distance to an averaged teacher.

    The paper (Tarvainen and Valpola, NIPS 2017, arXiv 1703.01780): the student sees one random
    variant of an image, the teacher another; the loss is the squared distance of their
    probabilities; the teacher is the exponential average of the student's weights; the teacher is
    judged.

    The authors' code (CuriousAI/mean-teacher): the weight and its sigmoid ramp; the average is the
    plain mean at first; the teacher is in training mode, so its BatchNorm statistics come from its
    own passes, and only its weights are averaged; no gradient reaches it.

    Ours: the ramp's length (40 % of the epochs, as USB's warm-up); the mean over the labelled
    images, where the code divides their sum by the whole batch; labelled and unlabelled images go
    through the student in one pass, as there, but through the teacher the unlabelled stream only;
    the run's augmentation, optimiser, rate and schedule; the weight and the average's limit, as
    both of the code are for some hundred thousand steps: of 760 steps on 1,521 images of ISIC 2018
    (65 px, MobileNetV2, 5 % labelled) the last epoch's validation macro F1 was 0.249 with 10 and
    0.99, 0.314 with 1 and 0.99, and 0.325 to 0.333 of an average that keeps 0.95.
    """

    name = "mean-teacher"
    summary = "agrees with an average of itself about differently augmented images"
    paper = "Tarvainen and Valpola, NIPS 2017, arXiv 1703.01780; code CuriousAI/mean-teacher"
    settings: ClassVar[dict[str, str]] = {
        "consistency": "squared distance of the probabilities, summed over the classes",
        "views": "two draws of the run's augmentation: one for the student, one for the teacher",
        "ramp": "exp(-5 (1 - e / length)^2) of epoch e (authors' code)",
        "teacher": "in training mode, its weights averaged and its BatchNorm statistics its own"
        " (authors' code); judged (paper)",
        "BatchNorm": "of the student: labelled and unlabelled images in one pass (authors' code)",
        "unlabelled": consistency.STREAM,
    }

    class Options(StreamOptions):
        """Of the unlabelled part and of the teacher."""

        unlabelled_weight: float = Field(
            1.0,
            ge=0,
            description="of the consistency after the ramp (ours; authors' code: 100 of the mean"
            " over ten classes, which is 10 here)",
        )
        rampup: float = Field(0.4, ge=0, le=1, description="share of the epochs (USB)")
        ema_limit: float = Field(
            0.95,
            ge=0,
            le=1,
            description="how much of itself the teacher keeps in a step, at most (ours; paper: 0.99"
            " at first, 0.999 after the ramp)",
        )

    def stages(self, context: Context) -> Iterator[Stage]:
        """A single stage over the whole recipe."""
        from benchmark.methods import losses

        options, weak = self.options, context.recipe.augmentation
        if not options.unlabelled_weight:
            yield consistency.supervised_stage(context, losses.cross_entropy)
            return

        def loss(network: Trainee, batch: Batch) -> Tensor:
            seen, other = batch.unlabelled
            labelled, student = consistency.together(network, batch.images, seen)
            apart = losses.prediction_consistency(student.logits, network.taught(other).logits)
            supervised = losses.cross_entropy(labelled.logits, batch.labels)
            return supervised + batch.inputs["weight"][0] * apart

        yield Stage(
            "train",
            loss,
            context.recipe,
            inputs=consistency.ramped(options.unlabelled_weight, options.rampup, context.recipe),
            unlabelled_views=(weak, weak),
            unlabelled_ratio=options.unlabelled_ratio,
            teacher=consistency.average(options.ema_limit, training=True, judged=True),
        )
