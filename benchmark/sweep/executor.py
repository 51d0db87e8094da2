"""What starts the runs of a sweep must offer: here and on one machine, or elsewhere on many."""

from enum import StrEnum
from typing import Protocol

from benchmark.sweep.events import End, Progress
from benchmark.sweep.ledger import Files
from benchmark.sweep.plan import PlannedRun


class Step(StrEnum):
    """How a run is stopped, one step after the other."""

    ASK = "ask"
    TERMINATE = "terminate"
    KILL = "kill"


class Job(Protocol):
    """A run that has been started."""

    def progress(self) -> Progress:
        """How far it is."""

    def ended(self) -> End | None:
        """How it ended; None while it goes on."""

    def stop(self, step: Step) -> None:
        """Ask it to end, or end it; what has ended already is left alone."""


class Executor(Protocol):
    """Starts runs, as many at once as it has slots.

    What a run leaves is the same whichever executor starts it: `benchmark.run.execute` into the
    results folder of the sweep.
    """

    @property
    def slots(self) -> int:
        """How many at once; it may change."""

    def start(self, run: PlannedRun, files: Files, overwrite: bool) -> Job:
        """Start a run in a process of its own."""
