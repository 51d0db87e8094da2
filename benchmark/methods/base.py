"""What a training method is: a list of stages, each with a loss on whatever tensors the engine has.

A method knows losses, not engines: `training/loop.py` runs its stages.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from benchmark.config import Recipe

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


@dataclass(frozen=True)
class Batch:
    """Tensors of the running framework: images (N, H, W, 3) uint8 RGB, labels (N,) integers."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Context:
    """What a method may look at before it trains: training labels, never those of the test part.

    Attributes:
        labels: (N,) int64 labels of the training images.
        classes: class names in label order.
        recipe: the run's training settings.
    """

    labels: np.ndarray
    classes: tuple[str, ...]
    recipe: Recipe

    def class_counts(self) -> np.ndarray:
        """Training images per class, (K,) int64."""
        return np.bincount(self.labels, minlength=len(self.classes))


@dataclass(frozen=True)
class Stage:
    """One stretch of training.

    Attributes:
        name: shown in the progress line and in the record.
        loss: `loss(network, batch)` -> scalar tensor; `network(images)` gives `Activations` in
            training mode.
        recipe: epochs, optimiser, schedule, what is frozen, augmentation.
    """

    name: str
    loss: Callable[[Callable[[Tensor], Activations], Batch], Tensor]
    recipe: Recipe


class Method(ABC):
    """A published way to train. Subclasses say where it is from.

    Class attributes:
        name: as typed on the command line.
        summary: one line for `list`.
        paper: citation, or "textbook".
        frameworks: the frameworks it runs in.
        settings: each setting's name to its value and where that comes from, for `describe`.
        trains: False: the network of --weights is scored as it is, head included.
        caveat: what a reader of its records must know.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[str]
    frameworks: ClassVar[frozenset[str]] = frozenset({"torch", "keras"})
    settings: ClassVar[dict[str, str]] = {}
    trains: ClassVar[bool] = True
    caveat: ClassVar[str] = ""

    @abstractmethod
    def stages(self, context: Context) -> Iterator[Stage]:
        """The stages, in order. A generator, so that a stage may depend on an earlier one."""
