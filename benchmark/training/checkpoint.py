"""A stage's state between two steps, in a safetensors file: nothing in it is ever unpickled.

Two are kept, the newest and the one before it: a file that a failing disk has damaged costs the
epochs since the other.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from benchmark.common.files import write_tensors

_PARTS = ("weights", "best", "optimiser")


@dataclass
class Begun:
    """How far an epoch has come.

    Attributes:
        losses: of each step; scalars of the framework, or numbers.
        images: that were trained on.
        seconds: of training.
    """

    losses: list[Any] = field(default_factory=list)
    images: int = 0
    seconds: float = 0.0

    def copy(self) -> "Begun":
        """As it is now."""
        return replace(self, losses=list(self.losses))


@dataclass(frozen=True)
class Checkpoint:
    """Everything the next step depends on; the data order follows from seed, epoch and step alone.

    Attributes:
        epochs: a row for each finished one.
        best_epoch: counted from 1; 0: none is finished.
        begun: of the epoch after these.
        micro_batches: into which each batch is divided.
        weights: of the network, its teacher and the stage.
        best: those of the best epoch.
        optimiser: its state, and the random generators.
    """

    epochs: list[dict[str, Any]]
    best_epoch: int
    begun: Begun
    micro_batches: int
    weights: dict[str, np.ndarray]
    best: dict[str, np.ndarray]
    optimiser: dict[str, np.ndarray]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write atomically, and keep the one of before beside it.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    tensors = {
        f"{part}/{name}": array
        for part in _PARTS
        for name, array in getattr(checkpoint, part).items()
    }
    begun = checkpoint.begun
    log = json.dumps(
        {
            "epochs": checkpoint.epochs,
            "best_epoch": checkpoint.best_epoch,
            "losses": [float(loss) for loss in begun.losses],
            "images": begun.images,
            "seconds": begun.seconds,
            "micro_batches": checkpoint.micro_batches,
        }
    )
    if path.exists():
        # Before the new one is written: there is never a third on the disk.
        path.replace(_previous(path))
    write_tensors(path, tensors, {"log": log, "sha256": _digest(tensors, log)})


def load_checkpoint(path: Path, say: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint that is whole, or None; one that is damaged is named and deleted."""
    found = [place for place in (path, _previous(path)) if place.exists()]
    for place in found:
        try:
            return _read(place)
        except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
            left = "the stage starts over" if place is found[-1] else "the one before it is taken"
            say(f"checkpoint {place} is damaged ({error}): {left}")
            with suppress(OSError):
                place.unlink()
    return None


def _previous(path: Path) -> Path:
    return path.with_name(f"{path.stem}.before{path.suffix}")


def _read(path: Path) -> Checkpoint:
    with safe_open(path, framework="numpy") as stored:
        told = stored.metadata()
        tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
    # safetensors checks names and sizes; a bit that turned over would go unseen.
    if _digest(tensors, told["log"]) != told["sha256"]:
        raise ValueError("its content is not what was written")
    log = json.loads(told["log"])
    parts: dict[str, dict[str, np.ndarray]] = {part: {} for part in _PARTS}
    for key, array in tensors.items():
        part, name = key.split("/", 1)
        parts[part][name] = array
    begun = Begun(log["losses"], log["images"], log["seconds"])
    return Checkpoint(log["epochs"], log["best_epoch"], begun, log["micro_batches"], **parts)


def _digest(tensors: Mapping[str, np.ndarray], log: str) -> str:
    digest = hashlib.sha256(log.encode())
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {array.dtype.str} {tensors[name].shape}".encode())
        digest.update(array.data if array.size else b"")
    return digest.hexdigest()
