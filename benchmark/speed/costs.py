"""Estimates of a sweep's plan beside what the runs then took, on made images.

What is known beforehand is calibration alone, see `benchmark.sweep.calibration`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import UserError
from benchmark.sweep import calibration
from benchmark.sweep.cost import Costs
from benchmark.sweep.display import TerminalSweepDisplay
from benchmark.sweep.ledger import Ledger
from benchmark.sweep.local import LocalExecutor, gpus
from benchmark.sweep.plan import Asked, Estimate, PlannedRun, planned
from benchmark.sweep.retries import Retries
from benchmark.sweep.scheduler import Rules, Scheduler
from benchmark.sweep.states import State

# Combinations that calibration does not do itself: other epochs, network by method.
_RUNS = (
    ("MobileNet", "torch", "supercon", 6),
    ("MobileNetV2", "torch", "cross-entropy", 8),
    ("EfficientNetB0", "torch", "mixup", 6),
    ("EfficientNetB0", "torch", "supercon", 8),
    ("MobileNet", "keras", "mixup", 8),
    ("MobileNetV2", "keras", "cross-entropy", 6),
    ("MobileNetV2", "keras", "supercon", 6),
)
_IMAGES, _SIDE = 160, 96


@dataclass(frozen=True)
class Estimated:
    """One run: its name in the grid, epochs, the seconds it was said to take and those it took."""

    run: str
    epochs: int
    estimated: float
    taken: float

    @property
    def factor(self) -> float:
        """By how much the larger exceeds the smaller."""
        return max(self.estimated, self.taken) / min(self.estimated, self.taken)


def plan() -> list[PlannedRun]:
    """The runs, in both frameworks."""
    return [
        planned(
            Asked(
                arch=arch,
                framework=framework,
                task="diagnosis",
                method=method,
                dataset_options={"images": _IMAGES},
                image_size=_SIDE,
                epochs=epochs,
            )
        )
        for arch, framework, method, epochs in _RUNS
    ]


def measure(runs: Iterable[PlannedRun], folder: Path) -> list[Estimated]:
    """Calibrate for runs, estimate them, then do them, one after the other.

    Args:
        runs: of a plan.
        folder: empty; records and calibration lie below it afterwards.

    Raises:
        UserError: a run failed, or nothing was known of it after calibration.
    """
    runs, found = list(runs), gpus()
    costs = Costs.of_results(folder, bool(found))
    with calibration.begun(calibration.missing(runs, costs), folder, costs, found) as scheduler:
        scheduler.run()
    estimates = {run.id: costs.estimate(run.config) for run in runs}
    ledger = Ledger(folder)
    display = TerminalSweepDisplay(runs)
    executor = LocalExecutor(folder, 1, found[:1])
    Scheduler(runs, ledger, executor, display, Rules(retries=Retries(most=0)), costs).run()
    return [_compared(run, estimates[run.id], ledger) for run in runs]


def _compared(run: PlannedRun, estimate: Estimate | None, ledger: Ledger) -> Estimated:
    row = ledger.row(run)
    if row.state is not State.DONE or estimate is None:
        why = row.reason or f"it is {row.state.value}" if estimate else "calibration tells nothing"
        raise UserError(f"{run.name} cannot be compared with its estimate: {why}")
    return Estimated(run.name, run.config.recipe.epochs, estimate.seconds, row.seconds)
