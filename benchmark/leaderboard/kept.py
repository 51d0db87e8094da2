"""Files of an earlier build that this one would write again, and that are left alone."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.leaderboard.folder import OwnFolder
from benchmark.records.index import Index

# Size in bytes, and when it was written; None where there is no file.
Stat = tuple[int, int] | None


class Kept:
    """Knows what files of a folder were made of, and how they were when they were written.

    They are left alone while they are still so and would be made of the same, by the same code: the
    index forgets what other code noted.
    """

    def __init__(self, folder: OwnFolder, index: Index, reuse: bool) -> None:
        """Keep in the index what is written; without `reuse` do neither.

        Args:
            folder: in which the files lie.
            index: where it is noted.
            reuse: False for a folder that the index does not know.
        """
        self._folder, self._index, self._reuse = folder, index, reuse
        self._new: dict[str, str] = {}

    def unchanged(self, name: str, made_of: object) -> bool:
        """Whether the files are there already; they are then the build's own.

        Args:
            name: under which they were noted.
            made_of: all that goes into them; its `repr` tells everything.
        """
        noted = self._index.noted(name) if self._reuse else ""
        if not noted:
            return False
        digest, files = json.loads(noted)
        there = all(stat(self._folder.folder / file) == tuple(was) for file, was in files.items())
        if digest != _digest(made_of) or not there:
            return False
        self._folder.written += files
        return True

    @contextmanager
    def noting(self, name: str, made_of: object) -> Iterator[None]:
        """Note the files that the body writes."""
        before = len(self._folder.written)
        yield
        names = self._folder.written[before:]
        files = {file: stat(self._folder.folder / file) for file in names}
        self._new[name] = json.dumps([_digest(made_of), files])

    def save(self) -> None:
        """Keep what was noted."""
        if self._reuse:
            self._index.note(self._new)
        self._new = {}


def stat(file: Path) -> Stat:
    """What tells whether a file was written again."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _digest(made_of: object) -> str:
    return hashlib.sha256(repr(made_of).encode()).hexdigest()
