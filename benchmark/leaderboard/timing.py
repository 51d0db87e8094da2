"""How long a run took to answer, as its record has it, and on what machine.

These are times of runs as they happened, on machines that may have done other things: no benchmark
of speed.
"""

from collections.abc import Sequence

import numpy as np

from benchmark.records.record import Record, text
from benchmark.registry import TASKS


def seconds_per_image(record: Record) -> float:
    """Seconds of prediction for one test image; NaN where the record does not tell.

    From decoded pixels to probabilities, the first batch with its warming up among them. A run that
    fits a temperature predicts its validation images in the same part, which are counted then; the
    fit itself takes next to nothing. Where each disease has a network of its own, an image takes
    the time of all of them, as `Record.parameters` counts all of them.
    """
    seconds = record.seconds.get("prediction")
    predicted = sum(
        trial.n_test + (trial.n_validation if trial.temperature is not None else 0)
        for trial in record.trials
    )
    if seconds is None or not predicted or seconds <= 0:
        return float("nan")
    return seconds / predicted * _networks(record)


def mean_seconds_per_image(records: Sequence[Record]) -> float:
    """The mean over the seeds of a row; NaN where one is missing or ran on other hardware."""
    if not shared_hardware(records):
        return float("nan")
    return float(np.mean([seconds_per_image(record) for record in records]))


def shared_hardware(records: Sequence[Record]) -> str:
    """What the seeds of a row ran on; "" where that differs or is not known."""
    (first, *others) = {hardware(record) for record in records}
    return "" if others else first


def hardware(record: Record) -> str:
    """The machine by what decides its speed: accelerator, processor, cores; "" if not known."""
    known = record.hardware
    device, processor = (text(known.get(key)) for key in ("device", "processor"))
    if "-" in (device, processor):
        return ""
    cores = known.get("cores")
    parts = [*([device] if device != "cpu" else []), processor]
    return ", ".join([*parts, *([f"{cores} cores"] if cores else [])])


def _networks(record: Record) -> int:
    """How many networks answer of one image."""
    if record.task not in TASKS.names() or not TASKS.get(record.task).graded:
        return 1
    # One network for several diseases was trained once: its stages stand in every trial.
    stages = {tuple(s.model_dump_json() for s in trial.stages) for trial in record.trials}
    return len(stages)
