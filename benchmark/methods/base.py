"""What a training method is: a list of stages, each with a loss on whatever tensors the engine has.

A method knows losses, not engines: `training/loop.py` runs its stages.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np

from benchmark import config
from benchmark.config import Augmentation, PaperRun, Recipe

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

    def __call__(self, images: Tensor) -> Activations:
        """Images (M, H, W, 3) of 0..255, bytes or floats."""


@dataclass(frozen=True)
class Batch:
    """Tensors of the running framework.

    Attributes:
        views: of the same N images, one for each of the stage's augmentations: (N, H, W, 3) uint8
            RGB each.
        labels: (N,) integers.
        inputs: what the stage's `inputs` gave for this batch.
    """

    views: tuple[Tensor, ...]
    labels: Tensor
    inputs: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def images(self) -> Tensor:
        """The first view."""
        return self.views[0]


@dataclass(frozen=True)
class Context:
    """What a method may look at before it trains: training labels, never those of the test part.

    Attributes:
        labels: (N,) int64 labels of the training images.
        classes: class names in label order.
        recipe: the run's training settings.
        features: D, the length of the network's features.
        seed: of the run.
    """

    labels: np.ndarray
    classes: tuple[str, ...]
    recipe: Recipe
    features: int
    seed: int = 0

    def class_counts(self) -> np.ndarray:
        """Training images per class, (K,) int64."""
        return np.bincount(self.labels, minlength=len(self.classes))


@dataclass(frozen=True)
class Stage:
    """One stretch of training.

    Attributes:
        name: shown in the progress line and in the record; no two stages of a method share one.
        loss: `loss(network, batch)` -> scalar tensor.
        recipe: epochs, optimiser, schedule, what is frozen, augmentation.
        views: an augmentation for each view of an image; None: one, the recipe's.
        inputs: `inputs(epoch, size, generator)` -> arrays that the loss gets with each batch, of
            the same names, shapes and dtypes every time; epochs count from 0, `size` is N.
        parameters: further arrays to be trained, float32, such as a projection head's.
        class_shares: (K,) probabilities: an epoch draws as many images as there are, with
            replacement, their classes in these shares; None: every image once.
        new_head: whether the head is drawn anew, from the run's seed, before the stage.
        choose: keep the epoch of the best validation score; False: the last, unvalidated.
    """

    name: str
    loss: Callable[[Trainee, Batch], Tensor]
    recipe: Recipe
    views: tuple[Augmentation, ...] | None = None
    inputs: Callable[[int, int, np.random.Generator], dict[str, np.ndarray]] | None = None
    parameters: Mapping[str, np.ndarray] = field(default_factory=dict)
    class_shares: np.ndarray | None = None
    new_head: bool = False
    choose: bool = True


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
        paper_run: the settings of --budget paper; None: those of the DermXDB benchmark.
        batch_statistics: whether test images too are normalised by their own batch.
        takes_class_weights: whether it heeds `Recipe.class_weights`.
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
    # Of the class's own `Options`.
    options: Any

    def __init__(self, options: config.Options | None = None) -> None:
        self.options = self.Options() if options is None else options

    @abstractmethod
    def stages(self, context: Context) -> Iterator[Stage | Adjustment]:
        """The stages, in order. A generator, so that a stage may depend on an earlier one."""
