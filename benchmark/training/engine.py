"""What a framework must offer to be trained and asked. One subclass each, loaded when needed."""

import os
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from architectures.network import Network
from benchmark.errors import UserError, needs_package
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


def select_backend(framework: str) -> None:
    """Choose the Keras backend that the losses of this process run on, before keras is imported.

    Raises:
        UserError: the framework's packages are not installed, or this process runs the other one.
    """
    backend = {"torch": "torch", "keras": "tensorflow"}[framework]
    for package in ("keras", backend):
        if find_spec(package) is None:
            raise needs_package(package, framework, f"--framework {framework}")
    chosen = _running_backend()
    if chosen not in (None, backend):
        raise UserError(
            f"this process already runs Keras on {chosen}; one process runs one framework: start"
            f" another process for --framework {framework}"
        )
    os.environ["KERAS_BACKEND"] = backend
    if framework == "keras":
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with _native_messages_held_back():
            import_module("tensorflow")


def make_engine(network: Network, device: str, seed: int) -> Engine:
    """The engine of the network's framework.

    Args:
        network: as built by `architectures.build`.
        device: "auto", "cpu" or "cuda".
        seed: of dropout.

    Raises:
        UserError: "cuda" is asked for and there is none.
    """
    if network.framework == "torch":
        from benchmark.training.torch_engine import TorchEngine

        return TorchEngine(network, device, seed)
    from benchmark.training.keras_engine import KerasEngine

    return KerasEngine(network, device, seed)


def no_cuda(framework: str) -> UserError:
    """The error for `--device cuda` without one."""
    return UserError(
        f"--device cuda: {framework} sees no CUDA device here; use --device cpu, or install a"
        f" {framework} build that matches the driver"
    )


@contextmanager
def _native_messages_held_back() -> Iterator[None]:
    """Keep what C++ code writes to stderr off the screen, unless the body fails.

    TensorFlow announces what it was compiled with before any log level is heeded.
    """
    with tempfile.TemporaryFile() as held:
        stderr = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def _running_backend() -> str | None:
    if "keras" not in sys.modules:
        return None
    return str(import_module("keras").backend.backend())
