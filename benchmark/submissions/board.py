"""Accepted submissions as records, so that the board treats them as it treats runs.

Nothing of a score is stored but what maps scored on single images: every metric is computed here,
anew, from the kept predictions and the frozen split, whenever it is shown. A folder whose content
is not what its name stands for is a problem that is named, never a row.

What a submission started from cannot be known. So it is never ranked against runs, whose weights
and earlier data are: its weights are "unverified", a kind of their own in `columns.PROTOCOL`, and
"unverified-extra" where its authors tell of data beyond the training part. Each kind is ranked in a
section of its own, below which the best run stands; `compare` sets a submission beside a run. Every
submission is a row: whether two of them are seeds of one thing is not known either.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC
from pathlib import Path

import numpy as np

from benchmark.errors import DataError, UserError
from benchmark.leaderboard.baselines import OF_CORRECT_IMAGES
from benchmark.leaderboard.part import Tables
from benchmark.records.index import Head, Index, opened
from benchmark.records.predictions import Predictions, submissions
from benchmark.records.record import (
    UNTRAINED,
    Baseline,
    Record,
    Submission,
    TrialRecord,
    WeightsUsed,
)
from benchmark.records.store import Store
from benchmark.rescoring import scored
from benchmark.submissions import keep
from benchmark.submissions.check import checked, places
from benchmark.submissions.columns import Table
from benchmark.submissions.faults import shown
from benchmark.submissions.manifest import MANIFEST, Asked
from benchmark.submissions.question import Matched, classes_of, matched
from tasks.given import Score, Trial, trial_record


@dataclass(frozen=True)
class Submitted:
    """Accepted submissions: a record of each, sorted by id, and the tables behind its scores.

    `tables` has by id, trial and name a table such as "per_class", with its index as a column.

    `problems` has a sentence for each that is damaged or answers no question of our records.
    """

    records: tuple[Record, ...] = ()
    tables: Mapping[str, Tables] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def submitted(results: str | Path, index: Index) -> Submitted:
    """Every accepted submission of a results folder, scored.

    Args:
        results: the folder.
        index: of the records of its runs; they know the questions.
    """
    found: list[Record] = []
    tables: dict[str, Tables] = {}
    problems: list[str] = []
    for name in keep.names(results):
        try:
            record, scores = _scored(results, name, index)
        except UserError as error:
            problems.append(f"submission {name}: {error}")
            continue
        found.append(record)
        tables[name] = {
            trial: {called: table.reset_index() for called, table in score.tables.items()}
            for trial, score in scores.items()
        }
    return Submitted(tuple(found), tables, tuple(problems))


def find(results: str | Path, prefix: str) -> Record:
    """The record of the run or submission whose id is `prefix`, or the only one it begins.

    Raises:
        UserError: none begins with it, several do, or its files are damaged.
    """
    store, names = Store(results), keep.names(results)
    own = [prefix] if prefix in names else [name for name in names if name.startswith(prefix)]
    if store.has(prefix) or not own:
        return store.find(prefix)
    both = [*own, *(run for run in store.run_ids() if run.startswith(prefix) and run != prefix)]
    if len(both) > 1 and own != [prefix]:
        raise UserError(
            f"{len(both)} records and submissions in {store.folder.parent} start with {prefix!r}"
            f" ({', '.join(both[:5])}): give more of the id"
        )
    with opened(results) as index:
        record, _ = _scored(results, own[0], index)
    return record


def _scored(results: str | Path, name: str, index: Index) -> tuple[Record, dict[str, Score]]:
    """A kept submission as a record, and the score of each trial.

    Raises:
        UserError: it is damaged, or no record of ours has its question.
    """
    kept = keep.load(results, name)
    where = submissions(results) / name
    if keep.submission_id(kept.manifest, list(kept.said.values())) != name:
        raise DataError(f"{where} holds another submission than its name says: restore the folder")
    asked = kept.manifest.question
    records = list(index.records(_asked_alike(index, asked)))
    ours = matched(str(where / MANIFEST), results, asked, records)
    said = [_sound(where, ours, trial, kept.said[trial.name]) for trial in ours.sheet.trials]
    overall, scores = scored(ours.sheet, said, [None] * len(said))
    pairs = list(zip(ours.sheet.trials, scores, strict=True))
    trials = tuple(trial_record(trial, score.metrics) for trial, score in pairs)
    return _record(kept, ours, overall, trials), {trial.name: score for trial, score in pairs}


def _asked_alike(index: Index, asked: Asked) -> Iterable[Head]:
    """The records that may have the question; without any, one of each kind that its task has."""
    own = [head for head in index.heads if head.part == (asked.task, asked.version, asked.data)]
    others = {head.part: head for head in index.heads if head.task == asked.task}
    return own or others.values()


def _sound(where: Path, ours: Matched, trial: Trial, said: Predictions) -> Predictions:
    """What was kept of a trial, after the checks that a bundle has passed.

    Raises:
        DataError: the first fault.
    """
    told, classes = f"{where}, trial {trial.name}", classes_of(ours.sheet, trial.name)
    if said.probabilities.shape[1] != len(classes):
        raise DataError(f"{told}: there are not {len(classes)} classes: restore the folder")
    table = Table(told, "row", 1, said.ids, said.probabilities)
    sound = checked(table, trial, classes)
    known = ours.sheet.task.per_image
    for metric, values in said.values.items():
        if metric not in known or not (np.isnan(values) | ((values >= 0) & (values <= 1))).all():
            raise DataError(f"{told}: {shown(metric)} is no score of maps: restore the folder")
    rows = places(table, trial)
    return replace(sound, values={name: each[rows] for name, each in said.values.items()})


def _record(
    kept: keep.Kept, ours: Matched, overall: Score, trials: tuple[TrialRecord, ...]
) -> Record:
    about, question = kept.manifest.about, ours.question
    mapped = any(each.values for each in kept.said.values())
    return Record(
        benchmark_version=kept.acceptance.benchmark_version,
        run_id=kept.name,
        created=kept.acceptance.accepted.astimezone(UTC).isoformat(timespec="seconds"),
        task=question.task,
        task_version=question.version,
        headline=ours.sheet.task.headline,
        config={
            "arch": about.architecture,
            "framework": about.framework,
            "method": about.method,
            "dataset": question.data.name,
            "task_options": dict(question.options),
            "explainer": "submitted maps" if mapped else "no maps",
            # What makes each of them a row, whatever two call themselves.
            "submission": kept.name,
        },
        data=question.data,
        weights=_weights(kept),
        seeds={},
        packages={},
        hardware={},
        seconds={},
        peak_memory_bytes={},
        parameters=about.parameters,
        trials=trials,
        metrics=overall.metrics,
        baselines=_baselines(ours.records[0]) if mapped else {},
        # Of the split: what every run of the question has, and not what one began from.
        leaks=tuple(
            leak for leak in ours.records[0].leaks if all(leak in one.leaks for one in ours.records)
        ),
        submission=Submission(
            about=about,
            options=dict(question.options),
            seed=question.seed,
            flags=kept.acceptance.flags,
        ),
    )


def _baselines(record: Record) -> dict[str, Baseline]:
    """The floors and ceilings of a run of the same question that no network changes."""
    return {
        name: each.model_copy(
            update={
                "metrics": {
                    metric: value
                    for metric, value in each.metrics.items()
                    if not metric.startswith(OF_CORRECT_IMAGES)
                }
            }
        )
        for name, each in record.baselines.items()
        if name != UNTRAINED
    }


def _weights(kept: keep.Kept) -> WeightsUsed:
    about = kept.manifest.about
    if about.more_data:
        return WeightsUsed(
            kind="unverified-extra", name=f"{about.training_data}; besides: {about.extra_data}"
        )
    return WeightsUsed(kind="unverified", name=about.training_data)
