"""What a run may cost, told from like runs that are done.

Nothing is known of a network before one like it was run, and then no estimate is given: better none
than one out of thin air. A guess of a network's cost from its layers is not made here.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmark.config import DECIDE_NOTHING, RunConfig
from benchmark.records.record import Record
from benchmark.sweep.plan import Estimate, PlannedRun

# What runs must have in common for one to tell of the other, scaled by epochs and pixels.
_ALIKE = ("arch", "framework", "task", "method", "dataset", "dataset_options", "task_options")


@dataclass(frozen=True)
class Costs:
    """The seconds that runs took, for estimates of others."""

    seconds: list[float] = field(default_factory=list)
    _same: dict[str, list[float]] = field(default_factory=dict)
    _alike: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def of_records(cls, records: Iterable[Record]) -> "Costs":
        """Of runs that are done: the time of all their parts, as the records have it.

        A run that was interrupted counts with its last part alone.
        """
        costs = cls()
        for record in records:
            costs.add(record.config, sum(record.seconds.values()))
        return costs

    def add(self, config: Mapping[str, Any], seconds: float) -> None:
        """Take in a run with these (public) settings."""
        self.seconds.append(seconds)
        self._same.setdefault(_same(config), []).append(seconds)
        work = _work(config)
        if work:
            self._alike.setdefault(_alike(config), []).append(seconds / work)

    def estimate(self, config: RunConfig) -> Estimate | None:
        """The median of runs that differ in the seed alone, else of like ones, else None.

        Like ones have network, framework, task, method and data in common; their seconds are
        scaled by epochs and pixels, which says too much of a longer run, for what comes before and
        after training is scaled with it.
        """
        public = config.public()
        if found := self._same.get(_same(public)):
            return Estimate(median(found), f"runs of these settings: {len(found)}")
        work = _work(public)
        if work and (found := self._alike.get(_alike(public))):
            return Estimate(
                median(found) * work, f"runs like it, by epochs and pixels: {len(found)}"
            )
        return None


def _same(config: Mapping[str, Any]) -> str:
    return _key({n: v for n, v in config.items() if n not in (*DECIDE_NOTHING, "seed")})


def _alike(config: Mapping[str, Any]) -> str:
    return _key({name: config.get(name) for name in _ALIKE})


def _key(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, sort_keys=True)


def _work(config: Mapping[str, Any]) -> int:
    """Epochs times pixels; 0 where nothing is trained."""
    height, width = config["image_size"]
    return int(config["recipe"]["epochs"]) * height * width


def seconds_left(
    unfinished: Sequence[PlannedRun], working: Mapping[str, float], costs: Costs, jobs: int
) -> float | None:
    """How long so many jobs need for these runs; None while nothing is known of any of them.

    Args:
        unfinished: runs that are not settled.
        working: of those that run now, by id, for how many seconds they have.
        costs: of runs that are done; where they tell nothing, the plan's own estimate counts, and
            where there is none the mean of all that is known.
        jobs: at once.
    """
    found = [costs.estimate(run.config) or run.estimate for run in unfinished]
    known = [estimate.seconds for estimate in found if estimate is not None] + costs.seconds
    if not unfinished:
        return 0.0
    if not known:
        return None
    mean = sum(known) / len(known)
    left = 0.0
    for run, estimate in zip(unfinished, found, strict=True):
        whole = mean if estimate is None else estimate.seconds
        left += max(whole - working.get(run.id, 0.0), 0.0)
    return left / min(jobs, len(unfinished))
