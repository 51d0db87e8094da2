"""Pages of records that an earlier build wrote from the same, and that are left alone."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.leaderboard.folder import OwnFolder
from benchmark.leaderboard.site.pictures import run_folder
from benchmark.records.index import Index
from benchmark.records.record import Record

# Size in bytes, and when it was written.
Stat = tuple[int, int]


class KeptPages:
    """Knows of each record what its page was made of, and the files that were written for it.

    A page is made of the record, of where it stands on the board, of its run folder and of the code
    (the index forgets what other code noted). It is left alone only while all files that belong to
    it are still as they were written.
    """

    def __init__(self, results: Path, folder: OwnFolder, index: Index) -> None:
        self._results, self._folder, self._index = results, folder, index
        self._contents = {head.run_id: head.content for head in index.heads}
        self._new: dict[str, str] = {}

    def unchanged(self, record: Record, told: object) -> bool:
        """Whether the files of a record's page are there already; they are then the build's own.

        Args:
            record: whose page it is.
            told: what the page tells besides.
        """
        noted = self._index.noted(record.run_id)
        made_of, files = json.loads(noted) if noted else ("", {})
        if made_of != self._made_of(record, told):
            return False
        if any(_stat(self._folder.folder / name) != tuple(stat) for name, stat in files.items()):
            return False
        self._folder.written.update(files)
        return True

    @contextmanager
    def written(self, record: Record, told: object) -> Iterator[None]:
        """Note which files the body writes for a record's page."""
        # Before it is read: what changes meanwhile is found next time.
        made_of = self._made_of(record, told)
        before = set(self._folder.written)
        yield
        files = {
            name: _stat(self._folder.folder / name)
            for name in sorted(self._folder.written - before)
        }
        self._new[record.run_id] = json.dumps([made_of, files])

    def save(self) -> None:
        """Keep what was noted."""
        self._index.note(self._new)
        self._new = {}

    def _made_of(self, record: Record, told: object) -> str:
        run = run_folder(self._results, record)
        files = sorted(run.rglob("*")) if run else []
        inside = [(p.relative_to(run).as_posix(), _stat(p)) for p in files] if run else None
        parts = (self._contents[record.run_id], told, inside)
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def _stat(file: Path) -> Stat | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
