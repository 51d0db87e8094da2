"""Folders for a while: whoever makes one holds it, and clears away those that nobody holds."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmark.common import locks
from benchmark.errors import UserError

# A folder this young may not be locked yet.
_YOUNG_SECONDS = 60.0
_LOCK = "held.lock"


@contextmanager
def folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder below `parent`, gone after the body.

    Folders of this prefix whose process was killed go first.

    Raises:
        UserError: the parent cannot be written or knows no locks.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for old in parent.glob(f"{prefix}*"):
        with suppress(OSError, UserError):
            _clear(old)
    own = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    lock = locks.take(own / _LOCK)
    try:
        yield own
    finally:
        if lock is not None:
            lock.release()
        shutil.rmtree(own, ignore_errors=True)


def _clear(old: Path) -> None:
    about = old.stat()
    # In a folder that all may write, others' are left alone.
    if about.st_uid != os.getuid() or time.time() - about.st_mtime < _YOUNG_SECONDS:
        return
    lock = locks.take(old / _LOCK)
    if lock is not None:
        shutil.rmtree(old, ignore_errors=True)
        lock.release()
