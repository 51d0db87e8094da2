"""SRCL: a contrast between views of every image, and the consistencies of SRC-MT.

No code of the paper was found; what it is here is our own reading of its abstract, and said so.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from benchmark.methods import consistency
from benchmark.methods.base import Activations, Batch, Context, Method, Stage, Tensor, Trainee
from benchmark.methods.projection import PROJECTION, initial_mapping, mapped_views
from benchmark.methods.src_mt import (
    SrcMtOptions,
    inconsistency,
    ramp,
    src_mt_stage,
    supervised_loss,
    teacher,
)
from benchmark.recipe import Recipe

_PAPER = (
    "Purpura-Pontoniere, Terzopoulos, Wang, Imran, SRCL, arXiv 2304.05047 (abstract); own reading"
)
_SETTINGS = {
    "contrast": "NT-Xent (Chen et al., arXiv 2002.05709, eq. 1) of two views of every image of the"
    f" unlabelled batch; mapping head D-D-{PROJECTION}, ReLU, L2-normalised, then discarded (ours)",
    "views of the contrast": "the run's augmentation, and the strong one of fixmatch: "
    + consistency.STRONG_VIEW,
    "consistency": "as of src-mt",
    "unlabelled": consistency.STREAM,
}


class SrclOptions(SrcMtOptions):
    """Of SRC-MT, and of the contrast."""

    temperature: float = Field(0.5, gt=0, description="of the contrast (SimCLR on CIFAR-10; ours)")


class SrclJoint(Method):
    """One stage: the losses of SRC-MT and a contrast between two views of every image.

    The paper (arXiv 2304.05047; only its abstract was at hand, and no code was found): a
    self-supervised contrastive loss and sample relation consistency, learned jointly.

    Ours, all else: L_sup + w(e) (L_cons + beta L_rel) + lambda L_NT-Xent. The first three are those
    of `src-mt`, with its ramp, teacher and class weights. The contrast is between the view that the
    student's consistency is of, under the run's augmentation, and a strong one, so the network sees
    labelled images and both views in one pass, and BatchNorm all three; it has no ramp. The student
    is judged.
    """

    name = "srcl-joint"
    summary = "SRC-MT and a contrast between views of every image, at the same time"
    paper = _PAPER
    settings: ClassVar[dict[str, str]] = _SETTINGS

    class Options(SrclOptions):
        """Of the joint regime."""

        contrast_weight: float = Field(0.5, ge=0, description="lambda, of the contrast (ours)")

    def stages(self, context: Context) -> Iterator[Stage]:
        """A single stage over the whole recipe; without a contrast it is that of SRC-MT."""
        from benchmark.methods import losses

        options, weak = self.options, context.recipe.augmentation
        if not options.contrast_weight:
            yield src_mt_stage(context, options)
            return
        supervised, apart = supervised_loss(context, options), inconsistency(context, options)

        def loss(network: Trainee, batch: Batch) -> Tensor:
            seen, other, hard = batch.unlabelled
            labelled, student, harder = consistency.together(network, batch.images, seen, hard)
            contrast = losses.nt_xent(_mapped(network, student, harder), options.temperature)
            return (
                supervised(labelled.logits, batch.labels)
                + batch.inputs["weight"][0] * apart(student, network.taught(other))
                + options.contrast_weight * contrast
            )

        yield Stage(
            "train",
            loss,
            context.recipe,
            inputs=ramp(context, options),
            parameters=initial_mapping(context.features, context.seed),
            unlabelled_views=(weak, weak, consistency.strong(weak)),
            unlabelled_ratio=options.unlabelled_ratio,
            teacher=teacher(options),
        )


class SrclPretrain(Method):
    """Two stages: the contrast alone, without any label, then SRC-MT from its weights.

    The paper (arXiv 2304.05047; only its abstract was at hand, and no code was found): a
    self-supervised contrastive loss and sample relation consistency, pre-training then fine-tuning.

    Ours, all else: the first stage is NT-Xent between an image under the run's augmentation and
    under the strong one, both in one pass, keeps its last epoch and takes a share of the run's
    epochs, so that the method takes as many as any other; the second is `src-mt` for the epochs
    that are left, all of the network being trained, with a fresh optimiser and the run's schedule
    from its beginning; its start and ramp are shares of these epochs. A run of one epoch has none
    left: both stages then take one.
    """

    name = "srcl-pretrain"
    summary = "a contrast between views of every image, then SRC-MT from its weights"
    paper = _PAPER
    settings: ClassVar[dict[str, str]] = _SETTINGS

    class Options(SrclOptions):
        """Of both stages."""

        contrast_share: float = Field(
            0.5, gt=0, lt=1, description="of the epochs, for the contrast (ours)"
        )

    def stages(self, context: Context) -> Iterator[Stage]:
        """The contrast, then SRC-MT."""
        first, second = _split(context.recipe, self.options.contrast_share)
        yield _contrast(replace(context, recipe=first), self.options)
        yield src_mt_stage(replace(context, recipe=second), self.options)


def _split(recipe: Recipe, share: float) -> tuple[Recipe, Recipe]:
    """The recipe with the first and with the other epochs, at least one each."""
    first = max(min(round(share * recipe.epochs), recipe.epochs - 1), 1)
    return recipe.stretch(first), recipe.stretch(max(recipe.epochs - first, 1))


def _contrast(context: Context, options: SrclOptions) -> Stage:
    from benchmark.methods import losses

    weak = context.recipe.augmentation

    def loss(network: Trainee, batch: Batch) -> Tensor:
        seen = consistency.together(network, *batch.unlabelled)
        return losses.nt_xent(_mapped(network, *seen), options.temperature)

    return Stage(
        "contrast",
        loss,
        context.recipe,
        views=(),
        parameters=initial_mapping(context.features, context.seed),
        unlabelled_views=(weak, consistency.strong(weak)),
        unlabelled_ratio=options.unlabelled_ratio,
        choose=False,
    )


def _mapped(network: Trainee, *views: Activations) -> Tensor:
    """(M, V, 128) of views of the same M images, by the mapping head."""
    from keras import ops

    features = ops.concatenate([view.features for view in views])
    return mapped_views(features, network.parameters, len(views))
