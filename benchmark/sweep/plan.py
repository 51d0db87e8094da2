"""The file of a sweep: one line of JSON for each run, to be read, compared and edited by people.

A line holds what `benchmark.config.configure` is asked, an id, what of a machine the run needs and
an estimate of what it costs. The id stands for the resolved settings and the version of the task:
what a line means cannot change unnoticed, with another DermBench for instance. What grid it is from
is `grid`'s.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from pydantic import Field, ValidationError

from benchmark.common.files import write_text
from benchmark.config import DEFAULT_EXPLAINER, Option, RunConfig, configure
from benchmark.errors import UserError
from benchmark.recipe import Settings
from benchmark.registry import TASKS
from benchmark.running.question import question

# Always written, in this order; the rest where it is not the default.
_AXES = ("arch", "framework", "task", "method", "dataset", "budget", "seed")


@dataclass(frozen=True)
class Estimate:
    """Seconds of one run, and what they are told from."""

    seconds: float
    source: str


class Asked(Settings):
    """What one run is asked: the arguments of `configure`."""

    arch: str
    framework: str = "torch"
    task: str
    method: str = "cross-entropy"
    dataset: str | None = None
    budget: str = "quick"
    seed: int = 0
    data_dir: str | None = None
    dataset_options: dict[str, Option] = Field({})
    task_options: dict[str, Option] = Field({})
    method_options: dict[str, Option] = Field({})
    allow_leaks: bool = False
    pretrain_on: tuple[str, ...] = ()
    weights: str = "none"
    cam_layer: str = ""
    explainer: str = DEFAULT_EXPLAINER
    temperature_scaling: bool = False
    image_size: int | tuple[int, int] | None = None
    epochs: int | None = None
    device: str = "auto"

    def resolved(self) -> RunConfig:
        """The whole configuration.

        Raises:
            UserError: it cannot be run, whatever the data.
        """
        config = configure(**dict(self))
        question(config)
        return config


class Needs(Settings):
    """What a run needs of a machine; None leaves it to the engine.

    Attributes:
        cpus: cores, and threads of the run.
        gpus: 1, a part of one that others share, or 0.
    """

    cpus: int | None = Field(None, ge=1)
    gpus: float | None = Field(None, ge=0, le=1)


class _Stored(Asked, Needs):
    """A line as it is written."""

    id: str | None = Field(None, pattern="^p[0-9a-f]{12}$")
    estimated_seconds: float | None = Field(None, ge=0)
    estimated_from: str = ""


@dataclass(frozen=True)
class PlannedRun:
    """One line of a plan.

    Attributes:
        id: stands for the resolved settings.
        asked: as the line says it.
        config: resolved.
        estimate: of its cost, where there is one.
        needs: of a machine; they make no other run.
    """

    id: str
    asked: Asked
    config: RunConfig
    estimate: Estimate | None = None
    needs: Needs = field(default_factory=Needs)

    @property
    def name(self) -> str:
        """Its place in the grid, for people and patterns."""
        c = self.config
        return f"{c.arch}/{c.framework}/{c.task}/{c.method}/{c.dataset}/{c.seed}"


def planned(asked: Asked, estimate: Estimate | None = None) -> PlannedRun:
    """A run with its id.

    Raises:
        UserError: it cannot be run, whatever the data.
    """
    config = asked.resolved()
    return PlannedRun(_id(config), asked, config, estimate)


def write(path: Path, runs: Sequence[PlannedRun]) -> None:
    """Write a plan, atomically.

    Raises:
        UserError: the file exists and says something else, or cannot be written.
    """
    text = "".join(_line(run) for run in runs)
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        raise UserError(
            f"{path} is another plan, which may have been edited: delete it, or give another name"
            " (--plan FILE)"
        )
    write_text(path, text)


def read(path: Path) -> list[PlannedRun]:
    """Every run of a plan, in order; empty lines say nothing.

    Raises:
        UserError: the first fault, with file, line and remedy.
    """
    runs: list[PlannedRun] = []
    places: dict[str, int] = {}
    # Not `splitlines`, which ends a line at signs that a name or a path may hold.
    for number, text in enumerate(_text(path).split("\n"), start=1):
        if not text.strip():
            continue
        run = _parsed(path, number, text)
        if run.id in places:
            _refuse(path, number, f"line {places[run.id]} asks the same: delete one of them")
        places[run.id] = number
        runs.append(run)
    if not runs:
        raise UserError(f"{path} has no run: `python -m benchmark sweep plan` writes one")
    return runs


def shard(runs: Sequence[PlannedRun], part: int, parts: int) -> list[PlannedRun]:
    """The runs of one of several shards, from 1, dealt out in turn."""
    return list(runs[part - 1 :: parts])


def _id(config: RunConfig) -> str:
    settings = config.model_dump(mode="json")
    # Where it is computed, and what would be refused without it, make no other run.
    for name in ("device", "allow_leaks"):
        del settings[name]
    if not config.cam_layer:
        # Plans from before there was one keep their ids.
        del settings["cam_layer"]
    version = TASKS.get(config.task).version
    text = json.dumps({"config": settings, "task_version": version}, sort_keys=True)
    return "p" + hashlib.sha256(text.encode()).hexdigest()[:12]


def _line(run: PlannedRun) -> str:
    asked = run.asked.model_dump(mode="json")
    usual = {name: each.get_default() for name, each in Asked.model_fields.items()}
    fields = {"id": run.id} | {name: asked[name] for name in _AXES}
    fields["dataset"] = run.config.dataset
    fields |= {n: v for n, v in asked.items() if n not in _AXES and v != _plain(usual[n])}
    fields |= run.needs.model_dump(exclude_none=True)
    if run.estimate is not None:
        fields["estimated_seconds"] = round(run.estimate.seconds, 1)
        fields["estimated_from"] = run.estimate.source
    return json.dumps(fields, allow_nan=False, ensure_ascii=False) + "\n"


def _plain(default: Any) -> Any:
    return list(default) if isinstance(default, tuple) else default


def _parsed(path: Path, number: int, text: str) -> PlannedRun:
    try:
        stored = _Stored.model_validate_json(text)
    except ValidationError as error:
        _refuse(path, number, _first_fault(error))
    estimate = None
    if stored.estimated_seconds is not None:
        estimate = Estimate(stored.estimated_seconds, stored.estimated_from)
    try:
        run = planned(Asked(**{name: getattr(stored, name) for name in Asked.model_fields}))
    except UserError as error:
        _refuse(path, number, str(error))
    if stored.id not in (None, run.id):
        _refuse(
            path,
            number,
            f"these settings are {run.id} and not {stored.id}: the line was edited, or this"
            " DermBench reads it otherwise: if it says what you mean, take the id out",
        )
    needs = Needs(cpus=stored.cpus, gpus=stored.gpus)
    return PlannedRun(run.id, run.asked, run.config, estimate, needs)


def _first_fault(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"there is no setting {place!r}: a line may have {', '.join(_Stored.model_fields)}"
    if first["type"] == "missing":
        return f"{place} is missing"
    return f"{place}: {first['msg']}" if place else first["msg"]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(
            f"there is no plan {path}: `python -m benchmark sweep plan` writes one"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def _refuse(path: Path, number: int, what: str) -> NoReturn:
    raise UserError(f"{path}:{number}: {what}")


def total_seconds(runs: Iterable[PlannedRun]) -> tuple[float, int]:
    """The sum of the estimates, and of how many runs it is."""
    known = [run.estimate.seconds for run in runs if run.estimate is not None]
    return sum(known), len(known)
