"""Short runs that tell what the runs of a plan may cost; they enter no board."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import architectures
from benchmark.common import locks, threads
from benchmark.common.progress import TerminalDisplay
from benchmark.config import EARLIER_RUN
from benchmark.data import load
from benchmark.data.pixels import open_pixels
from benchmark.errors import UserError
from benchmark.registry import METHODS
from benchmark.running.question import asked_of, question
from benchmark.sweep import measured, scratch
from benchmark.sweep.cost import Costs
from benchmark.sweep.display import TerminalSweepDisplay
from benchmark.sweep.factors import Span
from benchmark.sweep.ledger import Ledger, Row
from benchmark.sweep.levels import row
from benchmark.sweep.local import LocalExecutor
from benchmark.sweep.plan import PlannedRun, planned
from benchmark.sweep.retries import Retries
from benchmark.sweep.scheduler import Rules, Scheduler
from benchmark.sweep.states import State

# The first epoch warms up (Keras traces for longer than many epochs take), two tell of the others,
# and methods of three generations have one each. Ours.
EPOCHS = 3


def missing(runs: Sequence[PlannedRun], costs: Costs) -> list[PlannedRun]:
    """The fewest runs that tell of all runs of a plan, with what is known already.

    Each framework for itself: every network once, every method and every question once, these on
    the network of the fewest parameters where the plan has them together. With few epochs.
    """
    spans: dict[tuple[str, bool], Span] = {}
    chosen = []
    for run in sorted(runs, key=lambda run: architectures.find(run.config.arch).base_parameters):
        config = run.config
        if not METHODS.get(config.method).trains and config.weights.startswith(EARLIER_RUN):
            continue  # nothing to score where calibration runs
        group = (config.framework, config.device == "cpu")
        if group not in spans:
            spans[group] = costs.told(config)
        # Whatever the order, as many are needed: they are a basis.
        if spans[group].add(row(config.public())):
            chosen.append(_short(run))
    return chosen


def _short(run: PlannedRun) -> PlannedRun:
    asked = run.asked
    if asked.weights.startswith(EARLIER_RUN):
        # Earlier runs lie in another folder, and random weights train as fast.
        asked = asked.model_copy(update={"weights": "none"})
    if run.config.recipe.epochs > EPOCHS:
        asked = asked.model_copy(update={"epochs": EPOCHS})
    short = planned(asked)
    return replace(short, needs=run.needs)


@contextmanager
def begun(
    runs: Sequence[PlannedRun], out: Path, costs: Costs, gpus: Sequence[str]
) -> Iterator[Scheduler]:
    """What does these runs, one after another, each with the threads that it would have in a sweep.

    What one took is kept below `out` and added to `costs` as soon as it is done.

    Args:
        runs: as chosen by `missing`.
        out: the results folder.
        costs: for the time left.
        gpus: of this machine, as `sweep run` deals them out.

    Raises:
        UserError: the folder cannot be written, or another process calibrates there.
    """
    file = out / measured.CALIBRATION
    lock = locks.take(file.with_suffix(".lock"))
    if lock is None:
        raise UserError(
            f"another process calibrates in {out}: wait for it, for both would be slower"
        )
    share = max(threads.available() // max(len(gpus), 1), 1)
    runs = [
        replace(run, needs=run.needs.model_copy(update={"cpus": run.needs.cpus or share}))
        for run in runs
    ]
    try:
        _decode(runs)
        with scratch.folder(file.parent, "calibration-") as folder:
            yield Scheduler(
                runs,
                Ledger(folder),
                LocalExecutor(folder, 1, gpus[:1]),
                _Keeping(runs, folder, file),
                Rules(retries=Retries(most=0)),
                costs,
            )
    finally:
        lock.release()


def _decode(runs: Sequence[PlannedRun]) -> None:
    """Have all images decoded, which the first of many runs does for the others."""
    seen = set()
    for run in runs:
        config = run.config
        data = repr((config.dataset, config.data_dir, config.dataset_options))
        key = (data, config.task, repr(config.task_options), config.image_size)
        if key in seen:
            continue
        seen.add(key)
        # What is wrong with the data, the run itself will say.
        with suppress(UserError):
            whole = load(config.dataset, config.data_dir, **config.dataset_options)
            dataset = asked_of(question(config)[0], whole)
            open_pixels(dataset, config.image_size, TerminalDisplay().track)


class _Keeping(TerminalSweepDisplay):
    """Shows how far the runs are, and keeps what each took as soon as it is done."""

    def __init__(self, runs: Sequence[PlannedRun], folder: Path, file: Path) -> None:
        super().__init__(runs)
        self._folder, self._file = folder, file

    def ended(self, run: PlannedRun, row: Row, wait: float) -> None:
        """A line that stays, here and in the file."""
        super().ended(run, row, wait)
        if row.state is State.DONE:
            found = measured.stored(self._folder, row.run_id, row.seconds)
            if found is not None:
                measured.keep(self._file, found)
        # Weights are large, and nobody needs them.
        shutil.rmtree(self._folder / "v1" / "runs", ignore_errors=True)
