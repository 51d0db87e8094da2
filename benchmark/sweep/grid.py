"""The runs of a grid, and the combinations that are left out because they cannot run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import architectures
from architectures import FRAMEWORKS
from benchmark.config import RunConfig
from benchmark.data import Dataset, load
from benchmark.errors import UserError, may_be_added, unknown_name
from benchmark.registry import DATASETS, METHODS, TASKS
from benchmark.running.origin import settled
from benchmark.running.question import asked_of, question
from benchmark.sweep.cost import Costs
from benchmark.sweep.plan import Asked, PlannedRun, planned

ALL = "all"
_LETTERS_OF_PATTERNS = "*?["
_AXES = ("arch", "framework", "task", "method", "dataset", "seed")


@dataclass(frozen=True)
class Grid:
    """What is to be combined with what.

    Attributes:
        archs, frameworks, tasks, methods: names and patterns such as "ResNet*"; "all" is all.
        datasets: likewise, or NAME:DIR; none: the one of each task.
        seeds: of the runs.
        settings: the other fields of `Asked`, the same for all runs.
        exclude: patterns of ARCH/FRAMEWORK/TASK/METHOD/DATASET/SEED, or of one of these names.
        results: the folder of the runs that settings name, as `--weights run:TASK` does.
    """

    archs: Sequence[str]
    frameworks: Sequence[str]
    tasks: Sequence[str]
    methods: Sequence[str]
    datasets: Sequence[str]
    seeds: Sequence[int]
    settings: Mapping[str, Any] = field(default_factory=dict)
    exclude: Sequence[str] = ()
    results: Path = Path("results")

    def combinations(self) -> Iterator[Asked]:
        """Every combination, whether or not it can run, seeds last.

        Raises:
            UserError: a name is unknown, or a pattern stands for nothing.
        """
        datasets = self._datasets()
        for task, dataset, method, arch, framework, seed in product(
            _chosen("task", self.tasks, TASKS.names()),
            datasets,
            _chosen("method", self.methods, METHODS.names()),
            _chosen("architecture", self.archs, architectures.names()),
            _chosen("framework", self.frameworks, FRAMEWORKS),
            self.seeds,
        ):
            yield Asked(
                **{
                    **self.settings,
                    "dataset": TASKS.get(task).dataset,
                    **dataset,
                    "task": task,
                    "method": method,
                    "arch": arch,
                    "framework": framework,
                    "seed": seed,
                }
            )

    def _datasets(self) -> list[dict[str, Any]]:
        if not self.datasets:
            return [{}]
        found: dict[str, dict[str, Any]] = {}
        for item in self.datasets:
            pattern, colon, folder = item.partition(":")
            for name in _chosen("dataset", [pattern], DATASETS.names()):
                found[name] = {"dataset": name} | ({"data_dir": folder} if colon else {})
        if self.settings.get("data_dir") and len(found) > 1:
            raise UserError("--data-dir is of one data set: write --dataset NAME:DIR,NAME:DIR")
        return list(found.values())


@dataclass(frozen=True)
class LeftOut:
    """Runs that cannot be, all for the same reason."""

    reason: str
    runs: tuple[Asked, ...]

    def told(self) -> list[str]:
        """Which ones they are: those of a task as a product of names where they are one."""
        of_tasks: dict[tuple[str, str], list[list[str]]] = {}
        for run in self.runs:
            row = [str(getattr(run, axis)) for axis in _AXES]
            of_tasks.setdefault((run.task, str(run.dataset)), []).append(row)
        return [line for rows in of_tasks.values() for line in _as_product(rows)]


def _as_product(rows: Sequence[Sequence[str]]) -> list[str]:
    values = [list(dict.fromkeys(column)) for column in zip(*rows, strict=True)]
    if prod(map(len, values)) == len(rows):
        return ["/".join(",".join(names) for names in values)]
    return ["/".join(row) for row in rows]


def make(grid: Grid, costs: Costs) -> tuple[list[PlannedRun], list[LeftOut]]:
    """The runs of a grid with what they may cost, and what is left out of it.

    The tables of the data sets are read, so that a task is not planned on data that cannot answer
    it; their images are not.

    Raises:
        UserError: a name is unknown, a pattern matches nothing, or no run is left.
    """
    runs: list[PlannedRun] = []
    refused: dict[str, list[Asked]] = {}
    unused = set(grid.exclude)
    data = _DataSets()
    for asked in grid.combinations():
        matching = {pattern for pattern in grid.exclude if _matches(asked, pattern)}
        unused -= matching
        if matching:
            continue
        try:
            run = planned(_with_weights(asked, grid.results))
            data.require(run.config)
        except UserError as error:
            refused.setdefault(str(error), []).append(asked)
            continue
        runs.append(PlannedRun(run.id, run.asked, run.config, costs.estimate(run.config)))
    if unused:
        raise UserError(
            f"--exclude {min(unused)} matches no run: write it as in"
            " 'VGG16', 'NASNet*' or '*/keras/*/supercon/*'"
        )
    left_out = [LeftOut(reason, tuple(those)) for reason, those in refused.items()]
    if not runs:
        first = f": {left_out[0].reason}" if left_out else ""
        raise UserError(f"nothing of this grid can run{first}")
    return runs, left_out


def _with_weights(asked: Asked, results: Path) -> Asked:
    """With the run that `--weights run:...` means for this one."""
    found = settled(dict(asked), results, asked.arch, asked.framework, asked.seed)
    return asked.model_copy(update=found)


class _DataSets:
    """The data sets of a grid, each read once and judged once for each question."""

    def __init__(self) -> None:
        self._read: dict[str, Dataset | UserError] = {}
        self._judged: dict[str, UserError | None] = {}

    def require(self, config: RunConfig) -> None:
        """That the data of a run are there and can answer its question.

        Raises:
            UserError: they are not or cannot.
        """
        data = repr((config.dataset, config.data_dir, config.dataset_options))
        asked = repr((data, config.task, config.task_options))
        if asked not in self._judged:
            self._judged[asked] = self._fault(config, data)
        if fault := self._judged[asked]:
            raise fault

    def _fault(self, config: RunConfig, data: str) -> UserError | None:
        if data not in self._read:
            self._read[data] = _read(config)
        read = self._read[data]
        if isinstance(read, UserError):
            return read
        try:
            asked_of(question(config)[0], read)
        except UserError as error:
            return error
        return None


def _read(config: RunConfig) -> Dataset | UserError:
    try:
        return load(config.dataset, config.data_dir, **config.dataset_options)
    except UserError as error:
        return error


def _chosen(kind: str, patterns: Sequence[str], names: Sequence[str]) -> list[str]:
    """The names that any of the patterns stands for, in the order of the patterns."""
    found: dict[str, None] = {}
    for pattern in patterns:
        matching = [name for name in names if pattern == ALL or _like(name, pattern)]
        plain = not any(letter in pattern for letter in _LETTERS_OF_PATTERNS)
        if kind == "architecture" and not matching and plain:
            # An alias, or a network outside the eleven, which "all" does not stand for.
            matching = [architectures.find(pattern).name]
        if not matching and not plain:
            raise UserError(f"{pattern} matches no {kind}: known are {', '.join(names)}")
        if not matching:
            unknown = unknown_name(kind, pattern, names)
            raise unknown if kind == "framework" else may_be_added(unknown)
        found |= dict.fromkeys(matching)
    return list(found)


def _matches(asked: Asked, pattern: str) -> bool:
    parts = [str(getattr(asked, axis)) for axis in _AXES]
    if "/" in pattern:
        return _like("/".join(parts), pattern)
    return any(_like(part, pattern) for part in parts)


def _like(name: str, pattern: str) -> bool:
    return fnmatchcase(name.lower(), pattern.lower())
