"""What a framework must offer to be trained and asked; one subclass for each framework."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np

from architectures.network import Network
from benchmark.errors import UserError
from benchmark.methods.base import Stage

# Adam's epsilon differs between the libraries' defaults (torch 1e-8, Keras 1e-7); here it does not.
ADAM_EPSILON = 1e-8
SGD_MOMENTUM = 0.9


class Engine(ABC):
    """Trains one network, stage by stage, and computes with it.

    All images are (N, H, W, 3) uint8 RGB numpy arrays; everything comes back as numpy.
    """

    network: Network

    @abstractmethod
    def begin(self, stage: Stage) -> None:
        """Freeze what the stage freezes and start a fresh optimiser."""

    @abstractmethod
    def train_step(self, images: np.ndarray, labels: np.ndarray, learning_rate: float) -> Any:
        """One optimiser step; gives the loss as a scalar that `float()` reads when it is wanted."""

    @abstractmethod
    def predict(self, batches: Iterator[np.ndarray]) -> np.ndarray:
        """Softmax probabilities in inference mode: (N, K) float32."""

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
