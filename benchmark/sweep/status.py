"""How a sweep stands, whether or not one is running: the plan beside what is stored of each run."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from benchmark.sweep import events
from benchmark.sweep.cost import Costs, Underway, seconds_left
from benchmark.sweep.display import duration, left
from benchmark.sweep.ledger import Ledger, Row
from benchmark.sweep.plan import PlannedRun
from benchmark.sweep.states import UNFINISHED, State


@dataclass(frozen=True)
class Standing:
    """How a sweep stands.

    Attributes:
        rows: of every run, in the order of the plan.
        progress: of each run that runs, by its id.
        states: how many runs are in each.
        seconds_left: with as many jobs as run now, or one; None where it is not known.
    """

    rows: Sequence[tuple[PlannedRun, Row]]
    progress: Mapping[str, events.Progress]
    states: Counter[State]
    seconds_left: float | None


def standing(runs: Sequence[PlannedRun], ledger: Ledger, costs: Costs) -> Standing:
    """How these runs stand, and what `costs` tell of those that are not done."""
    rows = [(run, ledger.seen(run)) for run in runs]
    running = [(run, row) for run, row in rows if row.state is State.RUNNING]
    progress = {run.id: events.read(ledger.files(run).events).progress for run, _ in running}
    working = {run.id: Underway(_age(row), progress[run.id].left) for run, row in running}
    unfinished = [run for run, row in rows if row.state in UNFINISHED]
    states = Counter(row.state for _, row in rows)
    seconds = seconds_left(unfinished, working, costs, max(len(working), 1))
    return Standing(rows, progress, states, seconds)


def told(standing: Standing, ledger: Ledger) -> list[str]:
    """The lines of `sweep status`."""
    jobs = standing.states[State.RUNNING]
    lines = [f"{state:<10} {standing.states[state]:>6}" for state in State]
    if any(standing.states[state] for state in UNFINISHED):
        lines.append(f"\n{left(standing.seconds_left)}, with {max(jobs, 1)} at once")
    for run, row in standing.rows:
        if row.state is State.RUNNING:
            progress = standing.progress[run.id]
            epoch = f" {progress.epoch}/{progress.epochs}" if progress.epochs else ""
            doing = f"{progress.doing}{epoch}  {progress.summary}".rstrip()
            lines.append(f"\nrunning    {run.name}\n           {doing}, {duration(_age(row))}")
    for run, row in standing.rows:
        if row.state in (State.FAILED, State.TIMED_OUT, State.RETRYING):
            log = ledger.files(run).log
            lines.append(f"\n{row.state:<10} {run.name}\n           {row.reason}\n           {log}")
    return lines


def _age(row: Row) -> float:
    return max(time.time() - datetime.fromisoformat(row.since).timestamp(), 0.0)
