"""What a run may cost from the start of its process to its end, told from runs that are done.

Nothing is known of a network before it was run, and then no estimate is given: better none than one
out of thin air. A guess of a network's cost from its layers is not made here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmark.config import DECIDE_NOTHING, RunConfig
from benchmark.records.index import opened
from benchmark.sweep import measured
from benchmark.sweep.factors import Levels, Span
from benchmark.sweep.fitted import Fitted
from benchmark.sweep.ledger import Ledger
from benchmark.sweep.levels import levels, row
from benchmark.sweep.measured import Machine, Measured
from benchmark.sweep.plan import Estimate, PlannedRun


class Costs:
    """What runs took, for estimates of others.

    Those of this machine count first, then those of others: of a machine only its processor, its
    cores and whether it has an accelerator are looked at.

    Args:
        accelerated: whether runs here have an accelerator, if they may.
    """

    def __init__(self, accelerated: bool = False) -> None:
        self._runs: dict[str, _Run] = {}
        self._known: dict[tuple[str, bool, bool], _Known] = {}
        self._machines = {used: Machine.here(used) for used in {False, accelerated}}
        self._accelerated = accelerated

    @classmethod
    def of_results(cls, out: Path, accelerated: bool = False) -> "Costs":
        """Of the runs whose records lie below `out`, and of what was calibrated there.

        Raises:
            UserError: what was calibrated cannot be read.
        """
        costs = cls(accelerated)
        for run in measured.kept(out / measured.CALIBRATION):
            costs.add(run)
        walls = Ledger(out).walls()
        with opened(out) as index:
            for record in index.records(index.heads):
                found = measured.of_record(record, out, walls.get(record.run_id))
                if found is not None:
                    costs.add(found)
        return costs

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._runs

    @property
    def seconds(self) -> list[float]:
        """That each run took."""
        return [each.run.whole(0.0) for each in self._runs.values()]

    def add(self, run: Measured) -> None:
        """Take in a run, in place of what was known of it."""
        config = run.config
        self._runs[run.run_id] = _Run(
            run, levels(config, sized=True), levels(config, sized=False), _same(config)
        )
        self._known.clear()

    def estimate(self, config: RunConfig) -> Estimate | None:
        """From runs of these settings but the seed, else from like ones, else from factors.

        Like ones have network, method and data in common; their parts grow with epochs and pixels
        as each part does. Else what is known of the network, of the data with the task, and of the
        method, each with whatever others, is put together. None where that is not known.
        """
        public = config.public()
        here, elsewhere = (self._of(config, own) for own in (True, False))
        return here.estimate(public) or elsewhere.estimate(public)

    def told(self, config: RunConfig) -> Span:
        """What is told by runs like this one in framework and machine, each size on its own."""
        span = Span()
        for each in self._of(config, True).runs:
            if each.run.seconds:
                span.add(row(each.run.config))
        return span

    def _of(self, config: RunConfig, here: bool) -> "_Known":
        accelerated = self._accelerated and config.device != "cpu"
        key = (config.framework, accelerated, here)
        if key not in self._known:
            machine = self._machines[accelerated]
            runs = [
                each
                for each in self._runs.values()
                if each.run.config["framework"] == config.framework
                and (each.run.machine == machine) is here
            ]
            self._known[key] = _Known(runs, "" if here else ", on other machines")
        return self._known[key]


@dataclass(frozen=True)
class _Run:
    """A run with its levels and what it has in common with runs of other seeds."""

    run: Measured
    sized: Levels
    loose: Levels
    same: str


class _Known:
    """What runs of one framework and one kind of machine took.

    Args:
        runs: these.
        where: what to add to the source of an estimate.
    """

    def __init__(self, runs: Sequence[_Run], where: str) -> None:
        self.runs, self._where = runs, where
        known = [each for each in runs if each.run.seconds]
        self._sized = Fitted([(each.sized, each.run) for each in known])
        self._loose = Fitted([(each.loose, each.run) for each in known])
        self._same: dict[str, list[Measured]] = {}
        for each in runs:
            self._same.setdefault(each.same, []).append(each.run)
        self._told: dict[str, Estimate | None] = {}

    def estimate(self, config: Mapping[str, Any]) -> Estimate | None:
        """Of a run of these public settings."""
        same = _same(config)
        if same not in self._told:
            self._told[same] = self._estimate(config, same)
        return self._told[same]

    def _estimate(self, config: Mapping[str, Any], same: str) -> Estimate | None:
        height, width = config["image_size"]
        work = (int(config["recipe"]["epochs"]), int(height) * int(width))
        sized, loose = levels(config, sized=True), levels(config, sized=False)
        if found := self._same.get(same):
            whole = median(run.whole(self._sized.start(sized)) for run in found)
            return Estimate(whole, f"runs of these settings: {len(found)}{self._where}")
        for fitted, asked, by in (
            (self._sized, sized, "epochs"),
            (self._loose, loose, "epochs and pixels"),
        ):
            like, seconds = fitted.like(asked, *work)
            if like:
                return Estimate(seconds, f"runs like it, by {by}: {like}{self._where}")
        for fitted, asked, by in (
            (self._sized, sized, ""),
            (self._loose, loose, ", scaled by pixels"),
        ):
            others = fitted.others(asked, *work)
            if others is not None:
                told = f"other runs, by network, data and method{by}: {fitted.trained}"
                return Estimate(others, f"{told}{self._where}")
        return None


def _same(config: Mapping[str, Any]) -> str:
    settings = {n: v for n, v in config.items() if n not in (*DECIDE_NOTHING, "seed")}
    return json.dumps(settings, sort_keys=True)


class Underway(NamedTuple):
    """For how many seconds a run has run, and how many more it says at least, if it does."""

    seconds: float
    told: float | None = None


def seconds_left(
    unfinished: Sequence[PlannedRun], working: Mapping[str, Underway], costs: Costs, jobs: int
) -> float | None:
    """How long so many jobs need for these runs; None while nothing is known of any of them.

    Args:
        unfinished: runs that are not settled.
        working: those that run now, by id.
        costs: of runs that are done; where they tell nothing, the plan's own estimate counts, and
            where there is none the mean of all that is known, or of what running ones say.
        jobs: at once.
    """
    found = [costs.estimate(run.config) or run.estimate for run in unfinished]
    known = [estimate.seconds for estimate in found if estimate is not None] + costs.seconds
    if not unfinished:
        return 0.0
    # Better than nothing, though it may be the first of several stages that is told.
    known = known or [each.seconds + each.told for each in working.values() if each.told]
    if not known:
        return None
    mean = sum(known) / len(known)
    left = []
    for run, estimate in zip(unfinished, found, strict=True):
        whole = mean if estimate is None else estimate.seconds
        seconds, told = working.get(run.id, Underway(0.0))
        left.append(max(whole - seconds, told or 0.0))
    # However many jobs there are, none is shared.
    return max(max(left), sum(left) / min(jobs, len(unfinished)))
