"""SRC-MT: mean teacher in which also the relations between images agree."""

from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np
from pydantic import Field

from benchmark.methods import consistency, rates
from benchmark.methods.base import (
    Activations,
    Batch,
    Context,
    Method,
    Stage,
    Teacher,
    Tensor,
    Trainee,
)
from benchmark.methods.consistency import Inputs, StreamOptions


class SrcMtOptions(StreamOptions):
    """Of SRC-MT, alone or with another loss."""

    unlabelled_weight: float = Field(
        1.0, ge=0, description="of both consistencies after the ramp (authors' code)"
    )
    relation_weight: float = Field(
        1.0, ge=0, description="beta, of the relations among the consistencies (authors' code)"
    )
    start: float = Field(
        0.21,
        ge=0,
        le=1,
        description="share of the epochs without consistency (authors' code: 0 to 20 of 100)",
    )
    rampup: float = Field(
        0.3,
        ge=0,
        le=1,
        description="share of the epochs, counted from the first (authors' code: 30 of 100)",
    )
    ema_limit: float = Field(
        0.99,
        ge=0,
        le=1,
        description="how much of itself the teacher keeps in a step, at most (authors' code)",
    )
    class_weights: bool = Field(
        True, description="weigh the classes by their rarity (authors' code); supervised does not"
    )
    as_released: bool = Field(
        False, description="a second softmax in the cross-entropy, as in the authors' code"
    )


class SrcMt(Method):
    """One stage: weighted cross-entropy, consistency of predictions, consistency of relations.

    The authors' code (liuquande/SRC-MT; the paper, Liu et al., IEEE TMI 2020, arXiv 2005.07377, was
    not at hand): the student sees one draw of the augmentation, the teacher another; the losses and
    their weights; the class weights' formula; the sigmoid ramp, switched on after a start; the
    teacher, in training mode, averages weights only; the student is judged.

    Ours: class weights are N / n_c of the N labelled images, where the code has 10000 / n_c of all
    10,015 images, unlabelled and test ones too; start and ramp as shares of the run's epochs, and
    our epoch is a pass over all training images, theirs over the labelled ones; a single softmax in
    the cross-entropy; no dropout, which they have at 0.2 in the network and before the relations;
    labelled and unlabelled images go through the student in one pass, as there, so BatchNorm sees
    both, but consistency is of the unlabelled stream only, and the teacher sees no more than that;
    one unlabelled image for each labelled one, where they have three; the run's augmentation,
    optimiser, rate and schedule. They call a class present from a probability of 0.18 on when they
    score; no metric here does.
    """

    name = "src-mt"
    summary = "mean teacher in which predictions and the relations between images agree"
    paper = "Liu et al., SRC-MT, IEEE TMI 2020, arXiv 2005.07377; code liuquande/SRC-MT"
    Options = SrcMtOptions
    settings: ClassVar[dict[str, str]] = {
        "class weights": "N / n_c (authors' code: 10000 / n_c) of the labelled images (ours), in"
        " the cross-entropy, divided by the batch's sum of weights, and in the consistency of the"
        " predictions (authors' code)",
        "relations": "of the pooled features of every two images of the unlabelled batch",
        "views": "two draws of the run's augmentation: one for the student, one for the teacher",
        "ramp": "exp(-5 (1 - e / length)^2) of epoch e, 0 before the start (authors' code)",
        "teacher": "in training mode, its weights averaged and its BatchNorm statistics its own;"
        " the student is judged (authors' code)",
        "BatchNorm": "of the student: labelled and unlabelled images in one pass (authors' code)",
        "unlabelled": consistency.STREAM,
    }

    def stages(self, context: Context) -> Iterator[Stage]:
        """A single stage over the whole recipe."""
        yield src_mt_stage(context, self.options)


def src_mt_stage(context: Context, options: SrcMtOptions) -> Stage:
    """SRC-MT over the whole of the context's recipe, its labelled part alone with a weight of 0."""
    supervised, apart = supervised_loss(context, options), inconsistency(context, options)

    def loss(network: Trainee, batch: Batch) -> Tensor:
        seen, other = batch.unlabelled
        labelled, student = consistency.together(network, batch.images, seen)
        return supervised(labelled.logits, batch.labels) + batch.inputs["weight"][0] * apart(
            student, network.taught(other)
        )

    if not options.unlabelled_weight:
        return consistency.supervised_stage(context, supervised)
    weak = context.recipe.augmentation
    return Stage(
        "train",
        loss,
        context.recipe,
        inputs=ramp(context, options),
        unlabelled_views=(weak, weak),
        unlabelled_ratio=options.unlabelled_ratio,
        teacher=teacher(options),
    )


def supervised_loss(context: Context, options: SrcMtOptions) -> Callable[[Tensor, Tensor], Tensor]:
    """L_sup of logits (N, K) and labels (N,)."""
    from benchmark.methods import losses

    weights = class_weights(context) if options.class_weights else None

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        if options.as_released:
            logits = losses.probabilities(logits)
        return losses.cross_entropy(logits, labels, weights, normalised=True)

    return loss


def inconsistency(
    context: Context, options: SrcMtOptions
) -> Callable[[Activations, Activations], Tensor]:
    """L_cons + beta L_rel of what student and teacher say of the same images."""
    from benchmark.methods import losses

    weights = class_weights(context) if options.class_weights else None

    def loss(student: Activations, taught: Activations) -> Tensor:
        predictions = losses.prediction_consistency(student.logits, taught.logits, weights)
        relations = losses.relation_consistency(student.features, taught.features)
        return predictions + options.relation_weight * relations

    return loss


def class_weights(context: Context) -> np.ndarray:
    """(K,) N / n_c of the labelled images; a class that has none gets 0."""
    counts = context.class_counts()
    return rates.inverse_frequency_weights(counts) * (counts > 0).sum()


def ramp(context: Context, options: SrcMtOptions) -> Inputs:
    """The weight of the consistencies, by epoch."""
    return consistency.ramped(
        options.unlabelled_weight, options.rampup, context.recipe, options.start
    )


def teacher(options: SrcMtOptions) -> Teacher:
    """It teaches only: the student is judged."""
    return consistency.average(options.ema_limit, training=True, judged=False)
