"""A folder that a build owns: written file by file, rid of its own old files, never of others'."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from benchmark.common.files import atomic_path, write_text
from benchmark.errors import UserError

# The files that a build wrote, one a line. What is not in it is the user's.
LIST = "files.txt"


class OwnFolder:
    """Writes the files of a build into a folder; `rebuilt` makes one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # In the order of writing, now and then twice.
        self.written: list[str] = []

    def own(self, name: str) -> Path:
        """The path of a file that the caller writes."""
        self.written.append(name)
        return self.folder / name

    def write(self, name: str, content: bytes) -> None:
        """Write one file, atomically; one that holds these bytes already is left alone.

        Args:
            name: its path relative to the folder, with slashes.
            content: the whole file.

        Raises:
            UserError: the folder cannot be written.
        """
        target = self.own(name)
        # A rebuild after one more record touches the pages that changed, and no others.
        with suppress(OSError):
            if target.read_bytes() == content:
                return
        # Not flushed: it can be made again, and of many files that is most of the time.
        with atomic_path(target, flush=False) as temporary:
            temporary.write_bytes(content)


@contextmanager
def rebuilt(folder: Path) -> Iterator[OwnFolder]:
    """Yield the folder to write into; on success remove what an earlier build wrote besides.

    Raises:
        UserError: the folder or a file in it cannot be written or removed.
    """
    site, earlier = OwnFolder(folder), listed(folder / LIST)
    try:
        yield site
    except BaseException:
        # What is there by now stays known as ours.
        _list(folder, earlier.union(site.written))
        raise
    for name in sorted(earlier.difference(site.written)):
        _remove(folder, name)
    _list(folder, site.written)


def _list(folder: Path, names: Iterable[str]) -> None:
    write_text(folder / LIST, "".join(f"{name}\n" for name in sorted(set(names))))


def listed(file: Path) -> set[str]:
    """The files of an earlier build; an edited list cannot name what lies elsewhere."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return set()
    except (OSError, ValueError) as error:
        raise UserError(
            f"{file} cannot be read ({error}): it lists the files of the earlier build; delete it"
            " together with them"
        ) from error
    paths = ((line, PurePosixPath(line)) for line in lines if line and line != LIST)
    return {line for line, p in paths if not p.is_absolute() and ".." not in p.parts}


def _remove(folder: Path, name: str) -> None:
    target = folder / name
    # Through a link that somebody put there lies something that is not ours.
    if not target.resolve().is_relative_to(folder.resolve()) or not target.is_file():
        return
    try:
        target.unlink()
    except OSError as error:
        raise UserError(
            f"cannot remove {target}, a file of the earlier build: {error.strerror or error}"
        ) from error
    for parent in target.relative_to(folder).parents[:-1]:
        with suppress(OSError):  # a folder that still holds something stays
            (folder / parent).rmdir()
