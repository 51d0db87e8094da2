"""A stage's state between two epochs, in one safetensors file: nothing in it is ever unpickled."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from benchmark.errors import UserError
from benchmark.files import write_tensors

_PARTS = ("weights", "best", "optimiser")


@dataclass(frozen=True)
class Checkpoint:
    """Everything the next epoch depends on; the data order follows from seed and epoch alone."""

    epochs: list[dict[str, Any]]
    best_epoch: int
    weights: dict[str, np.ndarray]
    best: dict[str, np.ndarray]
    optimiser: dict[str, np.ndarray]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write atomically: a kill leaves the checkpoint of before."""
    tensors = {
        f"{part}/{name}": array
        for part in _PARTS
        for name, array in getattr(checkpoint, part).items()
    }
    log = {"epochs": checkpoint.epochs, "best_epoch": checkpoint.best_epoch}
    write_tensors(path, tensors, {"log": json.dumps(log)})


def load_checkpoint(path: Path) -> Checkpoint | None:
    """The checkpoint at `path`, or None where there is none.

    Raises:
        UserError: the file is damaged.
    """
    if not path.exists():
        return None
    parts: dict[str, dict[str, np.ndarray]] = {part: {} for part in _PARTS}
    try:
        with safe_open(path, framework="numpy") as stored:
            log = json.loads(stored.metadata()["log"])
            for key in stored.keys():  # noqa: SIM118 (safe_open is no mapping)
                part, name = key.split("/", 1)
                parts[part][name] = stored.get_tensor(key)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise UserError(
            f"checkpoint {path} is damaged ({error}): delete it and run the same command again;"
            " training starts over from its first epoch"
        ) from error
    return Checkpoint(log["epochs"], log["best_epoch"], **parts)
