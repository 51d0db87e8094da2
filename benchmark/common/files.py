"""Writing files so that a reader never sees half of one."""

import errno
import fcntl
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from benchmark.common.cache import cache_folder
from benchmark.errors import UserError

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NOT_ALLOWED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextmanager
def atomic_path(target: Path, flush: bool = True) -> Iterator[Path]:
    """Yield a temporary path in `target`'s folder; on success flush it to disk and rename it.

    The temporary name keeps the target's suffix, because writers choose a format by it. When the
    body fails, the temporary file is removed and an existing target stays as it was; what a killed
    process left is taken over by the next that writes the target. Without `flush`, what is written
    may be lost when the machine crashes.

    Raises:
        UserError: the folder cannot be written, or the disk is full; names the remedy.
    """
    target = Path(target)
    temporary: Path | None = None
    handle: int | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = _temporary(target)
        yield temporary
        # It was made private; a result is to be read by whoever may read the folder.
        temporary.chmod(0o666 & ~_umask())
        if flush:
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
        os.replace(temporary, target)
        # The name may be another writer's from here on.
        temporary = None
    except OSError as error:
        raise UserError(
            f"cannot write {target}: {error.strerror or error}: {_remedy(target, error)}"
        ) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        if handle is not None:
            os.close(handle)


def _remedy(target: Path, error: OSError) -> str:
    # Which option named the folder is not known here.
    cached = target.is_relative_to(cache_folder())
    other = "name another folder" + (" by DERMBENCH_CACHE" if cached else "")
    if error.errno in _NO_ROOM:
        return f"free some space, or {other}, and run the same command again"
    if error.errno in _NOT_ALLOWED:
        return f"make {target.parent} writable, or {other}"
    return other


def _temporary(target: Path) -> tuple[int, Path]:
    """An empty file beside `target`, ours until its handle is closed.

    All writers of a target have the same name for it, so that killed ones leave one file at most;
    whom another one is ahead of, or who cannot lock it, takes a name of his own.
    """
    common = target.with_name(f".{target.stem}-unfinished{target.suffix}")
    handle: int | None = None
    with suppress(OSError):
        handle = os.open(common, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Until it was locked another one may have renamed or removed it.
        if os.path.samestat(os.fstat(handle), os.stat(common, follow_symlinks=False)):
            os.ftruncate(handle, 0)
            return handle, common
    if handle is not None:
        os.close(handle)
    handle, name = tempfile.mkstemp(
        prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent
    )
    return handle, Path(name)


def write_tensors(
    target: Path, tensors: Mapping[str, np.ndarray], metadata: dict[str, str]
) -> None:
    """Write arrays as a safetensors file, atomically."""
    contiguous = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    with atomic_path(target) as temporary:
        try:
            save_file(contiguous, temporary, metadata=metadata)
        except SafetensorError as error:
            # The library reports a full disk in its own class, the error's number in its text.
            number = re.search(r"os error (\d+)", str(error))
            raise OSError(int(number[1]) if number else None, str(error)) from error


def write_text(target: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(target: Path, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, atomically. NaN and infinity are refused."""
    write_text(target, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def finished(folder: Path, pattern: str) -> list[Path]:
    """The files of a folder whose names are like the pattern, sorted, but those being written.

    A temporary file begins with a dot; a process that was killed leaves one behind.
    """
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
