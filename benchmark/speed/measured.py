"""What was measured of a work, as it lies in the results folder: a file each, so none is lost."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from benchmark import threads
from benchmark.errors import UserError
from benchmark.files import write_json
from benchmark.records import environment
from benchmark.speed.pairing import Timed
from benchmark.speed.works import Work

FOLDER = Path("v1") / "speed"


class Measured(BaseModel):
    """A work with all its times.

    Attributes:
        work: its name, see `works.Work`.
        created: when, ISO 8601, UTC.
        command: that measured it.
        rounds: how often each side did it, warming up left out.
        threads: that each process might use.
        hardware: see `records.environment`.
        packages: likewise.
        sides: what each took, in the order of the turns.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    work: str
    created: str
    command: str
    rounds: int
    threads: int
    hardware: Mapping[str, str | int | float | None]
    packages: Mapping[str, str]
    sides: tuple[Timed, ...]

    def side(self, name: str) -> Timed | None:
        """One side by its name; None where it was not measured."""
        return next((each for each in self.sides if each.side == name and not each.fault), None)


def measured(work: Work, sides: Sequence[Timed], rounds: int, command: str) -> Measured:
    """What was measured just now, on this machine."""
    return Measured(
        work=work.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        rounds=rounds,
        threads=threads.available(),
        hardware=environment.hardware({}),
        packages=environment.packages(),
        sides=tuple(sides),
    )


def save(out: Path, found: Measured) -> Path:
    """Write a work's times, in the place of earlier ones.

    Raises:
        UserError: the folder cannot be written.
    """
    target = _file(out, found.work)
    write_json(target, found.model_dump(mode="json"))
    return target


def load(out: Path, work: Work) -> Measured | None:
    """The last times of a work; None: it was never measured.

    Raises:
        UserError: the file is not one of ours.
    """
    path = _file(out, work.name)
    try:
        return Measured.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise UserError(
            f"{path} cannot be read ({str(error).splitlines()[0]}): delete it, and measure again"
            f" with `python -m benchmark speed --what {work.what}`"
        ) from error


def ratio(ours: Timed, other: Timed) -> tuple[float, float, float]:
    """How many times as fast ours is: by the medians, and the least and largest of a round."""
    rounds = [b / a for a, b in zip(ours.seconds, other.seconds, strict=True)]
    return median(other.seconds) / median(ours.seconds), min(rounds), max(rounds)


def _file(out: Path, work: str) -> Path:
    return out / FOLDER / "works" / f"{work}.json"


def machine(found: Measured) -> str:
    """What it was measured on, in a line."""
    known: Mapping[str, Any] = found.hardware
    memory = (known["memory_bytes"] or 0) / 2**30
    return (
        f"{known['processor']}, {known['cores']} cores, {memory:.0f} GiB, {known['system']};"
        f" {found.threads} threads a process"
    )
