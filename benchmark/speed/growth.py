"""How cost grows: time and memory against images, classes, image side, annotators and records.

A curve is a list of sizes; each of its points is measured in a process of its own. What is done at
a point is `growth_points`', how curves are drawn `growth_plot`'s.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from benchmark.data.pixels import Progress
from benchmark.errors import UserError, unknown_name

_POINTS = "benchmark.speed.growth_points"


@dataclass(frozen=True)
class Curve:
    """One cost against one size.

    Attributes:
        name: by which it is asked for.
        title: what is measured.
        varies: what grows, such as "images".
        unit: what the sizes count.
        sizes: rising; those that are measured unless others are asked for.
        fitted_from: smaller sizes are measured, but the exponent is not fitted to them.
        point: "module:function" that prepares a point, see `growth_points`.
        repeats: of what takes a moment, how often it is timed, after once to warm up; 1: the first
            time counts.
    """

    name: str
    title: str
    varies: str
    unit: str
    sizes: tuple[int, ...]
    fitted_from: int
    point: str
    repeats: int = 1


CURVES: tuple[Curve, ...] = (
    Curve(
        "run-images",
        "a training run of 1 epoch",
        "images",
        "images",
        (1000, 7000, 50_000),
        1000,
        f"{_POINTS}:training_run",
    ),
    Curve(
        "copies-images",
        "looking for copies",
        "images",
        "images",
        (2000, 4000, 8000, 16000),
        4000,
        f"{_POINTS}:search_for_copies",
    ),
    Curve(
        "train-side",
        "a training step, 8 images",
        "image side",
        "pixels",
        (72, 96, 128, 192, 256, 320),
        128,
        f"{_POINTS}:training_step",
        repeats=3,
    ),
    Curve(
        "predict-side",
        "prediction, 8 images",
        "image side",
        "pixels",
        (72, 96, 128, 192, 256, 320),
        128,
        f"{_POINTS}:prediction",
        repeats=5,
    ),
    Curve(
        "scores-classes",
        "scores with intervals, 1,000 images",
        "classes",
        "classes",
        (2, 4, 8, 16, 32, 64),
        8,
        f"{_POINTS}:scores_of_classes",
    ),
    Curve(
        "scores-images",
        "scores with intervals, 6 classes",
        "images",
        "test images",
        (500, 1000, 2000, 4000, 8000, 16000),
        2000,
        f"{_POINTS}:scores_of_images",
    ),
    Curve(
        "raters-annotators",
        "overlaps of masks, 40 images",
        "annotators",
        "annotators of each image",
        (2, 4, 8, 16),
        4,
        f"{_POINTS}:overlaps_of_masks",
        repeats=3,
    ),
    Curve(
        "board-records",
        "building the leaderboard",
        "records",
        "records",
        (1000, 10_000, 100_000),
        1000,
        f"{_POINTS}:leaderboard",
    ),
)


@dataclass(frozen=True)
class Point:
    """What one size costs.

    Attributes:
        curve: its name.
        size: in the curve's unit.
        seconds: by the clock; the median where it was timed several times.
        cpu_seconds: of all threads, likewise.
        anonymous_bytes: the most memory of its own that the process held at once: the interpreter
            and its libraries count, pages of mapped files, which the system may take back, do not.
        facts: what else is to be known, such as the bytes of a record.
    """

    curve: str
    size: int
    seconds: float
    cpu_seconds: float
    anonymous_bytes: int
    facts: dict[str, float]


@dataclass(frozen=True)
class Fit:
    """cost = factor x size ^ exponent; `error` is the exponent's standard error, NaN of 2 sizes."""

    exponent: float
    error: float
    factor: float

    def at(self, sizes: ArrayLike) -> NDArray[np.float64]:
        """The cost of each size."""
        return self.factor * np.asarray(sizes, np.float64) ** self.exponent

    def __str__(self) -> str:
        spread = "" if np.isnan(self.error) else f" ± {self.error:.2f}"
        return f"n^{self.exponent:.2f}{spread}"


def named(name: str) -> Curve:
    """The curve of this name.

    Raises:
        UserError: there is none.
    """
    known = {curve.name: curve for curve in CURVES}
    if name not in known:
        raise unknown_name("curve", name, known)
    return known[name]


def measure(
    curve: Curve, scratch: Path, progress: Progress, sizes: Sequence[int] | None = None
) -> list[Point]:
    """Measure a curve, one process after the other.

    Args:
        curve: of `CURVES`.
        scratch: a folder; what is made in it is removed again, after an interruption too.
        progress: called as `progress(sizes, description, total)`, passes the sizes on.
        sizes: those of the curve if None.

    Raises:
        UserError: a size is not positive, or a point failed, such as for want of memory.
    """
    wanted = curve.sizes if sizes is None else tuple(sizes)
    if not wanted or min(wanted) < 1:
        raise UserError(f"curve {curve.name}: sizes {wanted} are not all positive: give 1 or more")
    watched = progress(wanted, f"{curve.title} by {curve.varies}", len(wanted))
    return [_measured(curve, size, scratch) for size in watched]


def fitted(curve: Curve, points: Iterable[Point]) -> list[Point]:
    """Those of its points that the exponents are fitted to, by rising size.

    A power law holds for large sizes only: small ones cost what anything costs, such as opening
    files. So the sizes from `Curve.fitted_from` on count, and all where those are fewer than two.
    """
    own = sorted((p for p in points if p.curve == curve.name), key=lambda point: point.size)
    large = [point for point in own if point.size >= curve.fitted_from]
    return large if len(large) > 1 else own


def exponent(sizes: ArrayLike, values: ArrayLike) -> Fit:
    """The power law through some costs, by least squares of the logarithms.

    There is no constant beside the power: where one dominates, as at small sizes, the exponent is
    too low. Fit large sizes, see `fitted`.

    Args:
        sizes: (N,) positive, at least two different ones.
        values: (N,) positive.

    Raises:
        ValueError: fewer than two sizes, or a number is not positive.
    """
    x, y = np.asarray(sizes, np.float64), np.asarray(values, np.float64)
    if x.shape != y.shape or len(np.unique(x)) < 2 or min(x.min(), y.min()) <= 0:
        raise ValueError("a power law needs the positive costs of two sizes or more")
    x, y = np.log(x), np.log(y)
    spread = x - x.mean()
    slope = float(spread @ y / (spread @ spread))
    rest = y - y.mean() - slope * spread
    freedom = len(x) - 2
    error = np.sqrt(rest @ rest / freedom / (spread @ spread)) if freedom else np.nan
    return Fit(slope, float(error), float(np.exp(y.mean() - slope * x.mean())))


def table(points: Iterable[Point]) -> pd.DataFrame:
    """A row per point: columns curve, size, seconds, cpu_seconds, anonymous_bytes."""
    columns = ["curve", "size", "seconds", "cpu_seconds", "anonymous_bytes"]
    return pd.DataFrame([asdict(point) for point in points], columns=columns)


def _measured(curve: Curve, size: int, scratch: Path) -> Point:
    scratch.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="growth-", dir=scratch) as own:
        # What others have put into the cache must not be found, and nothing left elsewhere.
        environment = os.environ | {"TMPDIR": own, "DERMBENCH_CACHE": str(Path(own) / "cache")}
        command = [sys.executable, "-m", _POINTS, curve.name, str(size)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise UserError(
            f"curve {curve.name} at {size} {curve.unit}: {last}: measure smaller sizes, or this one"
            " on a machine with more memory"
        )
    return Point(curve=curve.name, size=size, **json.loads(done.stdout.splitlines()[-1]))
