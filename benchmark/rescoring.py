"""A run scored again from its predictions and its frozen split, without the images."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark import __version__
from benchmark.config import Option
from benchmark.data.dataset import UNLABELLED, Dataset, Disease
from benchmark.errors import DataError, UserError
from benchmark.records import predictions, splits
from benchmark.records.predictions import Predictions
from benchmark.records.record import DataUsed, Metric, Record
from benchmark.registry import TASKS
from tasks.base import Task
from tasks.given import Outputs, Score, Trial
from tasks.scoring import sample_first

# Faults that a sentence spells out.
_NAMED = 2
# What storing single scores in 32 bits may move.
TOLERANCE = 1e-6
# That are kept for the next run of the same question.
_SHEETS = 16


@dataclass(frozen=True)
class Question:
    """What runs that may be compared were asked alike.

    Attributes:
        task, version: the task's name and the version of its protocol.
        options: the task's, resolved, without those that are paths.
        seed: of the run where it decides the split, else None.
        data: the data set as the task has prepared it.
        splits: trial -> fingerprint of its parts, in the order of the trials.
    """

    task: str
    version: str
    options: Mapping[str, Option]
    seed: int | None
    data: DataUsed
    splits: Mapping[str, str]


@dataclass(frozen=True)
class Sheet:
    """What a question comes to: its task, the truth about the images of its split, the trials.

    `dataset` has ids, labels, groups and grades, no photographs, masks or metadata; `path` is the
    split's file.
    """

    task: Task
    dataset: Dataset
    trials: tuple[Trial, ...]
    path: Path


@dataclass(frozen=True)
class Answered:
    """A sheet and what one run said: trial by trial."""

    record: Record
    sheet: Sheet
    said: tuple[Predictions, ...]

    @property
    def images(self) -> tuple[str, ...]:
        """Every test image of any trial, sorted."""
        return self.sheet.task.tested(self.sheet.trials)

    @property
    def groups(self) -> np.ndarray:
        """(N,) str: the group of each of `images`."""
        return self.sheet.dataset.table.loc[list(self.images), "group"].to_numpy(str)

    def weights(self, resamples: int) -> np.ndarray:
        """(1 + R, N) for `sampled`: the images as they are, then as many resamples or fewer."""
        drawn = self.sheet.task.resampling(self.sheet.dataset, self.sheet.trials, resamples)
        return sample_first(drawn)

    def sampled(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """The run's scores in resamples of `images`.

        Args:
            weights: (R, N) int, as of `statistics.group_weights`.

        Returns:
            metric -> (R,) float64, the headline among them; NaN where undefined.
        """
        results = list(zip(self.sheet.trials, self.said, strict=True))
        return self.sheet.task.sampled(self.sheet.dataset, results, weights)


class Sheets:
    """The sheets of a results folder, of which the last few are not made again."""

    def __init__(self, results: str | Path) -> None:
        self._results = results
        self._made: dict[str, Sheet] = {}

    def of(self, question: Question) -> Sheet:
        """As `sheet_of`, which raises what this raises."""
        key = repr(question)
        if key not in self._made:
            made = sheet_of(self._results, question)
            if len(self._made) == _SHEETS:
                del self._made[next(iter(self._made))]
            self._made[key] = made
        return self._made[key]


def answered(results: str | Path, record: Record, sheets: Sheets | None = None) -> Answered:
    """What the run of a record was asked and said, read from the results folder.

    Args:
        results: the folder.
        record: of it.
        sheets: of the same folder, where many runs are read.

    Raises:
        DataError: split or predictions are missing, damaged or not those of the record.
        UserError: the record is of another version of its task or of its settings.
    """
    sheet = (sheets or Sheets(results)).of(question_of(record))
    said = predictions.load(results, record)
    for trial in sheet.trials:
        if set(said[trial.name].ids) != set(trial.test):
            raise DataError(
                f"{predictions.location(results, record.run_id)}, trial {trial.name}: the images"
                f" are not those of the record's test part: {predictions.remedy(record)}"
            )
        classes = len(sheet.task.of_trial(sheet.dataset, trial.name).classes)
        if said[trial.name].probabilities.shape[1] != classes:
            raise DataError(
                f"{predictions.location(results, record.run_id)}, trial {trial.name}: there is no"
                f" probability for each of the {classes} classes: {predictions.remedy(record)}"
            )
    return Answered(record, sheet, tuple(said[trial.name] for trial in sheet.trials))


def all_answered(
    results: str | Path, records: Iterable[Record]
) -> tuple[dict[str, Answered], list[str]]:
    """What each run was asked and said, by its id, and of which it is not known, with the reason.

    A reason names files relative to the results: on a page it names nobody's folders.
    """
    found, faults, sheets = {}, [], Sheets(results)
    for record in records:
        try:
            found[record.run_id] = answered(results, record, sheets)
        except UserError as error:
            faults.append(str(error).replace(f"{results}/", ""))
    return found, faults


def faults_told(faults: Sequence[str]) -> str:
    """The first faults of `all_answered` in words, each once, the others counted."""
    told = list(dict.fromkeys(faults))  # every run of a task that is not here has the same
    more = f" and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    return "; ".join(told[:_NAMED]) + more


@dataclass(frozen=True)
class Rescored:
    """A record with its metrics computed anew, and which of them moved.

    `moved` has a row per trial ("" is the run's own) and metric: `before` and `after`, NaN where
    there is none, of the value or of the end of its interval that moved farthest.
    """

    record: Record
    moved: pd.DataFrame


def scored(
    sheet: Sheet, said: Sequence[Predictions], temperatures: Sequence[float | None]
) -> tuple[Score, list[Score]]:
    """The task's own score of predictions: of the whole, and of each trial.

    Args:
        sheet: what was asked.
        said: of each trial, in the sheet's order.
        temperatures: that were fitted for each trial, if any were.
    """
    results = []
    for trial, own, temperature in zip(sheet.trials, said, temperatures, strict=True):
        view = sheet.task.of_trial(sheet.dataset, trial.name)
        outputs = Outputs(own.ids, own.probabilities, temperature=temperature)
        results.append((trial, outputs, sheet.task.rescore(view, trial, own, temperature)))
    overall = sheet.task.overall(sheet.dataset, results)
    return overall, [score for _, _, score in results]


def rescored(one: Answered) -> Rescored:
    """Compute every metric anew that needs no map; others stay as they are."""
    temperatures = [trial.temperature for trial in one.record.trials]
    overall, scores = scored(one.sheet, one.said, temperatures)
    trials = [
        old.model_copy(update={"metrics": {**old.metrics, **score.metrics}})
        for old, score in zip(one.record.trials, scores, strict=True)
    ]
    metrics = {**one.record.metrics, **overall.metrics}
    moved = [*_moved("", one.record.metrics, metrics)]
    for old, new in zip(one.record.trials, trials, strict=True):
        moved += _moved(old.name, old.metrics, new.metrics)
    update = {"metrics": metrics, "trials": tuple(trials), "rescored_by": __version__}
    record = one.record.model_copy(update=update) if moved else one.record
    return Rescored(record, pd.DataFrame(moved, columns=["trial", "metric", "before", "after"]))


def _moved(
    trial: str, old: Mapping[str, Metric], new: Mapping[str, Metric]
) -> Iterator[tuple[Any, ...]]:
    for name, metric in sorted(new.items()):
        before, after = (_numbers(each.get(name)) for each in (old, new))
        apart = np.abs(before - after)
        # Missing before or after, and not in both.
        apart[np.isnan(before) != np.isnan(after)] = np.inf
        farthest = int(np.nanargmax(np.append(apart, 0)))
        if farthest < len(apart) and apart[farthest] > TOLERANCE:
            yield trial, name, float(before[farthest]), float(after[farthest])
        elif name in old and (old[name].n, old[name].groups) != (metric.n, metric.groups):
            yield trial, f"{name}, images", float(old[name].n), float(metric.n)


def _numbers(metric: Metric | None) -> np.ndarray:
    given = (None,) * 3 if metric is None else (metric.value, metric.low, metric.high)
    return np.array([np.nan if number is None else number for number in given])


def question_of(record: Record) -> Question:
    """What the run of a record, or a submission, was asked.

    Raises:
        UserError: the record's settings are of another version.
    """
    if record.submission is not None:
        options, seed = record.submission.options, record.submission.seed
    else:
        config = record.settings
        options, seed = config.question, config.seed
    return Question(
        task=record.task,
        version=record.task_version,
        options=options,
        seed=seed if TASKS.get(record.task).seeded else None,
        data=record.data,
        splits={trial.name: trial.split_fingerprint for trial in record.trials},
    )


def split_of(results: str | Path, question: Question) -> Path:
    """The file of the frozen split of a question."""
    return splits.location(
        results,
        question.data.name,
        question.data.fingerprint,
        question.task,
        question.version,
        question.options,
        question.seed,
    )


def sheet_of(results: str | Path, question: Question) -> Sheet:
    """The truth that answers to a question are scored by, from its frozen split.

    Raises:
        DataError: the split's file is missing or is not that of the question.
        UserError: the question is of another version of its task.
    """
    of_task = TASKS.get(question.task)
    if of_task.version != question.version:
        raise UserError(
            f"{question.task} version {question.version} is not what this DermBench scores"
            f" ({of_task.version}): repeat the run, or use the DermBench that made it"
        )
    path = split_of(results, question)
    rows = splits.rows(path)
    dataset = _dataset(path, rows, question.data)
    trials = {str(name): _trial(str(name), part) for name, part in rows.groupby("trial")}
    if {name: trial.fingerprint for name, trial in trials.items()} != question.splits:
        raise DataError(
            f"{path} is not the split that was asked of: restore the file that came with the"
            " records"
        )
    task = of_task(of_task.Options(**question.options))
    return Sheet(task, dataset, tuple(trials[name] for name in question.splits), path)


def _trial(name: str, rows: pd.DataFrame) -> Trial:
    parts = {part: tuple(sorted(rows["id"][rows["part"] == part])) for part in splits.PARTS}
    return Trial(name, **parts)


def _dataset(path: Path, rows: pd.DataFrame, used: DataUsed) -> Dataset:
    """The images of a split with their labels; of graded diseases each trial tells one grade."""
    first = rows.drop_duplicates("id").set_index("id")
    table = pd.DataFrame({"path": "", "label": UNLABELLED, "group": first["group"], "split": ""})
    diseases = tuple(Disease(one.name, one.grades, one.referable) for one in used.diseases)
    dataset = Dataset(used.name, path, table, used.classes, diseases=diseases)
    if not diseases:
        table["label"] = _labels(path, first["class"], used.classes)
        return dataset
    for disease in diseases:
        own = rows[rows["trial"] == disease.name].set_index("id")["class"]
        grades = _labels(path, own, disease.grades)
        table[disease.column] = grades.reindex(table.index, fill_value=UNLABELLED)
    return replace(dataset, table=table.assign(label=table[diseases[0].column]))


def _labels(path: Path, names: pd.Series, classes: Sequence[str]) -> pd.Series:
    """Class names as labels; "" is without one."""
    codes: Mapping[str, int] = {"": UNLABELLED} | {name: at for at, name in enumerate(classes)}
    unknown = sorted(set(names) - set(codes))
    if unknown:
        raise DataError(
            f"{path}: class {unknown[0]!r} is none of the record's ({', '.join(classes)}): restore"
            " the file that came with the record"
        )
    return names.map(codes).astype(np.int64)
