"""The common-correct view: networks compared on the images that all of them diagnose correctly."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.leaderboard.columns import COLUMNS, COMMON, frame, nested_interval, score
from benchmark.metrics import classification, statistics
from benchmark.metrics.statistics import Estimate
from benchmark.records.record import Record
from benchmark.rescoring import Answered, all_answered, faults_told
from tasks.scoring import positions, truth

_TASK = "explainability"
# The score of each image that a run keeps with its predictions.
_F1 = "explainability_f1"


def add_common(
    table: pd.DataFrame, records: Iterable[Record], results: str | Path
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The table of runs with the mean F1 of each row over the images its section has in common.

    A common image is diagnosed correctly by every seed of every ranked row of the section (ours);
    of a run with several trials each trial's images count. A row's value is the mean over its
    seeds, its interval that of `columns.nested_interval` with these images taken as given.

    Args:
        table: of `build_table`.
        records: those in the table, or more.
        results: the folder in which v1/predictions and v1/splits lie.

    Returns:
        The table with the columns of `COMMON`, and by section a sentence that says why there is no
        value. One run's predictions too few leave the whole section without: its images would be
        others.
    """
    by_id = {record.run_id: record for record in records}
    ranked = table[(table[COLUMNS.task] == _TASK) & table[COLUMNS.rank].notna()]
    unknown = score(COMMON, Estimate(np.nan, np.nan, np.nan, 0, 0))
    found: dict[int, dict[str, Any]] = {at: unknown for at in ranked.index}
    notes = {}
    for section, rows in ranked.groupby(COLUMNS.section, sort=False):
        runs = " ".join(rows[COLUMNS.run_ids]).split()
        answers, faults = all_answered(results, [by_id[run] for run in runs])
        faults += [f"run {name}: no F1 of single images" for name in _without_f1(answers)]
        if faults:
            notes[str(section)] = (
                "The common-correct F1 needs the predictions of every ranked row. Not usable:"
                f" {faults_told(faults)}."
            )
            continue
        correct = np.stack([_correct(answer) for answer in answers.values()])
        common = np.asarray(correct.all(axis=0))
        if not common.any():
            notes[str(section)] = "No image is diagnosed correctly by every seed of every row."
        weights = next(iter(answers.values())).weights(statistics.RESAMPLES)
        for at, ids in rows[COLUMNS.run_ids].items():
            every = np.stack([_sampled(answers[run], common, weights) for run in ids.split()])
            low, high = nested_interval(COMMON, every[:, 0], every[:, 1:])
            value = Estimate(float(every[:, 0].mean()), low, high, int(common.sum()), 0)
            found[at] = score(COMMON, value) | {COLUMNS.n_common: int(common.sum())}
    rows_with = [row | found.get(at, {}) for at, row in enumerate(table.to_dict("records"))]
    return frame(rows_with), notes


def _without_f1(answers: dict[str, Answered]) -> list[str]:
    return [name for name, one in answers.items() if any(_F1 not in s.values for s in one.said)]


def _correct(one: Answered) -> np.ndarray:
    """(N,) bool, trial after trial in the order of its test part: what the network got right."""
    found = []
    for trial, said in zip(one.sheet.trials, one.said, strict=True):
        view = one.sheet.task.of_trial(one.sheet.dataset, trial.name)
        labels, _ = truth(view, trial.test)
        at = positions(said.ids, trial.test)
        found.append(classification.predicted_classes(said.probabilities)[at] == labels)
    return np.concatenate(found)


def _sampled(one: Answered, common: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(1 + R,) the mean F1 over the common images, first on the images as they are."""
    trials = list(zip(one.sheet.trials, one.said, strict=True))
    f1 = [said.values[_F1][positions(said.ids, trial.test)] for trial, said in trials]
    drawn = [weights[:, positions(one.images, trial.test)] for trial, _ in trials]
    return statistics.weighted_mean(
        np.concatenate(f1)[common], np.concatenate(drawn, axis=1)[:, common]
    )
