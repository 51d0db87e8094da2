"""What the tests of real sweeps share: small plans, their processes, what they leave."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from safetensors.numpy import load_file

from benchmark.common import locks
from benchmark.sweep import events, plan
from benchmark.sweep.ledger import Ledger
from benchmark.sweep.states import State

COMMAND = (sys.executable, "-m", "benchmark")
# What may differ between two runs of the same: times, and memory, which depends on them.
PASSING = {"created", "seconds", "images_per_second", "peak_memory_bytes"}
# Likewise, in tables.
PASSING_COLUMNS = {*PASSING, "seconds_per_image", "training_seconds"}
_WRITING = "writing a file"
_MARK = "DERMBENCH_TEST_CAMPAIGN"
_TIMEOUT = 900


def line(framework: str, method: str, epochs: int = 2, **changes: Any) -> dict[str, Any]:
    """A line of a plan; methods that need unlabelled images are asked of half the labels."""
    asked = {
        "arch": "MobileNetV2",
        "framework": framework,
        "task": "diagnosis",
        "method": method,
        "budget": "smoke",
        "epochs": epochs,
        "dataset_options": {"images": 54, "size": 64},
    }
    if method in ("crest", "mean-teacher"):
        asked |= {"task": "semi-supervised", "task_options": {"label_fractions": "50"}}
    return asked | changes


# Plain training, stages, generations, and a teacher that is an average.
BOTH_FRAMEWORKS = (
    line("torch", "cross-entropy", 3),
    line("torch", "crt"),
    line("torch", "crest", 3),
    line("torch", "mean-teacher"),
    line("keras", "crt"),
    line("keras", "crest"),
)


def write_plan(path: Path, lines: Sequence[dict[str, Any]]) -> Path:
    """A plan as a user may write it."""
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    return path


class Sweeps:
    """The `sweep run` commands of one results folder, and all that they start."""

    def __init__(self, plan_file: Path, out: Path, jobs: int = 2) -> None:
        self.out, self._jobs, self._plan = out, jobs, plan_file
        self.runs = plan.read(plan_file)
        self.told = out.with_name(f"{out.name}-told.txt")
        self._mark = uuid.uuid4().hex
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self) -> "subprocess.Popen[bytes]":
        """As a user does, in the background."""
        command = [*COMMAND, "sweep", "run", str(self._plan), "--jobs", str(self._jobs)]
        with self.told.open("ab") as told:
            process = subprocess.Popen(
                [*command, "--out", str(self.out)],
                stdout=told,
                stderr=told,
                env={**os.environ, "OMP_NUM_THREADS": "1", _MARK: self._mark},
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def finish(self) -> None:
        """The same command until all is done: what was killed too often has failed until then."""
        for _ in range(3):
            if self.start().wait(_TIMEOUT) == 0:
                return
        raise AssertionError(self.told.read_text())

    def living(self) -> list[psutil.Process]:
        """All processes that these commands started, themselves included."""
        return [each for each in psutil.process_iter() if self._is_ours(each)]

    def processes_of_runs(self) -> list[psutil.Process]:
        """Those that compute a run."""
        found = []
        for each in self.living():
            with suppress(psutil.Error):
                if "benchmark.sweep.child" in each.cmdline():
                    found.append(each)
        return found

    def _is_ours(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            alive = process.status() != psutil.STATUS_ZOMBIE
            return alive and process.environ().get(_MARK) == self._mark
        return False

    def wait_until_gone(self, seconds: float = 90) -> list[psutil.Process]:
        """What still lives after so long."""
        deadline = time.monotonic() + seconds
        while (living := self.living()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return living

    def end(self) -> None:
        """Kill everything, by its id."""
        for each in self.living():
            with suppress(psutil.Error):
                each.kill()
        for process in self._started:
            process.wait(60)

    def phases(self) -> list[str]:
        """What the runs that are going on do, by what they told."""
        if being_written(self.out):
            return [_WRITING]
        ledger = Ledger(self.out)
        going = [run for run in self.runs if ledger.row(run).state is State.RUNNING]
        return [_phase(events.read(ledger.files(run).events)) for run in going] or ["between runs"]


def _phase(told: events.Told) -> str:
    if told.end is not None:
        return "ended"
    doing = told.progress.doing
    if doing in ("starting", "making thumbnails", "comparing images", "decoding images"):
        return "starting"
    return "evaluation" if doing == "predicting" else "training"


@contextmanager
def sweeps(plan_file: Path, out: Path, jobs: int = 2) -> Iterator[Sweeps]:
    """While the body runs; nothing that was started outlives it."""
    made = Sweeps(plan_file, out, jobs)
    try:
        yield made
    finally:
        made.end()


class Killer:
    """Kills at random moments, and remembers what it hit."""

    def __init__(self, seed: int, stretch: float) -> None:
        self._random, self._stretch = random.Random(seed), stretch
        self.phases: Counter[str] = Counter()
        self.victims: Counter[str] = Counter()

    @property
    def kills(self) -> int:
        """So far."""
        return self.victims.total()

    def wait(self, sweep: Sweeps) -> None:
        """A random while, or until some run is in a phase drawn at random and a moment longer.

        Most of a run so small is its start: by the clock alone the kills would fall there.
        """
        wanted = self._random.choice(("any", "training", "evaluation", _WRITING))
        deadline = time.monotonic() + self._random.uniform(0.02, 0.3) * self._stretch
        while time.monotonic() < deadline and wanted not in sweep.phases():
            time.sleep(0.005)
        if wanted != _WRITING:
            time.sleep(self._random.uniform(0, 0.5))

    def kill(
        self, sweep: Sweeps, commands: "list[subprocess.Popen[bytes]]"
    ) -> "subprocess.Popen[bytes] | None":
        """Kill a sweep, a run, or a sweep and all runs; gives the command if it was killed."""
        victim = self._random.choice(("sweep", "run", "both"))
        command = self._random.choice(commands)
        phases = sweep.phases()
        runs = [] if victim == "sweep" else sweep.processes_of_runs()
        if victim == "run" and runs:
            runs = [self._random.choice(runs)]
        else:
            victim = "both" if runs else "sweep"
            command.kill()
        for each in runs:
            # Each leads a group of its own.
            with suppress(ProcessLookupError):
                os.killpg(each.pid, signal.SIGKILL)
        self.phases.update(phases)
        self.victims[victim] += 1
        return None if victim == "run" else command


def results(
    out: Path, parts: Sequence[str] = ("records", "predictions", "splits", "runs")
) -> dict[str, Any]:
    """Every record without its times, and the bytes of predictions, splits, weights and tables."""
    kept: dict[str, Any] = {}
    for path in (p for part in parts for p in (out / "v1" / part).rglob("*") if p.is_file()):
        name = str(path.relative_to(out))
        if path.name.startswith("history-") or path.suffix in (".png", ".lock", ".html"):
            kept[name] = "is there"
        elif path.suffix == ".safetensors":
            # Not the bytes of the file: the library writes its metadata in any order.
            kept[name] = {n: (v.dtype, v.shape, v.tobytes()) for n, v in load_file(path).items()}
        elif path.suffix == ".json":
            kept[name] = _without_times(json.loads(path.read_text()))
        else:
            kept[name] = path.read_bytes()
    return kept


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_times(each) for name, each in value.items() if name not in PASSING}
    return [_without_times(each) for each in value] if isinstance(value, list) else value


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """What two results do not have in common, by name."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def being_written(out: Path) -> bool:
    """Whether a file is half there, and not only since an earlier kill."""
    since = time.time() - 0.5
    # Files and folders may go while they are looked at.
    with suppress(FileNotFoundError):
        return any(path.stat().st_mtime > since for path in out.rglob(".*-unfinished*"))
    return False


def made(out: Path) -> dict[str, tuple[int, int]]:
    """When and as which file each record was written: another one was computed again."""
    found = {path: path.stat() for path in (out / "v1" / "records").glob("[!.]*.json")}
    return {path.name: (stat.st_ino, stat.st_mtime_ns) for path, stat in found.items()}


def left_over(out: Path) -> list[str]:
    """Parts of files, checkpoints, notes of runs without a record, and locks that are held."""
    files = [path for path in out.rglob("*") if path.is_file()]
    left = [p for p in files if p.name.startswith(".") or "checkpoints" in p.parts]
    left += [p for p in files if p.parent.name == "unfinished"]
    for path in (p for p in files if p.suffix == ".lock"):
        with locks.held(path) as free:
            left += [] if free else [path]
    return [str(path.relative_to(out)) for path in left]
