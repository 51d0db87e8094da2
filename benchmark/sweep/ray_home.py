"""What nodes without the results folder and the data are served from: an actor beside the sweep.

It hands out what a run needs to go on, and data that a node lacks; it takes in what a run leaves.
Of a run that was started again only the last try is heard.
"""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from benchmark import plugins
from benchmark.common.files import atomic_path
from benchmark.config import RunConfig
from benchmark.errors import UserError
from benchmark.records.folder import begun_anew
from benchmark.records.store import Store
from benchmark.sweep import ray_data
from benchmark.sweep.plan import PlannedRun

# A piece of what is sent at once.
PIECE_BYTES = 16 * 2**20
_SPLITS = "splits"


class StaleError(RuntimeError):
    """A run that was given up tells something yet."""


class Home:
    """The results folder and the data, for nodes that do not see them.

    Args:
        out: the results folder.
        folder: the sweep's working folder, from which paths are meant.
        environment: of the sweep, as far as it says where data lie and what others wrote.
    """

    def __init__(self, out: str, folder: str, environment: Mapping[str, str]) -> None:
        os.chdir(folder)
        os.environ.update(environment)
        plugins.load_from_environment()
        self._out = Path(out)
        self._lock = threading.Lock()
        self._tries: dict[str, int] = {}
        self._incomplete: dict[str, Path] = {}
        self._listings: dict[Path, ray_data.Listing] = {}
        self._contents: dict[Path, str] = {}
        self._identities: dict[str, object] = {}

    # What a run needs of the results folder.

    def begin(self, run: PlannedRun, number: int, overwrite: bool) -> list[str]:
        """A run begins its try of this number; the files that it may go on from.

        Names are below the results folder. With `overwrite` only those are told that every run
        needs or that it adds to, or that an earlier try with it has left.
        """
        with self._lock:
            self._tries[run.id] = max(number, self._tries.get(run.id, 0))
            if rest := self._incomplete.pop(run.id, None):
                rest.unlink(missing_ok=True)
        version = self._out / "v1"
        wanted = [*lasting(version / _SPLITS), version / "sweeps" / run.id / "log.txt"]
        for run_id in self._same(run.config):
            if not overwrite:
                wanted.append(version / "records" / f"{run_id}.json")
            for folder in (version / "runs").glob(f"*-{run_id}"):
                if not overwrite or begun_anew(folder):
                    wanted += lasting(folder)
        return [str(path.relative_to(self._out)) for path in wanted if path.is_file()]

    def _same(self, config: RunConfig) -> list[str]:
        """The runs, done or begun, that had these settings."""
        identity = config.identity()
        known: dict[str, Path] = {}
        for folder in (self._out / "v1" / "runs").glob("*-r*"):
            known[folder.name.rpartition("-")[2]] = folder / "config.json"
        for run_id in Store(self._out).run_ids():
            known.setdefault(run_id, self._out / "v1" / "records" / f"{run_id}.json")
        with self._lock:
            for run_id, path in known.items():
                # What cannot be read may have been written by halves.
                if self._identities.get(run_id) is None:
                    self._identities[run_id] = self._identity(run_id, path)
            return [run_id for run_id in known if self._identities[run_id] == identity]

    def _identity(self, run_id: str, path: Path) -> object:
        try:
            if path.name == "config.json":
                return RunConfig.model_validate_json(path.read_bytes()).identity()
            return Store(self._out).load(run_id).settings.identity()
        except (OSError, UserError, ValidationError):
            return None

    def read(self, name: str, offset: int) -> bytes:
        """A piece of a file of the results folder; one shorter than `PIECE_BYTES` is its last."""
        with self._inside(name).open("rb") as file:
            file.seek(offset)
            return file.read(PIECE_BYTES)

    # What a run leaves.

    def put(
        self, run_id: str, number: int, name: str, offset: int, piece: bytes, last: bool
    ) -> None:
        """A piece of a file that a run has made; with the last one the file is there.

        Raises:
            StaleError: the run has been started again meanwhile.
            UserError: it differs from what decides for every run.
            OSError: it cannot be written.
        """
        self._require_latest(run_id, number)
        target = self._inside(name)
        if last and not offset:
            if _SPLITS in Path(name).parts[:2]:
                _require_equal(target, piece)
            # What is sent every second need not outlive a crash of the machine.
            _write(target, piece, flush=Path(name).parts[1] != "sweeps")
            return
        rest = target.with_name(f".{target.name}-{run_id}")
        self._incomplete[run_id] = rest
        rest.parent.mkdir(parents=True, exist_ok=True)
        with rest.open("ab" if offset else "wb") as file:
            file.write(piece)
            if last:
                file.flush()
                os.fsync(file.fileno())
        if last:
            os.replace(rest, target)

    def move(self, run_id: str, number: int, name: str, target: str) -> None:
        """A file that has another name now.

        Raises:
            StaleError: the run has been started again meanwhile.
        """
        self._require_latest(run_id, number)
        os.replace(self._inside(name), self._inside(target))

    def remove(self, run_id: str, number: int, name: str) -> None:
        """A file that a run has removed.

        Raises:
            StaleError: the run has been started again meanwhile.
        """
        self._require_latest(run_id, number)
        target = self._inside(name)
        target.unlink(missing_ok=True)
        with suppress(OSError):
            # It goes with the last file in it, as away from home.
            target.parent.rmdir()

    def _require_latest(self, run_id: str, number: int) -> None:
        if number < self._tries.get(run_id, 0):
            raise StaleError(f"{run_id} was started again elsewhere")

    def _inside(self, name: str) -> Path:
        parts = Path(name).parts
        if Path(name).is_absolute() or ".." in parts or parts[:1] != ("v1",):
            raise ValueError(f"{name} is no file of a results folder")
        return self._out / name

    # Data.

    def outline(self, path: str) -> str | None:
        """Stands for names and sizes of what lies at a path of the settings; None: nothing."""
        place = ray_data.found(path)
        return None if place is None else ray_data.outline(self._listing(place))

    def content(self, path: str) -> str:
        """Stands for every byte of it."""
        place = self._place(path)
        with self._lock:
            if place not in self._contents:
                self._contents[place] = ray_data.content(place, self._listing(place))
            return self._contents[place]

    def piece(self, path: str, at: ray_data.At) -> tuple[list[ray_data.Part], ray_data.At | None]:
        """A piece of it, and where the next one begins."""
        place = self._place(path)
        return ray_data.piece(place, self._listing(place), at, PIECE_BYTES)

    def _place(self, path: str) -> Path:
        place = ray_data.found(path)
        if place is None:
            raise UserError(f"{path} does not exist any more")
        return place

    def _listing(self, place: Path) -> ray_data.Listing:
        # Once for a sweep: its data stay as they are.
        if place not in self._listings:
            self._listings[place] = ray_data.listing(place)
        return self._listings[place]


def lasting(folder: Path) -> Iterator[Path]:
    """All files below a folder but locks and what is being written; some may go meanwhile."""
    for where, _, names in os.walk(folder):
        for name in names:
            if not (name.startswith(".") or name.endswith(".lock")):
                yield Path(where, name)


def _write(target: Path, content: bytes, flush: bool) -> None:
    try:
        with atomic_path(target, flush) as temporary:
            temporary.write_bytes(content)
    except UserError as error:
        # On its way to another machine an exception loses its cause, by which it is judged.
        raise error.__cause__ or error from None


def _require_equal(target: Path, text: bytes) -> None:
    if target.exists() and target.read_bytes() != text:
        raise UserError(
            f"{target}: another run has frozen another split meanwhile: run the sweep again"
        )
