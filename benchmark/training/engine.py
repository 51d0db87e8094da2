"""What a framework must offer to be trained and asked; one subclass for each framework."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import softmax

from architectures.network import Network
from benchmark.errors import UserError
from benchmark.methods.base import Activations, Stage, Tensor

# Adam's epsilon differs between the libraries' defaults (torch 1e-8, Keras 1e-7); here it does not.
ADAM_EPSILON = 1e-8
SGD_MOMENTUM = 0.9
# Of the tensors that a stage trains beside the network's.
_OWN = "stage/"


@dataclass(frozen=True)
class InTraining:
    """The network as a loss sees it, see `benchmark.methods.base.Trainee`."""

    forward: Callable[[Tensor], Activations]
    parameters: Mapping[str, Tensor]

    def __call__(self, images: Tensor) -> Activations:
        """Features and logits in training mode."""
        return self.forward(images)


class Engine(ABC):
    """Trains one network, stage by stage, and computes with it.

    All images are (N, H, W, 3) uint8 RGB numpy arrays; everything comes back as numpy.
    """

    network: Network

    def __init__(self, network: Network, seed: int) -> None:
        self.network = network
        self._seed = seed

    def begin(self, stage: Stage) -> None:
        """Draw a new head if the stage wants one, freeze what it freezes, start afresh."""
        if stage.new_head:
            self.network.new_head(self._seed)
        self.network.freeze(stage.recipe.freeze)
        if stage.recipe.bn_momentum is not None:
            self.network.set_bn_momentum(stage.recipe.bn_momentum)
        self._start(stage)

    @abstractmethod
    def _start(self, stage: Stage) -> None:
        """A fresh optimiser of what is trainable now and of the stage's own parameters."""

    @abstractmethod
    def train_step(
        self,
        views: tuple[np.ndarray, ...],
        labels: np.ndarray,
        inputs: Mapping[str, np.ndarray],
        learning_rate: float,
    ) -> Any:
        """One optimiser step; gives the loss as a scalar that `float()` reads when it is wanted."""

    def logits(self, batches: Iterator[np.ndarray], batch_statistics: bool = False) -> np.ndarray:
        """(N, K) float32, in inference mode; the network is left as it was.

        With `batch_statistics` in training mode: BatchNorm uses those of each batch, so that an
        image's logits depend on the others in it.
        """
        if not batch_statistics:
            return np.concatenate([self._logits(images, False) for images in batches])
        before = self.network.tensors()
        try:
            return np.concatenate([self._logits(images, True) for images in batches])
        finally:
            self.network.assign(before)

    def predict(self, batches: Iterator[np.ndarray], batch_statistics: bool = False) -> np.ndarray:
        """Softmax probabilities, (N, K) float32; see `logits`."""
        found: np.ndarray = softmax(self.logits(batches, batch_statistics), axis=1)
        return found

    @abstractmethod
    def _logits(self, images: np.ndarray, training: bool) -> np.ndarray:
        """(B, K) float32 of one batch."""

    def tensors(self) -> dict[str, np.ndarray]:
        """Copies of the network's weights and buffers and of the stage's own parameters."""
        own = {f"{_OWN}{name}": value for name, value in self._own().items()}
        return self.network.tensors() | own

    def assign(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Set all that `tensors` gave, in the same stage."""
        own = {n.removeprefix(_OWN): value for n, value in tensors.items() if n.startswith(_OWN)}
        self.network.assign({n: value for n, value in tensors.items() if not n.startswith(_OWN)})
        self._assign_own(own)

    @abstractmethod
    def _own(self) -> dict[str, np.ndarray]:
        """Copies of the stage's own parameters."""

    @abstractmethod
    def _assign_own(self, values: Mapping[str, np.ndarray]) -> None:
        """Set the stage's own parameters."""

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


def no_cuda(framework: str) -> UserError:
    """The error for `--device cuda` without one."""
    return UserError(
        f"--device cuda: {framework} sees no CUDA device here; use --device cpu, or install a"
        f" {framework} build that matches the driver"
    )
