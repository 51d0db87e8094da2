"""What a training method is: a list of stages, each with a loss on whatever tensors the engine has.

A method knows losses, not engines: `training/loop.py` runs its stages.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np

from benchmark import config
from benchmark.config import PaperRun
from benchmark.recipe import Augmentation, Recipe

# A torch.Tensor or a tf.Tensor; methods touch them through keras.ops only.
Tensor = Any


class Activations(Protocol):
    """What a network gives for a batch: features (N, D) before the classifier, logits (N, K)."""

    @property
    def features(self) -> Tensor:
        """(N, D)."""

    @property
    def logits(self) -> Tensor:
        """(N, K)."""


class Trainee(Protocol):
    """The network as a loss sees it: images in, `Activations` in training mode out."""

    @property
    def parameters(self) -> Mapping[str, Tensor]:
        """The stage's own trained tensors, by the names of `Stage.parameters`."""

    @property
    def memory(self) -> Mapping[str, Tensor]:
        """What the steps before this one have left, by the names of `Stage.memory`."""

    def __call__(self, images: Tensor) -> Activations:
        """Images (M, H, W, 3) of 0..255, bytes or floats."""

    def taught(self, images: Tensor) -> Activations:
        """What the stage's teacher says of such images; no gradient reaches it."""

    def remember(self, name: str, value: Tensor) -> None:
        """Leave a tensor of the same shape in `memory` for the next step; no gradient is kept."""


@dataclass(frozen=True)
class Batch:
    """Tensors of the running framework.

    Attributes:
        views: of the same N images, one for each of the stage's augmentations: (N, H, W, 3) uint8
            RGB each.
        labels: (N,) integers; of several diseases (N, D), UNLABELLED where not known.
        inputs: what the stage's `inputs` gave for this batch, and its rows of `beside`.
        unlabelled: views of M further images whose labels nobody sees, one for each of the stage's
            `unlabelled_views`: (M, H, W, 3) uint8 RGB each.
    """

    views: tuple[Tensor, ...]
    labels: Tensor
    inputs: Mapping[str, Tensor] = field(default_factory=dict)
    unlabelled: tuple[Tensor, ...] = ()

    @property
    def images(self) -> Tensor:
        """The first view."""
        return self.views[0]


class Survey(Protocol):
    """What the network says of the training images, as the stages so far have left it.

    It is asked in inference mode, of images that are not augmented. Of unlabelled images there is
    no label anywhere.
    """

    def unlabelled(self) -> np.ndarray:
        """Softmax probabilities (M, K) float32 of the unlabelled images."""

    def features(self) -> tuple[np.ndarray, np.ndarray]:
        """Of the labelled images (N, D) and of the unlabelled ones (M, D), float32."""

    def logits(self) -> np.ndarray:
        """Of the labelled images (N, K), float32."""

    def validation(self, classifiers: Sequence[Callable[[np.ndarray], np.ndarray]]) -> np.ndarray:
        """(C, 1 + R) the task's validation scores of C classifiers on features.

        Each makes probabilities (V, K) of features (V, D). Its first score is that of the
        validation images as they are, the others those of R bootstrap resamples of their groups,
        the same ones for all.
        """


@dataclass(frozen=True)
class Part:
    """What a network says of one disease of several.

    Attributes:
        name: of the disease.
        logits: which of the K logits, side by side, are its grades'.
    """

    name: str
    logits: slice


@dataclass(frozen=True)
class Context:
    """What a method may look at: training labels, never those of the test part.

    Attributes:
        labels: (N,) int64 labels of the labelled training images; of a joint method (N, D), one
            column for each disease, UNLABELLED where not known.
        classes: class names in label order; of a joint method those of all diseases, in theirs.
        recipe: the run's training settings.
        features: D, the length of the network's features.
        seed: of the run.
        unlabelled: M, how many training images have no label.
        survey: looks at the network between two stages.
        parts: of a joint method, the diseases, in the order of the labels' columns.
    """

    labels: np.ndarray
    classes: tuple[str, ...]
    recipe: Recipe
    features: int
    seed: int = 0
    unlabelled: int = 0
    survey: Survey | None = None
    parts: tuple[Part, ...] = ()

    def class_counts(self) -> np.ndarray:
        """Training images per class, (K,) int64."""
        return np.bincount(self.labels, minlength=len(self.classes))


@dataclass(frozen=True)
class Teacher:
    """A second network, of the same architecture, that is an average of the first over its steps.

    It starts as the network does and takes a part of the network's weights after every step, and
    its BatchNorm statistics as they are (as FixMatch's code, which averages what is trained only).
    With `training` the statistics are those of the teacher's own passes.

    Attributes:
        keeps: `keeps(step)` -> the share of itself, in 0..1, that it keeps after that step; steps
            of a stage count from 0.
        training: whether it judges in training mode, dropout and batch statistics included.
        judged: whether validation, the survey and whatever follows the stage see it instead of the
            network; it is then what the stage leaves.
    """

    keeps: Callable[[int], float]
    training: bool = False
    judged: bool = True


@dataclass(frozen=True)
class Picks:
    """Unlabelled images that are trained on as if their labels were known.

    Attributes:
        places: (P,) int64, which of the M unlabelled images, none twice.
        labels: (P,) int64, what the method takes them for.
    """

    places: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Stage:
    """One stretch of training.

    An epoch is as many images as the training part has, labelled or not, whatever share of them is
    labelled: the labelled ones come again and again, each as often as the others. So all methods
    take as many steps, at every label fraction (ours).

    Attributes:
        name: shown in the progress line and in the record; no two stages of a method share one.
        loss: `loss(network, batch)` -> scalar tensor.
        recipe: epochs, optimiser, schedule, what is frozen, augmentation.
        views: an augmentation for each view of an image; None: one, the recipe's; (): the loss
            looks at no labelled image, and none is read.
        inputs: `inputs(epoch, size, generator)` -> arrays that the loss gets with each batch, of
            the same names, shapes and dtypes every time; epochs count from 0, `size` is N.
        parameters: further arrays to be trained, float32, such as a projection head's.
        memory: further arrays, float32, that the loss keeps from step to step.
        unlabelled_views: an augmentation for each view of images without labels: all training
            images in random order, the labelled ones too, without their labels.
        unlabelled_ratio: how many of these a batch has for each labelled one.
        picks: unlabelled images that join the labelled ones.
        teacher: the average that goes with the network.
        new_network: whether the stage starts from the weights that the first one started from.
        class_shares: (K,) probabilities: an epoch draws as many images as there are, with
            replacement, their classes in these shares; None: every image once.
        new_head: whether the head is drawn anew, from the run's seed, before the stage.
        choose: keep the epoch of the best validation score; False: the last, unvalidated.
        of: (P,) int64, which of the N labelled images it trains on, none twice; None: all.
        beside: arrays (N, ...), a row for each labelled image, of which the loss gets the batch's.
        judged_by: of a joint method, the diseases, by number, whose validation score chooses the
            epoch: the mean of theirs; None: all.
    """

    name: str
    loss: Callable[[Trainee, Batch], Tensor]
    recipe: Recipe
    views: tuple[Augmentation, ...] | None = None
    inputs: Callable[[int, int, np.random.Generator], dict[str, np.ndarray]] | None = None
    parameters: Mapping[str, np.ndarray] = field(default_factory=dict)
    memory: Mapping[str, np.ndarray] = field(default_factory=dict)
    unlabelled_views: tuple[Augmentation, ...] = ()
    unlabelled_ratio: int = 1
    picks: Picks | None = None
    teacher: Teacher | None = None
    new_network: bool = False
    class_shares: np.ndarray | None = None
    new_head: bool = False
    choose: bool = True
    of: np.ndarray | None = None
    beside: Mapping[str, np.ndarray] = field(default_factory=dict)
    judged_by: tuple[int, ...] | None = None


def on_logits(loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Trainee, Batch], Tensor]:
    """A stage's loss from one of a batch's logits (N, K) and labels (N,)."""
    return lambda network, batch: loss(network(batch.images).logits, batch.labels)


@dataclass(frozen=True)
class LogitScaling:
    """New logits = `scale` * logits + `shift`, (K,) each, by changing the classifier's weights."""

    name: str
    scale: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True)
class Adjustment:
    """A change of the trained classifier without training.

    Attributes:
        name: as of a stage.
        candidates: `candidates(kernel (D, K), bias (K,))` -> what to choose from by validation
            score, a tie keeping the earlier one; a single one is taken as it is.
    """

    name: str
    candidates: Callable[[np.ndarray, np.ndarray], Sequence[LogitScaling]]


class Method(ABC):
    """A published way to train. Subclasses say where it is from.

    Class attributes:
        name: as typed on the command line.
        summary: one line for `list`.
        paper: citation, or "textbook".
        frameworks: the frameworks it runs in.
        Options: its settings, each changed by --method-option.
        settings: what else `describe` tells, such as what is fixed: name to text with its source.
        trains: False: the network of --weights is scored as it is, head included.
        caveat: what a reader of its records must know.
        head: the network's head, where the method needs one of its own; see `Recipe.head`.
        paper_run: the settings of --budget paper; None: the data set's, or else those of the
            DermXDB benchmark.
        batch_statistics: whether test images too are normalised by their own batch.
        takes_class_weights: whether it heeds `Recipe.class_weights`.
        explained_with: the explainer that shows why, on some test images; "": none.
        joint: whether it trains one network for all diseases of a task that grades several; the
            others train one for each.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[str]
    frameworks: ClassVar[frozenset[str]] = frozenset({"torch", "keras"})
    Options: ClassVar[type[config.Options]] = config.Options
    settings: ClassVar[dict[str, str]] = {}
    trains: ClassVar[bool] = True
    caveat: ClassVar[str] = ""
    head: ClassVar[str | None] = None
    paper_run: ClassVar[PaperRun | None] = None
    batch_statistics: ClassVar[bool] = False
    takes_class_weights: ClassVar[bool] = False
    explained_with: ClassVar[str] = ""
    joint: ClassVar[bool] = False
    # Of the class's own `Options`.
    options: Any

    def __init__(self, options: config.Options | None = None) -> None:
        self.options = self.Options() if options is None else options

    def notes(self, diseases: Sequence[str]) -> tuple[str, ...]:
        """What a reader of the record must know of a run on these diseases, () of other tasks.

        Raises:
            UserError: the options speak of other diseases.
        """
        return (self.caveat,) if self.caveat else ()

    @abstractmethod
    def stages(self, context: Context) -> Iterator[Stage | Adjustment]:
        """The stages, in order. A generator, so that a stage may depend on an earlier one."""
