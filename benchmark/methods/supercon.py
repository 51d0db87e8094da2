"""SuperCon: supervised contrastive training of an encoder, then a linear classifier on it.

What is the paper's, its code's and ours stands in the classes' docstrings.
"""

from collections.abc import Iterator
from functools import partial
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from benchmark.config import PaperRun
from benchmark.methods.base import Batch, Context, Method, Stage, Tensor, Trainee, on_logits
from benchmark.methods.decoupled import ClassifierOptions, classifier_stage
from benchmark.methods.projection import PROJECTION, initial_mapping, mapped_views
from benchmark.recipe import Augmentation, Recipe

# Of the frequent class and of the rare one: the authors' benign and malignant.
_FOCAL_ALPHA = (0.25, 0.75)

AUTHORS_AUGMENTATION = Augmentation(
    horizontal_flip=True,
    crop=(0.08, 1.0),
    crop_ratio=(3 / 4, 4 / 3),
    jitter=(0.8, 0.8, 0.8, 0.2),
    jitter_probability=0.3,
    greyscale_probability=0.2,
    blur=(1.0, 2.0),
    blur_probability=0.2,
)


class SuperCon(Method):
    """Two stages: supervised contrastive loss on two views, then a classifier alone.

    The paper (arXiv 2202.05685; only its abstract was at hand): two stages, a feature space that
    is close within and far between classes, then a classifier on it.

    The authors' code (keyu07/SuperCon_ISIC): the second view's augmentation, the first being
    the unaugmented image; the mapping head D-D-128 with ReLU; temperature 0.07; all anchors;
    stage 2 with the encoder's weights frozen, a new linear layer, augmented images, plain
    cross-entropy; its focal loss is there and not used. --budget paper has its epochs, optimiser,
    rates and batch size; it starts from ImageNet weights, so give --weights imagenet.

    Ours: BatchNorm in inference mode in stage 2 and in every test, where the code leaves it in
    training mode; AUC from scores; the epoch of stage 2 by validation score, stage 1 keeps its
    last; initial weights of the mapping head; crops are taken of the image as it enters the
    network, not of the original; a last batch that is not full is dropped; the preprocessing is
    the architecture's; the focal loss lets the gradient through its weight; in the other budgets
    the run's optimiser, rate, epochs, batches and augmentation, which all methods share.
    """

    name = "supercon"
    summary = "supervised contrastive encoder, then a linear classifier on it"
    paper = "Chen, Zhuang, Chang, SuperCon, arXiv 2202.05685; code keyu07/SuperCon_ISIC"
    head = "plain"
    settings: ClassVar[dict[str, str]] = {
        "stage 1": "supervised contrastive loss over all anchors (Khosla et al., arXiv 2004.11362,"
        f" eq. 2); mapping head D-D-{PROJECTION}, ReLU, L2-normalised, then discarded (authors'"
        " code)",
        "views": "the resized image, and an augmented one (authors' code)",
        "stage 2": "encoder frozen, new linear classifier on augmented images (authors' code);"
        " BatchNorm in inference mode, epoch by validation (ours)",
        "start": "the authors start from ImageNet weights: --weights imagenet",
    }
    paper_run = PaperRun(
        image_size=(224, 224),
        recipe=Recipe(
            epochs=100,
            batch_size=128,
            optimiser="sgd",
            nesterov=False,
            learning_rate=0.003,
            weight_decay=5e-5,
            schedule="thirds",
            augmentation=AUTHORS_AUGMENTATION,
        ),
        options={"classifier_epochs": 5, "classifier_rate": 5e-4},
    )
    freeze: ClassVar[str] = "backbone"

    class Options(ClassifierOptions):
        """Of both stages."""

        share: ClassVar[float] = 1.0

        classifier_epochs: int | None = Field(
            None,
            ge=1,
            description="the run's where none are given (ours: of a network from scratch, a quarter"
            " of 20 epochs reached a validation macro F1 of 0.34 on ISIC 2018, 20 reached 0.38)",
        )
        temperature: float = Field(0.07, gt=0, description="authors' code")
        classifier_loss: Literal["cross-entropy", "focal"] = Field(
            "cross-entropy", description="authors' code; focal is in it too, unused"
        )
        gamma: float = Field(
            5.0,
            ge=0,
            description="of focal; with two classes alpha is 0.25 for the frequent and 0.75 for the"
            " rare one (authors' code)",
        )

    def stages(self, context: Context) -> Iterator[Stage]:
        """The encoder, then the classifier."""
        yield self._contrastive(context)
        yield self._classifier(context)

    def _contrastive(self, context: Context) -> Stage:
        from keras import ops

        from benchmark.methods import losses

        temperature = self.options.temperature

        def loss(network: Trainee, batch: Batch) -> Tensor:
            features = network(ops.concatenate(batch.views)).features
            mapped = mapped_views(features, network.parameters, len(batch.views))
            return losses.supcon(mapped, batch.labels, temperature)

        return Stage(
            "contrast",
            loss,
            context.recipe,
            views=(Augmentation(), context.recipe.augmentation),
            parameters=initial_mapping(context.features, context.seed),
            choose=False,
        )

    def _classifier(self, context: Context) -> Stage:
        from benchmark.methods import losses

        options = self.options
        loss = on_logits(losses.cross_entropy)
        if options.classifier_loss == "focal":
            alpha = _focal_alpha(context.class_counts())
            loss = on_logits(partial(losses.focal, gamma=options.gamma, alpha=alpha))
        return classifier_stage(context, options, loss, self.freeze)


class SuperConAsReleased(SuperCon):
    """SuperCon with what its released code does, for comparison.

    Neither its training of the classifier nor its test leaves training mode: BatchNorm normalises
    by the batch at hand, so that an image's prediction depends on the others in its batch, and the
    frozen encoder's running statistics move in stage 2. So does what else an architecture does in
    training only, such as EfficientNetB0's stochastic depth. Its "AUC" is computed from predicted
    classes, which is the record's `hard_label_auc`.

    Ours: batches of validation and test images are drawn from the run's seed; the code takes them
    in the order of its list, and in the order of a data set one class may fill a batch.
    """

    name = "supercon-as-released"
    summary = "SuperCon with BatchNorm in training mode throughout, as its code was released"
    freeze: ClassVar[str] = "backbone-weights"
    batch_statistics = True
    caveat = (
        "predictions depend on the other images in a batch, as in SuperCon's released code, whose"
        " AUC is of predicted classes: compare it with the hard-label AUC here; method checkpoint"
        " scores such a network by running statistics, which is another score"
    )
    settings: ClassVar[dict[str, str]] = SuperCon.settings | {
        "stage 2": "encoder's weights frozen, BatchNorm in training mode, in the test too (authors'"
        " code)",
    }


def _focal_alpha(counts: np.ndarray) -> np.ndarray | None:
    """(2,) float32 of two classes; None of more, for which the authors' code has nothing."""
    if len(counts) != 2:
        return None
    frequent, rare = _FOCAL_ALPHA
    return np.array([rare, frequent] if counts[0] < counts[1] else [frequent, rare], np.float32)
