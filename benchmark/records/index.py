"""What the record files of a folder hold, kept so that an unchanged file is not opened again.

A cache in one SQLite file per folder of records: it may be deleted at any time. What is damaged in
it, or was written by other code, is made anew from the records.
"""

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from sys import intern
from typing import Any, NamedTuple, TypeVar

from benchmark.common.cache import cache_folder
from benchmark.data.pixels import Progress, silent
from benchmark.errors import UserError
from benchmark.records import sources
from benchmark.records.record import Baseline, Record, text
from benchmark.records.store import Stat, Store, parsed

# Rows per transaction: what an interrupted first build does not have to do again.
_BATCH = 500
# Seconds to wait for another build that writes.
_PATIENCE = 60.0

_TABLES = (
    "CREATE TABLE IF NOT EXISTS records (name TEXT PRIMARY KEY, size INTEGER, mtime INTEGER,"
    " ctime INTEGER, head TEXT, checksum INTEGER, content BLOB)",
    # Most records of one question have the same floors and ceilings.
    "CREATE TABLE IF NOT EXISTS baselines (digest TEXT PRIMARY KEY, content TEXT)",
    "CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, text TEXT, checksum INTEGER)",
)

Item = TypeVar("Item")


class Head(NamedTuple):
    """What tells one record from another. `content` is the SHA-256 of its file.

    `value` is the headline's, None where it is undefined or missing; `weights` is the kind that the
    run started with. Settings that are no text are told as text.
    """

    run_id: str
    content: str
    task: str
    task_version: str
    data: str
    dataset: str
    arch: str
    framework: str
    method: str
    seed: str
    headline: str
    value: float | None
    weights: str

    @property
    def part(self) -> tuple[str, str, str]:
        """Task, its version and the data: only records that agree in them are compared at all."""
        return self.task, self.task_version, self.data


class _Known(NamedTuple):
    """A file as it was when it was read: when it was written, and its head or its fault."""

    stat: Stat
    head: Head | None
    fault: str


class Index:
    """The records of one folder; `opened` makes one. All that it says is of that moment."""

    def __init__(self, store: Store, database: sqlite3.Connection) -> None:
        self._store, self._database = store, database
        self._files: dict[str, _Known] = {}

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *error: object) -> None:
        self._database.close()

    @property
    def heads(self) -> Iterator[Head]:
        """Of every readable record, by run id."""
        return (known.head for known in self._files.values() if known.head)

    @property
    def count(self) -> int:
        """How many records can be read."""
        return sum(1 for _ in self.heads)

    @property
    def problems(self) -> tuple[str, ...]:
        """One sentence for each file that is no readable record."""
        return tuple(known.fault for known in self._files.values() if known.fault)

    def leave_out(self, faults: Mapping[str, str]) -> None:
        """Take records for damaged, as long as the index is open.

        Args:
            faults: by run id a sentence that begins with the path of the record.
        """
        for run_id, fault in faults.items():
            name = f"{run_id}.json"
            self._files[name] = self._files[name]._replace(head=None, fault=fault)

    def content(self, run_id: str) -> str:
        """The SHA-256 of the file of a readable record, "" where there is none."""
        known = self._files.get(f"{run_id}.json")
        return known.head.content if known and known.head else ""

    def records(self, heads: Iterable[Head]) -> Iterator[Record]:
        """The records of these heads, in their order.

        Raises:
            UserError: a file was damaged or removed since the index was opened.
        """
        known: dict[str, Baseline] = {}
        for some in _batches(heads):
            names = [f"{head.run_id}.json" for head in some]
            marks = ",".join("?" * len(names))
            question = f"SELECT name, content FROM records WHERE name IN ({marks})"
            contents = dict(self._database.execute(question, names).fetchall())
            for head, name in zip(some, names, strict=True):
                yield self._unpacked(contents.get(name), known) or self._store.load(head.run_id)

    def _unpacked(self, content: bytes | None, known: dict[str, Baseline]) -> Record | None:
        """The record; None where nothing was kept or it is damaged.

        Args:
            content: of `_packed`.
            known: baselines by digest, to which new ones are added: equal ones are one object.
        """
        if content is None:
            return None
        try:
            digests, _, told = zlib.decompress(content).partition(b"\n")
            named = json.loads(digests)
            known |= {d: self._baseline(d) for d in set(named.values()) - known.keys()}
            record = Record.model_validate_json(told)
        except (zlib.error, ValueError):
            return None
        return record.model_copy(update={"baselines": {n: known[d] for n, d in named.items()}})

    def _baseline(self, digest: str) -> Baseline:
        """A baseline that was kept.

        Raises:
            ValueError: it was not, or is damaged.
        """
        question = "SELECT content FROM baselines WHERE digest = ?"
        found = self._database.execute(question, (digest,)).fetchone()
        if found is None or _digest(found[0].encode()) != digest:
            raise ValueError(f"no baseline {digest}")
        return Baseline.model_validate_json(found[0])

    def noted(self, name: str) -> str:
        """What `note` kept under this name, "" if nothing."""
        question = "SELECT text, checksum FROM notes WHERE name = ?"
        found = self._database.execute(question, (name,)).fetchone()
        return found[0] if found and _checksum_of_note(name, found[0]) == found[1] else ""

    def note(self, notes: Mapping[str, str]) -> None:
        """Keep texts by name, which may be forgotten at any time.

        What is named as the file of a record is forgotten with it, all when the code
        changes or other plugins are loaded.
        """
        rows = [(name, told, _checksum_of_note(name, told)) for name, told in notes.items()]
        # One that cannot be kept is made again.
        with suppress(sqlite3.OperationalError), self._database:
            self._database.executemany("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", rows)

    def update(self, progress: Progress = silent) -> None:
        """Read the files that are new or changed; forget those that are gone.

        Raises:
            sqlite3.Error: the file of the index cannot be used.
        """
        known, found = dict(self._kept()), self._store.stats()
        self._files = {
            name: known[name]
            for name, stat in found.items()
            if name in known and known[name].stat == stat
        }
        changed = [name for name in found if name not in self._files]
        for names in _batches(progress(changed, "reading records", len(changed))):
            shared: dict[str, str] = {}
            rows = [self._row(name, found[name], known.get(name), shared) for name in names]
            with self._database:
                self._database.executemany(
                    "INSERT OR REPLACE INTO baselines VALUES (?, ?)", shared.items()
                )
                self._database.executemany(
                    "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                    " size = excluded.size, mtime = excluded.mtime, ctime = excluded.ctime,"
                    " head = excluded.head, checksum = excluded.checksum,"
                    " content = coalesce(excluded.content, content)",
                    rows,
                )
        gone = [(name,) for name in known.keys() - found.keys()]
        with self._database:
            self._database.executemany("DELETE FROM records WHERE name = ?", gone)
            self._database.executemany("DELETE FROM notes WHERE name = ?", gone)
        self._files = {name: self._files[name] for name in found}

    def _kept(self) -> Iterator[tuple[str, _Known]]:
        """What is known of each file, leaving out what is damaged or of other code."""
        question = "SELECT name, size, mtime, ctime, head, checksum FROM records"
        for name, size, mtime, ctime, told, checksum in self._database.execute(question):
            if _checksum(name, size, mtime, ctime, told) == checksum:
                head, fault = json.loads(told)
                named = head and Head._make(intern(v) if isinstance(v, str) else v for v in head)
                path = self._store.folder / name
                yield name, _Known((size, mtime, ctime), named, fault and f"{path}{fault}")

    def _row(
        self, name: str, stat: Stat, before: _Known | None, shared: dict[str, str]
    ) -> tuple[Any, ...]:
        """Read a file; the row to keep of it, without content where it is the same as before.

        The baselines of the record are added to `shared`, by their digests.
        """
        path = self._store.folder / name
        try:
            content = path.read_bytes()
        except OSError as error:
            # Not to be trusted next time: the disk may have come back.
            self._files[name] = _Known(
                stat, None, f"{path} cannot be read: {error.strerror or error}"
            )
            return (name, *stat, "", 0, None)
        digest = _digest(content)
        head, fault, packed = None, "", None
        if before and before.head and before.head.content == digest:
            head = before.head
        else:
            try:
                record = parsed(path, content)
                head, packed = head_of(record, digest), _packed(record, shared)
            except UserError as error:
                fault = str(error)
        self._files[name] = _Known(stat, head, fault)
        # The folder may be called otherwise next time.
        text = json.dumps([head, fault.removeprefix(str(path))])
        return (name, *stat, text, _checksum(name, *stat, text), packed)


@contextmanager
def opened(results: str | Path, progress: Progress = silent) -> Iterator[Index]:
    """Yield the index of the records in `results`, up to date.

    A file with the size and the times that it had when it was read is not opened. Where the cache
    folder cannot be used, all files are read and nothing is kept.
    """
    store = Store(results)
    try:
        index = Index(store, _shared(store.folder))
        index.update(progress)
    except (sqlite3.Error, OSError):
        # No name: a file of its own, gone when it is closed.
        index = Index(store, _with_tables(sqlite3.connect("")))
        index.update(progress)
    with index:
        yield index


def _shared(folder: Path) -> sqlite3.Connection:
    """The database of a folder of records; one that is damaged is deleted first."""
    key = _digest(str(folder.resolve()).encode())
    path = cache_folder() / "records" / f"{key[:32]}.sqlite"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _sound(path)
    except sqlite3.OperationalError:
        raise  # busy, or a full disk: nothing is wrong with it
    except sqlite3.DatabaseError:
        for each in (path, path.with_name(f"{path.name}-journal")):
            each.unlink(missing_ok=True)
        return _sound(path)


def _sound(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=_PATIENCE)
    try:
        (told,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if told != "ok":
            raise sqlite3.DatabaseError(told)
        return _with_tables(database)
    except sqlite3.Error:
        database.close()
        raise


def _with_tables(database: sqlite3.Connection) -> sqlite3.Connection:
    with database:
        for statement in _TABLES:
            database.execute(statement)
    return database


def _checksum(*parts: object) -> int:
    """Tells damage, and rows that other code wrote."""
    return zlib.crc32(repr((sources.fingerprint(), *parts)).encode())


def _checksum_of_note(name: str, told: str) -> int:
    """A page tells more of a run whose plugin is loaded."""
    return _checksum(name, told, sources.of_plugins())


def head_of(record: Record, content: str) -> Head:
    """What tells a record from another.

    Args:
        record: of a run, or made of a submission, which has no seed and is told by its own id.
        content: the SHA-256 of all that it is made of.
    """
    seed = record.run_id if record.submission else text(record.config.get("seed"))
    score = record.metrics.get(record.headline)
    return Head(
        run_id=record.run_id,
        content=content,
        task=record.task,
        task_version=record.task_version,
        data=record.data.fingerprint,
        dataset=record.data.name,
        arch=text(record.config.get("arch")),
        framework=text(record.config.get("framework")),
        method=text(record.config.get("method")),
        seed=seed,
        headline=record.headline,
        value=None if score is None else score.value,
        weights=record.weights.kind,
    )


def _packed(record: Record, shared: dict[str, str]) -> bytes:
    """The digests of a record's baselines by name, and all else of it, in a line each."""
    named = {name: each.model_dump_json() for name, each in record.baselines.items()}
    digests = {name: _digest(told.encode()) for name, told in named.items()}
    shared |= {digests[name]: told for name, told in named.items()}
    told = record.model_dump_json(exclude={"baselines"})
    # The fastest level: the slowest makes it a tenth smaller.
    return zlib.compress(f"{json.dumps(digests)}\n{told}".encode(), 1)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    remaining = iter(items)
    while some := list(islice(remaining, _BATCH)):
        yield some
