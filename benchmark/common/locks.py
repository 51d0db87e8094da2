"""Locks that end with the process that holds them, however it ends.

They are the operating system's (`flock`), on a file that stays. On a network file system they hold
between machines where it says so: NFS from version 4 on and Lustre mounted with `flock` do, one
mounted with `nolock` or `local_lock` keeps apart only the processes of one machine.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, SoftFileLock, Timeout

from benchmark.errors import UserError


class NoLocksError(UserError):
    """A file system on which nothing can be locked."""


def take(path: Path, wait: float = 0.0) -> FileLock | None:
    """The lock on `path`, to be released by whoever takes it; None where another process has it.

    Args:
        path: of the file, which is made where there is none.
        wait: seconds to wait for it.

    Raises:
        NoLocksError: its file system has none.
        UserError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        lock.acquire(timeout=wait)
    except Timeout:
        return None
    except OSError as error:
        raise UserError(
            f"cannot lock {path}: {error.strerror or error}: choose another results folder (--out)"
        ) from error
    if isinstance(lock, SoftFileLock):
        # What filelock falls back to would outlive a process that is killed.
        lock.release()
        raise NoLocksError(
            f"cannot lock {path}: its file system has no locks: choose another results folder"
            " (--out)"
        )
    return lock


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """While the body runs the lock is held; False where another process has it.

    Where nothing can be locked the body runs all the same, for a single process needs no lock.
    """
    try:
        lock = take(path)
    except NoLocksError:
        yield True
        return
    try:
        yield lock is not None
    finally:
        if lock is not None:
            lock.release()
