"""What is seen of a sweep: bars on a terminal, plain lines elsewhere. All of it on stderr."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from benchmark.sweep import events
from benchmark.sweep.ledger import Row
from benchmark.sweep.plan import PlannedRun
from benchmark.sweep.states import UNFINISHED, State


@dataclass(frozen=True)
class Shown:
    """How far a sweep is.

    Attributes:
        states: how many runs are in each.
        seconds_left: None where it is not known.
        jobs: what runs now: the run, what it tells, for how many seconds.
    """

    states: Counter[State]
    seconds_left: float | None
    jobs: Sequence[tuple[PlannedRun, events.Progress, float]]


class SweepDisplay(Protocol):
    """Where a sweep reports to."""

    def say(self, line: str) -> None:
        """Print one line."""

    def started(self, run: PlannedRun, row: Row) -> None:
        """A run was started."""

    def ended(self, run: PlannedRun, row: Row, wait: float) -> None:
        """A run ended; `wait` seconds until it is tried again, if it is."""

    def show(self, shown: Shown) -> None:
        """Show how far the sweep is; called a few times a second."""

    def close(self) -> None:
        """Nothing more is shown."""


class TerminalSweepDisplay:
    """A bar of all runs and one of each that runs; off a terminal a line at each start and end."""

    def __init__(self, runs: Sequence[PlannedRun]) -> None:
        self._titles = _titles(runs)
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._live = self._console.is_terminal
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}", markup=False),
            console=self._console,
            transient=True,
            disable=not self._live,
        )
        self._tasks: dict[str, TaskID] = {}
        self._ended = False
        self._bars.start()

    def say(self, line: str) -> None:
        """Print one line."""
        self._console.print(line, markup=False)

    def started(self, run: PlannedRun, row: Row) -> None:
        """A line, where there are no bars."""
        if not self._live:
            again = f" (try {row.tries})" if row.tries > 1 else ""
            self.say(f"started    {run.name}{again}")

    def ended(self, run: PlannedRun, row: Row, wait: float) -> None:
        """A line that stays."""
        told = row.reason
        if row.state is State.DONE:
            told = f"{row.run_id} in {duration(row.seconds)}"
        if row.state is State.RETRYING:
            told = f"in {duration(wait)}, after: {row.reason}"
        self.say(f"{row.state:<10} {run.name}{f'  {told}' if told else ''}")
        self._ended = True

    def show(self, shown: Shown) -> None:
        """Draw the bars; where there are none, a line after each end."""
        if not self._live:
            if self._ended:
                self.say(f"{'sweep':<10} {_overall(shown)}")
                self._ended = False
            return
        total = sum(shown.states.values())
        settled = total - sum(shown.states[state] for state in UNFINISHED)
        self._draw("", "sweep", settled, total, _overall(shown))
        for run, progress, seconds in shown.jobs:
            told = f"{progress.doing}  {progress.summary}".rstrip() + f"  {duration(seconds)}"
            self._draw(run.id, self._titles[run.id], progress.epoch, progress.epochs or None, told)
        for gone in set(self._tasks) - {"", *(run.id for run, _, _ in shown.jobs)}:
            self._bars.remove_task(self._tasks.pop(gone))

    def close(self) -> None:
        """Take the bars away."""
        self._bars.stop()

    def _draw(self, key: str, title: str, done: int, total: int | None, told: str) -> None:
        if key not in self._tasks:
            self._tasks[key] = self._bars.add_task(title, total=total, told=told)
        self._bars.update(self._tasks[key], completed=done, total=total, told=told)


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, to two figures or so."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def left(seconds: float | None) -> str:
    """How long it may take yet."""
    return "time left unknown" if seconds is None else f"about {duration(seconds)} left"


def _overall(shown: Shown) -> str:
    counts = [f"{shown.states[state]} {state}" for state in State if shown.states[state]]
    unfinished = any(shown.states[state] for state in UNFINISHED)
    return ", ".join([*counts, *([left(shown.seconds_left)] if unfinished else [])])


def _titles(runs: Sequence[PlannedRun]) -> dict[str, str]:
    """A short title by id: what all runs have in common is left out of their names."""
    rows = [run.name.split("/") for run in runs]
    differ = [len(set(column)) > 1 for column in zip(*rows, strict=True)]
    return {
        run.id: " ".join(part for part, told in zip(row, differ, strict=True) if told) or run.name
        for run, row in zip(runs, rows, strict=True)
    }
