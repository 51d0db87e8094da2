"""What the rendered data sets share: ranges of options, and rendering once, never half a set."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from benchmark.common.cache import cache_folder
from benchmark.common.progress import TerminalDisplay
from benchmark.data.images import SUFFIXES
from benchmark.errors import UserError

_TABLES = (".csv", ".npz")


def rendered(
    name: str,
    root: Path | None,
    identity: Mapping[str, int],
    write: Callable[[Path], Iterable[int]],
    total: int,
) -> Path:
    """The folder of a rendered data set, written on first use.

    Args:
        name: of the data set.
        root: where to render; None is the cache folder.
        identity: everything the bytes depend on, a version included.
        write: fills an empty folder, yielding after each of `total` images.
        total: number of images.

    Raises:
        UserError: the folder cannot be written, or holds a data set of somebody's own.
    """
    key = hashlib.sha256(json.dumps(dict(identity), sort_keys=True).encode()).hexdigest()[:12]
    folder = (root or cache_folder()) / f"{name}-{key}"
    if folder.is_dir():
        return folder
    temporary: Path | None = None
    try:
        if root is not None and (own := _own_data(root)):
            raise UserError(
                f"{root} holds {own.relative_to(root)}, and data set {name} would be rendered among"
                " your files: to read them, name their layout, such as --dataset folder; to render,"
                " name an empty folder"
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        temporary.chmod(0o755)
        for _ in TerminalDisplay().track(write(temporary), f"rendering {name}", total):
            pass
        try:
            os.replace(temporary, folder)
        except OSError:
            # Another process rendered the same data set meanwhile; the bytes are the same.
            if not folder.is_dir():
                raise
    except OSError as error:
        raise UserError(
            f"cannot write the data set {name} to {folder.parent}: {error.strerror or error}."
            " Free some space, or set DERMBENCH_CACHE to a folder that you can write"
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _own_data(root: Path) -> Path | None:
    """An image or a table in the folder, or an image up to two folders below, if there is one.

    What was rendered there earlier, and what is hidden, is passed over.
    """
    entries = sorted(root.iterdir()) if root.is_dir() else []
    for entry in entries:
        if entry.name.startswith(".") or re.fullmatch(r"synthetic.*-[0-9a-f]{12}", entry.name):
            continue
        if entry.suffix.lower() in (*SUFFIXES, *_TABLES):
            return entry
        for pattern in ("*", "*/*") if entry.is_dir() else ():
            found = (path for path in entry.glob(pattern) if path.suffix.lower() in SUFFIXES)
            if (first := next(found, None)) is not None:
                return first
    return None


def check_range(name: str, option: str, value: int, least: int, most: int) -> None:
    """An option of the rendered data set `name` is a whole number from `least` to `most`.

    Raises:
        UserError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UserError(
            f"dataset {name!r}: {option}={value!r} is not a whole number from {least} to {most}"
        )
