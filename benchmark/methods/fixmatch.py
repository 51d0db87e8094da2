"""FixMatch: what is sure of the weak view is taught to the strong view."""

from collections.abc import Callable, Iterator
from typing import ClassVar

from pydantic import Field

from benchmark.methods import consistency
from benchmark.methods.base import Batch, Context, Method, Picks, Stage, Tensor, Trainee
from benchmark.methods.consistency import StreamOptions

# align(network, logits (M, K) of the weak views, without gradient) -> those that label and decide.
Align = Callable[[Trainee, Tensor], Tensor]


class FixMatchOptions(StreamOptions):
    """Of FixMatch, alone or as the base of another method."""

    threshold: float = Field(0.95, ge=0, le=1, description="least probability that labels (paper)")
    unlabelled_weight: float = Field(
        1.0, ge=0, description="of the unlabelled part, from the first step on (paper)"
    )
    ema_limit: float = Field(
        0.95,
        ge=0,
        le=1,
        description="how much of itself the judged average keeps in a step, at most (ours: of"
        " hundreds of steps; paper 0.999, of a million)",
    )


class FixMatch(Method):
    """One stage: cross-entropy of the labelled images and of sure unlabelled ones.

    The paper (Sohn et al., NeurIPS 2020, arXiv 2001.07685), equations 3 and 4: the class that the
    weak view is given with at least the threshold's probability is the label of the strong view;
    a hard label; the mean over all unlabelled images, those that are not sure contributing 0.

    The authors' and CReST's code: labelled images, weak and strong views go through the network in
    one pass, so BatchNorm sees all three together, in training and in its running statistics; no
    gradient reaches the weak views; the average of the network's weights is judged.

    Ours: the weak view is the run's augmentation, the strong one that of `consistency.strong`; the
    average starts as the plain mean of the networks so far and its limit is lower; the run's
    optimiser, rate and schedule. Why so low: of 760 steps on 1,521 images of ISIC 2018 (65 px,
    MobileNetV2, 5 % labelled), an average that keeps 0.99, BatchNorm statistics included, called
    every validation image a nevus for five of eight epochs (macro F1 0.115, the network's own
    0.16 to 0.33); with the network's statistics and 0.95 it was the better of the two by then.
    """

    name = "fixmatch"
    summary = "sure classes of weakly augmented images, taught to their strongly augmented views"
    paper = "Sohn et al., FixMatch, NeurIPS 2020, arXiv 2001.07685"
    Options = FixMatchOptions
    settings: ClassVar[dict[str, str]] = {
        "labels": "hard, the weak view's most probable class (paper)",
        "weak view": "the run's augmentation (ours; paper: flip and shift)",
        "strong view": consistency.STRONG_VIEW,
        "BatchNorm": "labelled, weak and strong images in one pass (authors' code)",
        "judged": "the average of the weights over the steps (paper), with the BatchNorm statistics"
        " of the network as it is (authors' code)",
        "unlabelled": consistency.STREAM,
    }

    def stages(self, context: Context) -> Iterator[Stage]:
        """A single stage over the whole recipe."""
        yield fixmatch_stage(context, self.options)


def fixmatch_stage(
    context: Context,
    options: FixMatchOptions,
    *,
    name: str = "train",
    picks: Picks | None = None,
    align: Align | None = None,
) -> Stage:
    """FixMatch over the whole of the context's recipe.

    With a weight of 0 it is supervised training of the labelled images and the picks.

    Args:
        context: the run's, or one with the recipe changed.
        options: of FixMatch.
        name: of the stage.
        picks: unlabelled images that join the labelled ones.
        align: of the weak views' logits (M, K) makes those that choose the label and must reach
            the threshold; it may keep what it needs in the network's memory, which
            `dataclasses.replace` gives the stage. None: they are as they are.
    """
    from keras import ops

    from benchmark.methods import losses

    def loss(network: Trainee, batch: Batch) -> Tensor:
        labelled, weak, strong = consistency.together(network, batch.images, *batch.unlabelled)
        guess = ops.stop_gradient(weak.logits)
        if align is not None:
            guess = align(network, guess)
        taught = losses.fixmatch(guess, strong.logits, options.threshold)
        return (
            losses.cross_entropy(labelled.logits, batch.labels) + options.unlabelled_weight * taught
        )

    if not options.unlabelled_weight:
        return consistency.supervised_stage(context, losses.cross_entropy, name, picks)
    weak = context.recipe.augmentation
    return Stage(
        name,
        loss,
        context.recipe,
        unlabelled_views=(weak, consistency.strong(weak)),
        unlabelled_ratio=options.unlabelled_ratio,
        picks=picks,
        teacher=consistency.average(options.ema_limit, training=False, judged=True),
    )
