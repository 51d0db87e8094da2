"""A run on a node of a Ray cluster: an actor, and the process that the local engine would start.

Where the node sees the results folder the run works in it. Elsewhere it works in a folder for a
while, and what it leaves is brought home as it comes, its record last.
"""

import os
import shutil
import socket
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import benchmark
from benchmark import plugins
from benchmark.common import locks, threads
from benchmark.common.cache import cache_folder
from benchmark.config import RunConfig
from benchmark.records.attempts import reason_of
from benchmark.running import trackers
from benchmark.sweep import ray_data, scratch
from benchmark.sweep.events import End
from benchmark.sweep.executor import Step
from benchmark.sweep.ledger import Files
from benchmark.sweep.local import LocalExecutor, LocalJob
from benchmark.sweep.plan import PlannedRun
from benchmark.sweep.ray_home import PIECE_BYTES, lasting
from benchmark.sweep.retries import ending_of

_POLL_SECONDS = 0.1
# Between two times that what has changed is brought home.
_BRING_SECONDS = 1.0
# What a run heeds: threads, where data lie, what others wrote, where it is tracked.
_HEEDED = (
    *(*threads.LIBRARIES, "DERMBENCH_DATA", plugins.VARIABLE),
    *(trackers.VARIABLE, "MLFLOW_TRACKING_URI"),
)


@dataclass(frozen=True)
class Order:
    """What a node is to do.

    Attributes:
        run: with its needs told.
        number: of the try, greater than that of any before.
        overwrite: start anew.
        out: the results folder.
        row: what the file of the run's state says, which no other folder has.
        folder: the sweep's working folder, from which paths are meant.
        environment: what of the sweep's a run heeds, see `sweep_environment`.
    """

    run: PlannedRun
    number: int
    overwrite: bool
    out: Path
    row: bytes
    folder: str
    environment: Mapping[str, str]

    @property
    def files(self) -> str:
        """The folder of the planned run's files, below a results folder."""
        return f"v1/sweeps/{self.run.id}"


def sweep_environment() -> dict[str, str]:
    """What of this process' environment a run is to have on any machine."""
    return {name: os.environ[name] for name in _HEEDED if name in os.environ}


def version() -> str:
    """The DermBench of this node."""
    return benchmark.__version__


class HomeCalls:
    """Calls of `Home` from a node."""

    def __init__(self, home: Any) -> None:
        self._home = home

    def __call__(self, method: str, *arguments: Any) -> Any:
        """Call a method and wait for what it returns or raises.

        Raises:
            ConnectionError: the sweep's machine cannot be reached.
        """
        import ray

        try:
            return ray.get(getattr(self._home, method).remote(*arguments))
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError as error:
            raise ConnectionError("the sweep's machine cannot be reached") from error


class Runner:
    """An actor that does one run.

    Args:
        home: calls `Home` by the name of a method; None where every node sees everything.
    """

    def __init__(self, home: HomeCalls | None) -> None:
        self._home = home
        self._job: LocalJob | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def where(self) -> str:
        """The node's name."""
        return socket.gethostname()

    def run(self, order: Order) -> End:
        """Do the run and tell how it ended."""
        try:
            _settle(order)
            return self._run(order)
        except (Exception, KeyboardInterrupt) as error:
            return End(
                ending=ending_of(error), reason=reason_of(error), traceback=traceback.format_exc()
            )

    def stop(self, step: Step) -> None:
        """Stop the run, or keep it from beginning."""
        with self._lock:
            self._stopped = True
            if self._job is not None:
                self._job.stop(step)

    def _run(self, order: Order) -> End:
        if self._home is None:
            return self._watched(order, order.out, None)
        config = self._at_hand(order.run.config)
        order = replace(order, run=replace(order.run, config=config))
        if _sees(order):
            return self._watched(order, order.out, None)
        with scratch.folder(cache_folder() / "ray", "run-") as out:
            return self._watched(order, out, Luggage(self._home, order, out))

    def _watched(self, order: Order, out: Path, luggage: "Luggage | None") -> End:
        if luggage is not None:
            luggage.fetch()
        files = Files(out / order.files)
        files.folder.mkdir(parents=True, exist_ok=True)
        with self._lock:
            if self._stopped:
                raise KeyboardInterrupt
            self._job = LocalExecutor(out, 1).start(order.run, files, order.overwrite)
        try:
            end, brought = None, time.monotonic()
            while end is None:
                time.sleep(_POLL_SECONDS)
                end = self._job.ended()
                if luggage is not None and time.monotonic() - brought > _BRING_SECONDS:
                    luggage.bring()
                    brought = time.monotonic()
        finally:
            self._job.stop(Step.KILL)
        if luggage is not None:
            luggage.bring(records=True)
        return end

    def _at_hand(self, config: RunConfig) -> RunConfig:
        """The settings with paths at which this node has the same data, shipped where need be."""
        assert self._home is not None
        places = {}
        for path in ray_data.named(config):
            outline = self._home("outline", path)
            place = ray_data.found(path)
            here = None if place is None else ray_data.outline(ray_data.listing(place))
            # What is nowhere the run itself will miss.
            if outline not in (None, here):
                places[path] = str(self._shipped(path))
        return ray_data.moved(config, places)

    def _shipped(self, path: str) -> Path:
        """This node's copy of it, made by the first run that needs it."""
        assert self._home is not None
        name = ray_data.shipped_name(path)
        folder = cache_folder() / "shipped" / self._home("content", path)
        while (lock := locks.take(folder / "copy.lock", wait=1.0)) is None:
            self._heed_stop()
        try:
            if not (folder / name).exists():
                rest = folder / f"incomplete-{name}"
                shutil.rmtree(rest, ignore_errors=True)
                at: ray_data.At | None = (0, 0)
                while at is not None:
                    parts, at = self._home("piece", path, at)
                    ray_data.put(rest, parts)
                    self._heed_stop()
                rest.rename(folder / name)
        finally:
            lock.release()
        return folder / name

    def _heed_stop(self) -> None:
        if self._stopped:
            raise KeyboardInterrupt


class Luggage:
    """What a run that works away from home takes along and brings back."""

    def __init__(self, home: HomeCalls, order: Order, out: Path) -> None:
        self._home, self._order, self._out = home, order, out
        self._known: dict[str, tuple[int, int, int]] = {}

    def fetch(self) -> None:
        """Bring here what the run may go on from."""
        order = self._order
        for name in self._home("begin", order.run, order.number, order.overwrite):
            target = self._out / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                last = False
                while not last:
                    piece = self._home("read", name, file.tell())
                    last = len(piece) < PIECE_BYTES
                    file.write(piece)
            self._known[name] = _state(target)

    def bring(self, records: bool = False) -> None:
        """Bring home what has changed, and the record once all the rest is there."""
        found = self._found()
        self._move(found)
        # "records" after "predictions": a record whose predictions are missing is none.
        for name in sorted(found, key=lambda name: (name.startswith("v1/records/"), name)):
            if records or not name.startswith("v1/records/"):
                self._bring(name)
        # Last: checkpoints must not be gone before what they led to is there.
        for name in set(self._known) - set(found) if records else ():
            self._home("remove", self._order.run.id, self._order.number, name)
            del self._known[name]

    def _move(self, found: list[str]) -> None:
        """What is at home under an earlier name, as a checkpoint is once there is a newer one."""
        earlier = {state: name for name, state in self._known.items()}
        for name in found:
            with suppress(FileNotFoundError):
                before = earlier.get(_state(self._out / name), name)
                if before != name:
                    self._home("move", self._order.run.id, self._order.number, before, name)
                    self._known[name] = self._known.pop(before)

    def _found(self) -> list[str]:
        """What is to be at home as it is here: all but locks and what is being written."""
        return [str(path.relative_to(self._out)) for path in lasting(self._out / "v1")]

    def _bring(self, name: str) -> None:
        path, run = self._out / name, self._order.run.id
        try:
            state = _state(path)
            if self._known.get(name) == state:
                return
            file = path.open("rb")
        except FileNotFoundError:
            return
        # Read to its end as it was when it was opened, whatever takes its place meanwhile.
        with file:
            last = False
            while not last:
                offset = file.tell()
                piece = file.read(PIECE_BYTES)
                last = len(piece) < PIECE_BYTES
                self._home("put", run, self._order.number, name, offset, piece, last)
        self._known[name] = state


def _state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _sees(order: Order) -> bool:
    """Whether this node has the results folder, and not another at the same place."""
    try:
        return Files(order.out / order.files).state.read_bytes() == order.row
    except OSError:
        return False


def _settle(order: Order) -> None:
    """Have this process, and those that it starts, be where the sweep is, as far as can be.

    Raises:
        UserError: a file with what others wrote is not on this node.
    """
    for name in (threads.SHARE, *threads.LIBRARIES):
        # Ray sets some of them.
        os.environ.pop(name, None)
    # A node may have its data elsewhere.
    os.environ.update({**order.environment, **os.environ})
    if Path(order.folder).is_dir():
        os.chdir(order.folder)
    # The same DermBench as this process has, wherever it is from.
    here = str(Path(benchmark.__file__).parents[1])
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    os.environ["PYTHONPATH"] = os.pathsep.join([here, *others])
    plugins.load_from_environment()
