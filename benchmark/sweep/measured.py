"""What a run took, part by part, and on what machine: from its record, its histories, its process.

What that tells of other runs is `cost`'s.
"""

import csv
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from benchmark.config import RunConfig
from benchmark.errors import UserError
from benchmark.recipe import Settings
from benchmark.records import environment
from benchmark.records.folder import RunFolder
from benchmark.records.record import Record
from benchmark.records.store import Store

# Below the results folder: what was measured and is on no board, a line of JSON each.
CALIBRATION = Path("v1") / "sweeps" / "calibration.jsonl"


@dataclass(frozen=True)
class Machine:
    """What decides the speed of runs, as far as records tell it."""

    processor: str
    accelerated: bool = False

    @classmethod
    def here(cls, accelerated: bool) -> "Machine":
        """This one, for runs with or without an accelerator."""
        return cls(_processor(environment.hardware({})), accelerated)


class StageSeconds(Settings):
    """The epochs of one stage, validation included.

    Attributes:
        epochs: how many there were.
        total: seconds of all of them.
        first: of the first, which warms up; None where it was not kept or there was one epoch only.
    """

    epochs: int = Field(ge=1)
    total: float = Field(ge=0)
    first: float | None = Field(None, ge=0)

    @property
    def excess(self) -> float | None:
        """Seconds that the first epoch took beyond the mean of the others."""
        if self.first is None:
            return None
        return max(self.first - (self.total - self.first) / (self.epochs - 1), 0.0)

    def steady(self, excess: float) -> float:
        """Seconds of all epochs had none warmed up; `excess` is what like stages' warm-up took."""
        own = self.excess
        # Where the epochs are short beside their noise, most of them is still work.
        return max(self.total - (excess if own is None else own), self.total / 5)


class Measured(Settings):
    """What one run took.

    Attributes:
        run_id: of its record.
        config: its public settings.
        processor, accelerated: of its machine, see `Machine`; the first is "" where not known.
        seconds: of the parts of a record; of a continued run only its last process' are known.
        stages: of training, those of all processes.
        wall: seconds that its last process took from start to end; None where nobody looked.
    """

    run_id: str
    config: dict[str, Any]
    processor: str = ""
    accelerated: bool = False
    seconds: dict[str, float] = Field({})
    stages: tuple[StageSeconds, ...] = ()
    wall: float | None = Field(None, ge=0)

    @property
    def machine(self) -> Machine:
        """Where it ran."""
        return Machine(self.processor, self.accelerated)

    @property
    def epochs(self) -> int:
        """Of its recipe."""
        return int(self.config["recipe"]["epochs"])

    @property
    def pixels(self) -> int:
        """Of an image."""
        height, width = self.config["image_size"]
        return int(height) * int(width)

    @property
    def start(self) -> float | None:
        """Seconds in none of the record's parts: imports, building, saving; None: not known."""
        outside = None if self.wall is None else self.wall - sum(self.seconds.values())
        # Below zero where the process found what another one had done.
        return outside if outside is not None and outside > 0 else None

    @property
    def training(self) -> float:
        """Seconds of the whole training; of a continued run without what is not in its epochs."""
        return max(self.seconds.get("training", 0.0), sum(each.total for each in self.stages))

    def whole(self, start: float) -> float:
        """Seconds from start to end; `start` is what like runs' start took."""
        if not self.seconds:
            return self.wall or 0.0
        others = sum(self.seconds.values()) - self.seconds.get("training", 0.0)
        own = self.start
        return (start if own is None else own) + others + self.training


def of_record(record: Record, out: Path, wall: float | None = None) -> Measured | None:
    """What a run took; its histories, where they still lie below `out`, tell of first epochs.

    None where its settings are not those of this DermBench.
    """
    try:
        folder = RunFolder.of_record(out, record).path
    except UserError:
        return None
    firsts = _first_epochs(folder)
    # One network for several diseases has its stages in the record of every one.
    stages = {stage.stage: stage for trial in record.trials for stage in trial.stages}
    return Measured(
        run_id=record.run_id,
        config=record.config,
        processor=_processor(record.hardware),
        accelerated=record.hardware.get("device", "cpu") != "cpu",
        seconds=record.seconds,
        stages=tuple(
            StageSeconds(
                epochs=stage.epochs,
                total=stage.seconds,
                first=firsts.get(name) if stage.epochs > 1 else None,
            )
            for name, stage in stages.items()
            if stage.epochs
        ),
        wall=wall,
    )


def stored(out: Path, run_id: str, wall: float | None = None) -> Measured | None:
    """What a run took whose record lies below `out`; None where it cannot be read."""
    try:
        return of_record(Store(out).load(run_id), out, wall)
    except UserError:
        return None


def keep(path: Path, run: Measured) -> None:
    """Add a line to a file of what runs took.

    Raises:
        UserError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(run.model_dump_json() + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}: free some space, or choose another"
            " results folder (--out)"
        ) from error


def kept(path: Path) -> list[Measured]:
    """What such a file holds; nothing where there is none.

    Raises:
        UserError: it cannot be read, or a line is damaged.
    """
    try:
        # Not `splitlines`, which ends a line at signs that a path may hold.
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}: delete it, to measure again") from error
    if not lines[-1]:
        lines.pop()
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            run = Measured.model_validate_json(line)
            RunConfig.model_validate(run.config)
        except ValidationError as error:
            raise UserError(
                f"{path}:{number}: this line is damaged, or of another DermBench: delete it, and"
                " `python -m benchmark sweep plan --calibrate` measures it again"
            ) from error
        found.append(run)
    return found


def _first_epochs(folder: Path) -> dict[str, float]:
    """Seconds of the first epoch by name of the stage; of what is damaged nothing."""
    found = {}
    for path in folder.glob("*/history-*.csv"):
        name = f"{path.parent.name} {path.stem.removeprefix('history-')}"
        with suppress(OSError, ValueError, KeyError, StopIteration), path.open() as lines:
            found[name] = float(next(csv.DictReader(lines))["seconds"])
    return found


def _processor(hardware: Mapping[str, object]) -> str:
    known = (hardware.get("processor"), hardware.get("cores"))
    return ", ".join(str(part) for part in known) if all(known) else ""
