"""Pseudo-Label: the network's own sure classes are labels."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from benchmark.methods import consistency
from benchmark.methods.base import Batch, Context, Method, Stage, Tensor, Trainee
from benchmark.methods.consistency import StreamOptions


class PseudoLabel(Method):
    """One stage: cross-entropy of the labelled images and of unlabelled ones to their own class.

    The paper (Lee, ICML 2013 workshop on representation learning): the most probable class of an
    unlabelled image is its label, decided anew in every step; the weight of that part grows from 0.
    Its weight ends at 3, its ramp is linear, and it has no threshold.

    USB's code: the threshold, the weight 1, the ramp over 40 % of training, which is linear there.

    Ours: the sigmoid ramp of the other methods here; labelled and unlabelled images go through the
    network in one pass, so BatchNorm sees both, in training and in its running statistics; the
    network itself is judged, no average of it.
    """

    name = "pseudo-label"
    summary = "unlabelled images of which the network is sure, taught to itself"
    paper = "Lee, Pseudo-Label, ICML 2013 workshop; threshold and ramp of microsoft/USB's code"
    settings: ClassVar[dict[str, str]] = {
        "labels": "hard, the image's own most probable class (paper), one augmented view (ours)",
        "ramp": "exp(-5 (1 - e / length)^2) of epoch e (ours, as for mean-teacher; paper: linear)",
        "BatchNorm": "labelled and unlabelled images in one pass (ours)",
        "unlabelled": consistency.STREAM,
    }

    class Options(StreamOptions):
        """Of the unlabelled part."""

        threshold: float = Field(
            0.95, ge=0, le=1, description="least probability that labels (USB; paper: 0)"
        )
        unlabelled_weight: float = Field(
            1.0, ge=0, description="of the unlabelled part after the ramp (USB; paper: 3)"
        )
        rampup: float = Field(0.4, ge=0, le=1, description="share of the epochs (USB)")

    def stages(self, context: Context) -> Iterator[Stage]:
        """A single stage over the whole recipe."""
        from benchmark.methods import losses

        options = self.options
        if not options.unlabelled_weight:
            yield consistency.supervised_stage(context, losses.cross_entropy)
            return

        def loss(network: Trainee, batch: Batch) -> Tensor:
            labelled, own = consistency.together(network, batch.images, *batch.unlabelled)
            taught = losses.fixmatch(own.logits, own.logits, options.threshold)
            supervised = losses.cross_entropy(labelled.logits, batch.labels)
            return supervised + batch.inputs["weight"][0] * taught

        yield Stage(
            "train",
            loss,
            context.recipe,
            inputs=consistency.ramped(options.unlabelled_weight, options.rampup, context.recipe),
            unlabelled_views=(context.recipe.augmentation,),
            unlabelled_ratio=options.unlabelled_ratio,
        )
