"""Which framework this process runs: chosen once, before keras is imported."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec

from architectures.network import Network
from benchmark.errors import UserError, needs_package
from benchmark.training.allocator import keep_freed_memory
from benchmark.training.engine import Engine


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
    keep_freed_memory()
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
