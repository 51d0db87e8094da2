"""What was measured of a work, as it lies in the results folder: a file each, so none is lost."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from benchmark.common import threads
from benchmark.common.files import write_json
from benchmark.errors import UserError
from benchmark.records import environment
from benchmark.speed.costs import Estimated
from benchmark.speed.growth import Curve, Point
from benchmark.speed.pairing import Timed
from benchmark.speed.works import COSTS, GROWTH, Work

FOLDER = Path("v1") / "speed"
# Of the packages, those that decide a time.
_TOLD = ("dermbench", "python", "torch", "tensorflow", "keras", "timm", "numpy")

Kind = TypeVar("Kind", bound=BaseModel)


class Circumstances(BaseModel):
    """When, by what and on what something was measured.

    Attributes:
        created: ISO 8601, UTC.
        command: that measured it.
        threads: that each process might use.
        hardware: see `records.environment`.
        packages: likewise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    created: str
    command: str
    threads: int
    hardware: Mapping[str, str | int | float | None]
    packages: Mapping[str, str]

    @classmethod
    def now(cls, command: str) -> Self:
        """Of this moment and machine."""
        return cls(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            command=command,
            threads=threads.available(),
            hardware=environment.hardware({}),
            packages=environment.packages(),
        )

    def __str__(self) -> str:
        known: Mapping[str, Any] = self.hardware
        memory = (known["memory_bytes"] or 0) / 2**30
        packages = ", ".join(f"{n} {self.packages[n]}" for n in _TOLD if n in self.packages)
        return (
            f"Measured {self.created[:10]} by `{self.command}` on {known['processor']},"
            f" {known['cores']} cores, {memory:.0f} GiB, {known['system']}; {self.threads} threads"
            f" a process; {packages}."
        )


class Measured(BaseModel):
    """A work with all its times.

    Attributes:
        work: its name, see `works.Work`.
        made: under which circumstances.
        rounds: how often each side did it, warming up left out.
        stolen: percent of the cores' time that a host gave to others meanwhile; None: not known.
        sides: what each took, in the order of the turns.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    work: str
    made: Circumstances
    rounds: int
    stolen: float | None = None
    sides: tuple[Timed, ...]

    def side(self, name: str) -> Timed | None:
        """One side by its name; None where it was not measured."""
        return next((each for each in self.sides if each.side == name and not each.fault), None)


class Grown(BaseModel):
    """A curve of `growth` with all its points."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    curve: str
    made: Circumstances
    points: tuple[Point, ...]


class Priced(BaseModel):
    """Runs of `costs`, each with its estimate."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    made: Circumstances
    runs: tuple[Estimated, ...]


def save(out: Path, found: Measured | Grown | Priced) -> None:
    """Write what was measured, in the place of earlier times of the same.

    Raises:
        UserError: the folder cannot be written.
    """
    kind, name = "works", COSTS
    if isinstance(found, Measured):
        name = found.work
    elif isinstance(found, Grown):
        kind, name = GROWTH, found.curve
    write_json(_file(out, kind, name), found.model_dump(mode="json"))


def load(out: Path, work: Work) -> Measured | None:
    """The last times of a work; None: it was never measured.

    Raises:
        UserError: the file is not one of ours.
    """
    return _read(_file(out, "works", work.name), Measured, work.what)


def load_curve(out: Path, curve: Curve) -> Grown | None:
    """The last points of a curve; None: it was never measured.

    Raises:
        UserError: the file is not one of ours.
    """
    return _read(_file(out, GROWTH, curve.name), Grown, GROWTH)


def load_costs(out: Path) -> Priced | None:
    """The last runs of `costs`; None: they were never done.

    Raises:
        UserError: the file is not one of ours.
    """
    return _read(_file(out, "works", COSTS), Priced, COSTS)


def _read(path: Path, kind: type[Kind], what: str) -> Kind | None:
    try:
        return kind.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise UserError(
            f"{path} cannot be read ({str(error).splitlines()[0]}): delete it, and measure again"
            f" with `python -m benchmark speed --what {what}`"
        ) from error


def ratio(ours: Sequence[float], other: Sequence[float]) -> tuple[float, float, float]:
    """Seconds of the other over ours: by the medians, and the least and largest of a round."""
    rounds = [b / a for a, b in zip(ours, other, strict=True)]
    return median(other) / median(ours), min(rounds), max(rounds)


def _file(out: Path, kind: str, name: str) -> Path:
    return out / FOLDER / kind / f"{name}.json"
