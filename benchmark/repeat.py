"""A run made again from its record, and how far it came out the same.

The same machine at the same number of threads gives the same bits. Another processor sums in
another order, and training magnifies the last digits of sums until the networks differ as those of
two seeds do. So what is asked of another machine is that the score that ranks lies in the record's
95 % interval (ours).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.common.progress import Display, SilentDisplay
from benchmark.config import RunConfig
from benchmark.data import located
from benchmark.errors import DataError, UserError
from benchmark.metrics import classification
from benchmark.records import predictions
from benchmark.records.record import Metric, Record
from benchmark.records.store import Store
from benchmark.registry import DATASETS, TASKS
from benchmark.run import execute
from benchmark.running.others import require_those_of
from tasks.scoring import positions

# Below the results folder: runs made again are no records of the board.
FOLDER = "repeats"


@dataclass(frozen=True)
class Repetition:
    """A record and what came of its settings when they were run again.

    Attributes:
        record, again: before and now.
        metrics: a row per trial ("" is the run's own) and metric: `before` and `after`, NaN where
            undefined, and `low` and `high`, the ends of the record's interval.
        probabilities: greatest difference of a probability of a test image, over all trials.
        agreeing: test images whose most probable class is the same.
        images: test images, each counted in every trial.
    """

    record: Record
    again: Record
    metrics: pd.DataFrame
    probabilities: float
    agreeing: int
    images: int

    @property
    def identical(self) -> bool:
        """Whether every score and every probability is the same to the last bit."""
        same = self.metrics["before"].eq(self.metrics["after"])
        undefined = self.metrics["before"].isna() & self.metrics["after"].isna()
        return self.probabilities == 0 and bool((same | undefined).all())

    @property
    def ranked_by(self) -> pd.Series:
        """The row of `metrics` of the score that ranks."""
        of_run = self.metrics[self.metrics["trial"] == ""]
        return of_run[of_run["metric"] == self.record.headline].iloc[0]

    @property
    def within(self) -> bool:
        """Whether the score that ranks lies in the 95 % interval of the record's."""
        row = self.ranked_by
        if pd.isna(row["before"]):
            return bool(pd.isna(row["after"]))
        return bool(row["low"] <= row["after"] <= row["high"])


def repeat(
    results: str | Path,
    record: Record,
    data_dir: str | None = None,
    display: Display | None = None,
    overwrite: bool = False,
) -> Repetition:
    """Run the settings of a record again, below v1/repeats of the results folder.

    What was begun there is continued, what was finished is only compared, unless `overwrite`.

    Args:
        results: the folder with the record and its predictions.
        record: of a run.
        data_dir: where its data set lies; None: in the folder of the record's name for it. Other
            folders and files are looked for by the record's names, as all of them below
            $DERMBENCH_DATA.
        display: where progress goes; none by default.
        overwrite: run it again even if it was repeated before.

    Raises:
        UserError: a folder or file is not found, or what lies there is not what the record is of.
    """
    if record.submission is not None:
        raise UserError(
            f"{record.run_id} is a submission: its predictions were made elsewhere, and only the"
            " scores can be computed again, which `describe` does"
        )
    said = predictions.load(results, record)
    again = _again(Path(results), record, data_dir, display or SilentDisplay(), overwrite)
    said_again = predictions.load(Path(results) / "v1" / FOLDER, again)
    apart, agreeing, images = 0.0, 0, 0
    for trial, before in said.items():
        after = said_again[trial]
        order = positions(after.ids, before.ids)
        probabilities = after.probabilities[order]
        apart = max(apart, float(np.abs(probabilities - before.probabilities).max()))
        one, other = map(classification.predicted_classes, (before.probabilities, probabilities))
        agreeing += int((one == other).sum())
        images += len(before.ids)
    rows = pd.DataFrame(list(_side_by_side(record, again)))
    return Repetition(record, again, rows, apart, agreeing, images)


def _again(
    results: Path, record: Record, data_dir: str | None, display: Display, overwrite: bool
) -> Record:
    """The run of a record, after those that it goes on from."""
    folder = results / "v1" / FOLDER
    known = Store(folder).has(record.run_id) and not overwrite
    if record.weights.run is not None:
        _again(results, Store(results).load(record.weights.run), None, display, overwrite)
    config = _found(record, data_dir)
    require_those_of(record, config)
    again = execute(config, folder, overwrite, display, same_as=record)
    if known:
        display.say(f"what is compared is its repetition of {again.created[:10]}")
    return again


def _found(record: Record, data_dir: str | None) -> RunConfig:
    """The record's settings with folders and files that are here."""
    config = record.settings
    changed: dict[str, object] = {}
    if data_dir is not None or DATASETS.get(config.dataset).needs_data_dir:
        changed["data_dir"] = data_dir or config.data_dir
    if record.weights.kind == "file" and record.weights.run is None:
        changed["weights"] = _located(config.weights)
    paths = TASKS.get(config.task).Options.paths
    given = {k: _located(str(v)) for k, v in config.task_options.items() if k in paths and v}
    changed["task_options"] = {**config.task_options, **given}
    return config.model_copy(update=changed)


def _located(name: str) -> str:
    found = located(Path(name))
    if found is None:
        raise DataError(
            f"{name}, which the run read, is neither here nor below $DERMBENCH_DATA: put it, or a"
            " link to it, there under this name"
        )
    return str(found)


def _side_by_side(one: Record, other: Record) -> Iterator[dict[str, object]]:
    yield from _rows("", one.metrics, other.metrics)
    if len(one.trials) > 1:
        for before, after in zip(one.trials, other.trials, strict=True):
            yield from _rows(before.name, before.metrics, after.metrics)


def _rows(
    trial: str, one: Mapping[str, Metric], other: Mapping[str, Metric]
) -> Iterator[dict[str, object]]:
    for name in [*one, *(each for each in other if each not in one)]:
        before = one.get(name)
        yield {
            "trial": trial,
            "metric": name,
            "before": _value(before),
            "after": _value(other.get(name)),
            "low": np.nan if before is None or before.low is None else before.low,
            "high": np.nan if before is None or before.high is None else before.high,
        }


def _value(metric: Metric | None) -> float:
    return np.nan if metric is None or metric.value is None else metric.value
