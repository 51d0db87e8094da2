"""The paths that a run's settings name, so that its data can be had on another machine.

Data are the same where names and sizes of all files are; they are shipped under a name that stands
for every byte.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmark.config import RunConfig
from benchmark.data import located
from benchmark.data.images import content_hash
from benchmark.errors import UserError
from benchmark.registry import TASKS

# A name that a folder on another machine can have, so that the record names it as it does at home.
_NAMELESS = ("", ".", "..")

# A file's name below the place, and its size in bytes; "" is the place itself.
Listing = list[tuple[str, int]]
# The number of a file in a listing, and a byte of it.
At = tuple[int, int]
# A file's name, and from some byte on what is in it.
Part = tuple[str, int, bytes]


def named(config: RunConfig) -> list[str]:
    """Every folder and file that the settings name, as they are written there."""
    found: dict[str, None] = {}

    def note(path: str) -> str:
        found[path] = None
        return path

    _mapped(config, note)
    return list(found)


def moved(config: RunConfig, places: Mapping[str, str]) -> RunConfig:
    """The settings with some of these paths replaced by others."""
    return _mapped(config, lambda path: places.get(path, path))


def _mapped(config: RunConfig, change: Callable[[str], str]) -> RunConfig:
    paths = TASKS.get(config.task).Options.paths
    asked = config.task_options
    weights = config.weights
    return config.model_copy(
        update={
            "data_dir": None if config.data_dir is None else change(config.data_dir),
            "pretrain_on": tuple(_pretraining(item, change) for item in config.pretrain_on),
            # A name such as imagenet is fetched by each machine for itself.
            "weights": change(weights) if Path(weights).suffix else weights,
            "task_options": {
                name: change(value) if name in paths and isinstance(value, str) else value
                for name, value in asked.items()
            },
            "dataset_options": {
                name: _several(value, change) for name, value in config.dataset_options.items()
            },
        }
    )


def _pretraining(item: str, change: Callable[[str], str]) -> str:
    name, colon, path = item.partition(":")
    return f"{name}{colon}{change(path)}" if path else item


def _several(value: Any, change: Callable[[str], str]) -> Any:
    """Of a layout's options those are paths that have a slash; one may be several paths."""
    if not (isinstance(value, str) and "/" in value):
        return value
    if Path(value).expanduser().exists():
        return change(value)
    return os.pathsep.join(map(change, value.split(os.pathsep)))


def found(path: str) -> Path | None:
    """Where it lies on this machine; None if nowhere."""
    place = located(Path(path).expanduser())
    return None if place is None else place.resolve()


def listing(place: Path) -> Listing:
    """Every file below a place, by name; its own name is empty where it is a file."""
    if place.is_file():
        return [("", place.stat().st_size)]
    return sorted(_walk(place))


def _walk(place: Path) -> Iterator[tuple[str, int]]:
    # What links lead to is part of the data.
    for folder, _, names in os.walk(place, followlinks=True):
        for name in names:
            file = Path(folder, name)
            if file.is_file():
                yield str(file.relative_to(place)), file.stat().st_size


def outline(files: Listing) -> str:
    """Stands for the names and sizes of files."""
    return _digest(map(repr, files))


def content(place: Path, files: Listing) -> str:
    """Stands for the names and all bytes of the files of a place, which are read."""
    return _digest(repr((name, content_hash(str(place / name)))) for name, _ in files)


def _digest(lines: Iterator[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def shipped_name(path: str) -> str:
    """What a copy of the place is called.

    Raises:
        UserError: it has no name of its own.
    """
    name = Path(path).name
    if name in _NAMELESS:
        raise UserError(f"{path} is not on every machine: give the folder by its name to ship it")
    return name


def piece(place: Path, names: Listing, at: At, most: int) -> tuple[list[Part], At | None]:
    """Some of the files of a place, from some byte of one of them on.

    Args:
        place: a folder or a file.
        names: its listing.
        at: where to begin.
        most: bytes, in sum.

    Returns:
        Names with offset and bytes, an empty file with none; and where to go on, None at the end.
    """
    parts: list[Part] = []
    number, offset = at
    while number < len(names) and most > 0:
        name = names[number][0]
        with (place / name).open("rb") as file:
            file.seek(offset)
            part = file.read(most)
            ended = not file.read(1)
        parts.append((name, offset, part))
        most -= len(part)
        number, offset = (number + 1, 0) if ended else (number, offset + len(part))
    return parts, (number, offset) if number < len(names) else None


def put(place: Path, parts: list[Part]) -> None:
    """Write such parts below a place, which is a folder, or a file where the name is empty."""
    for name, offset, content in parts:
        target = place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("ab" if offset else "wb") as file:
            file.write(content)
