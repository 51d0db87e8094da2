"""Data sets: `load` gives one as a table of samples with masks and a fingerprint."""

import os
from pathlib import Path
from typing import Any

from benchmark.data.dataset import Dataset
from benchmark.data.sound import require_sound
from benchmark.errors import UserError
from benchmark.registry import DATASETS

__all__ = ["Dataset", "load", "located"]


def load(name: str, data_dir: str | Path | None = None, **options: Any) -> Dataset:
    """Read the data set `name` from `data_dir`.

    Args:
        name: a registered layout: "synthetic", "isic2018", "dermxdb", "medmnist", "folder", ...
        data_dir: where it lies: a path, or the name of a folder below $DERMBENCH_DATA.
            `synthetic` needs none, it is rendered into the cache.
        options: the layout's own, see `python -m benchmark describe NAME`.

    Raises:
        UserError: unknown name, unknown option, no folder given, or the layout gives no sound
            `Dataset`.
        DataError: the folder does not hold what the layout promises.
    """
    layout = DATASETS.get(name)
    known = layout.options or {}
    for option in options:
        if option not in known:
            raise UserError(
                f"dataset {name!r} has no option {option!r}; its options:"
                f" {', '.join(known) or 'none'}"
            )
    if data_dir is None and layout.needs_data_dir:
        raise UserError(
            f"dataset {name!r} is read from your disk: add --data-dir DIR. It expects"
            f" {layout.expects}"
        )
    root = None if data_dir is None else _find(Path(data_dir).expanduser())
    dataset = layout.read(root, **options)
    require_sound(name, dataset)
    return dataset


def located(path: Path) -> Path | None:
    """Where what is called `path` lies: there, or below $DERMBENCH_DATA; None if nowhere."""
    if path.exists():
        return path
    below = os.environ.get("DERMBENCH_DATA")
    if below and not path.is_absolute() and (Path(below) / path).exists():
        return Path(below) / path
    return None


def _find(path: Path) -> Path:
    if found := located(path):
        return found
    below = os.environ.get("DERMBENCH_DATA")
    looked = f" (nor below DERMBENCH_DATA={below})" if below else ""
    raise UserError(f"data folder {path} does not exist{looked}: check the path")
