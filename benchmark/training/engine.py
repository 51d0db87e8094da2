"""What a framework must offer to be trained and asked; one subclass for each framework."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import softmax

from architectures.network import Network
from benchmark.errors import UserError, out_of_memory
from benchmark.methods.base import Activations, Batch, Stage, Tensor

# Adam's epsilon differs between the libraries' defaults (torch 1e-8, Keras 1e-7); here it does not.
ADAM_EPSILON = 1e-8
SGD_MOMENTUM = 0.9
# Of the tensors that a stage has beside the network's: its own, and its teacher's.
_OWN, _TEACHER = "stage/", "teacher/"


@dataclass(frozen=True)
class InTraining:
    """The network as a loss sees it, see `benchmark.methods.base.Trainee`."""

    forward: Callable[[Tensor], Activations]
    teach: Callable[[Tensor], Activations]
    parameters: Mapping[str, Tensor]
    memory: Mapping[str, Tensor]
    keep: Callable[[str, Tensor], None]

    def __call__(self, images: Tensor) -> Activations:
        """Features and logits in training mode."""
        return self.forward(images)

    def taught(self, images: Tensor) -> Activations:
        """Features and logits of the teacher."""
        return self.teach(images)

    def remember(self, name: str, value: Tensor) -> None:
        """Put a value in the place of what is in memory."""
        self.keep(name, value)


class Engine(ABC):
    """Trains one network, stage by stage, and computes with it.

    All images are (N, H, W, 3) uint8 RGB numpy arrays; everything comes back as numpy.

    Attributes:
        micro_batches: into how many parts images are divided where memory does not suffice for a
            batch's activations; 1: none. The loss still sees all features and logits together: the
            network runs part by part, without keeping what a gradient needs, and once more for the
            gradient of each part, which are added up (GradCache: Gao et al., arXiv 2101.06983). So
            a step is that of the whole batch, whatever the loss, but for what dropout draws and for
            BatchNorm, which normalises each part by its own statistics; the running ones become the
            mean of the parts'. A stage begins undivided.
    """

    network: Network
    micro_batches: int

    def __init__(self, network: Network, seed: int) -> None:
        self.network = network
        self._seed = seed
        self._first = network.tensors()
        self._teacher: Network | None = None
        self._teacher_judged = False

    def begin(self, stage: Stage) -> None:
        """Set the network, or its head, to what the stage starts with; freeze; start afresh."""
        if stage.new_network:
            self.network.assign(self._first)
        if stage.new_head:
            self.network.new_head(self._seed)
        self._teacher = self.network.twin() if stage.teacher else None
        for network in filter(None, (self.network, self._teacher)):
            network.freeze(stage.recipe.freeze)
            if stage.recipe.bn_momentum is not None:
                network.set_bn_momentum(stage.recipe.bn_momentum)
        self._teacher_judged = stage.teacher is not None and stage.teacher.judged
        self.micro_batches = 1
        self._start(stage)

    def end(self) -> None:
        """Leave what the stage's predictions are of, its teacher's where that is judged."""
        if self.judged is not self.network:
            self.network.assign(self.judged.tensors())
        self._teacher = None

    @property
    def judged(self) -> Network:
        """Whose predictions count: the network's, or its teacher's where the stage says so."""
        return self._teacher if self._teacher and self._teacher_judged else self.network

    @abstractmethod
    def _start(self, stage: Stage) -> None:
        """A fresh optimiser of what is trainable now and of the stage's own parameters."""

    @abstractmethod
    def train_step(self, batch: Batch, learning_rate: float, keeps: float = 1.0) -> Any:
        """One optimiser step; gives the loss as a scalar that `float()` reads when it is wanted.

        Args:
            batch: of numpy arrays.
            learning_rate: of this step.
            keeps: the share of itself that the teacher keeps after it.
        """

    def logits(self, batches: Iterator[np.ndarray], batch_statistics: bool = False) -> np.ndarray:
        """(N, K) float32, in inference mode; the network is left as it was.

        With `batch_statistics` in training mode: BatchNorm uses those of each batch, so that an
        image's logits depend on the others in it.
        """
        if not batch_statistics:
            return np.concatenate([self._alone(images) for images in batches])
        before = self.judged.tensors()
        try:
            return np.concatenate([self._logits(images, True) for images in batches])
        finally:
            self.judged.assign(before)

    def _alone(self, images: np.ndarray) -> np.ndarray:
        """Logits that do not depend on the other images: in halves where memory is short."""
        try:
            return self._logits(images, False)
        except Exception as error:
            if len(images) == 1 or not out_of_memory(error):
                raise
        half = len(images) // 2
        return np.concatenate([self._alone(images[:half]), self._alone(images[half:])])

    def predict(self, batches: Iterator[np.ndarray], batch_statistics: bool = False) -> np.ndarray:
        """Softmax probabilities, (N, K) float32, of each disease on its own; see `logits`."""
        return each_softmax(self.logits(batches, batch_statistics), self.network.sizes)

    @abstractmethod
    def _logits(self, images: np.ndarray, training: bool) -> np.ndarray:
        """(B, K) float32 of one batch, by the judged network."""

    def tensors(self) -> dict[str, np.ndarray]:
        """Copies of the network's weights and buffers, of its teacher's and of the stage's own."""
        own = {f"{_OWN}{name}": value for name, value in self._own().items()}
        taught = self._teacher.tensors() if self._teacher else {}
        return self.network.tensors() | own | {f"{_TEACHER}{n}": v for n, v in taught.items()}

    def assign(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Set all that `tensors` gave, in the same stage."""
        own, taught = _below(_OWN, tensors), _below(_TEACHER, tensors)
        self.network.assign(
            {n: v for n, v in tensors.items() if not n.startswith((_OWN, _TEACHER))}
        )
        self._assign_own(own)
        if self._teacher is not None:
            self._teacher.assign(taught)

    @abstractmethod
    def _own(self) -> dict[str, np.ndarray]:
        """Copies of the stage's own parameters and of its memory."""

    @abstractmethod
    def _assign_own(self, values: Mapping[str, np.ndarray]) -> None:
        """Set the stage's own parameters and its memory."""

    @abstractmethod
    def optimiser_state(self) -> dict[str, np.ndarray]:
        """Everything besides the weights that the next step depends on."""

    @abstractmethod
    def restore_optimiser(self, state: dict[str, np.ndarray]) -> None:
        """Put back what `optimiser_state` gave, after `begin` of the same stage."""

    @abstractmethod
    def device(self) -> dict[str, str]:
        """Where and how it computes: device name, precision, memory layout."""

    @abstractmethod
    def peak_device_memory(self) -> int | None:
        """Most bytes held on the accelerator so far; None on a CPU."""


def each_softmax(logits: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """(N, K) softmax of logits (N, K), of each run of these sizes on its own."""
    parts = np.split(logits, np.cumsum(sizes)[:-1], axis=1)
    return np.concatenate([softmax(part, axis=1) for part in parts], axis=1)


def scalar(stage: Stage, loss: Tensor) -> Tensor:
    """The stage's loss of a batch, as it is.

    Raises:
        UserError: it is not a scalar, of which Keras would train the sum without a word.
    """
    if tuple(loss.shape):
        raise UserError(
            f"stage {stage.name}: the loss has the shape {tuple(loss.shape)}: let it return a"
            " scalar, such as ops.mean(loss)"
        )
    return loss


def parts(count: int, micro_batches: int) -> list[slice]:
    """The parts of so many images, each every so many-th: groups side by side are in all parts."""
    return [slice(first, count, micro_batches) for first in range(min(micro_batches, count))]


def back_in_order(count: int, micro_batches: int) -> np.ndarray:
    """(count,) int64: where each image is when its parts stand one after the other."""
    return np.argsort(np.concatenate([np.arange(count)[p] for p in parts(count, micro_batches)]))


def _below(prefix: str, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}


def no_cuda(framework: str) -> UserError:
    """The error for `--device cuda` without one."""
    return UserError(
        f"--device cuda: {framework} sees no CUDA device here; use --device cpu, or install a"
        f" {framework} build that matches the driver"
    )
