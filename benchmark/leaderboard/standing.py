"""How sure a section is: nested intervals of scores and ranks, and who is tied with the best."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.common.wording import counted
from benchmark.data.pixels import Progress, silent
from benchmark.leaderboard.columns import (
    COLUMNS,
    P_AGAINST_BEST,
    frame,
    metric_columns,
    nested_interval,
    smaller_is_better,
)
from benchmark.metrics import statistics
from benchmark.metrics.names import title
from benchmark.records.record import Record
from benchmark.rescoring import Answered, all_answered, faults_told

LEVEL = 0.05
_TOO_FEW = (
    "Ranks have no intervals here: a class has so few groups of test images that more than half of"
    " the resamples lack it."
)
# Of somebody else's task.
_NOT_SAMPLED = (
    "Ranks have no intervals here: the task does not say what {} is in resamples (Task.sampled)."
)

# What a section lacks without predictions, by whether it has rows to compare.
_NO_RANKS = "Ranks have no intervals here"
_UNTESTED = "Nobody can compute the scores here again"


@dataclass(frozen=True)
class _Row:
    """A ranked row: of each seed the headline on the images and in their resamples.

    `values` is (S,), `samples` (S, R), both with the sign that makes larger ones better.
    """

    values: np.ndarray
    samples: np.ndarray


def add_standing(
    table: pd.DataFrame, records: Iterable[Record], results: Path, progress: Progress = silent
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The table of runs with what the stored predictions tell of its scores and ranks.

    Of a row of several seeds the intervals of its scores become nested ones: in every resample of
    the test images' groups the seeds vary, too (`columns.nested_interval`). `rank_first` and
    `rank_last` are the ends of a 95 % interval of the rank in the same resamples. `p_against_best`
    is of the paired test of a row against the section's best, corrected for the number of rows
    (Holm); `tied_with_best` says whether it is at least 0.05. That the best is chosen on these very
    images is in its favour.

    Args:
        table: of `build_table`.
        records: those in the table, or more.
        results: the folder in which v1/predictions and v1/splits lie.
        progress: over the sections.

    Returns:
        The table, and by section a sentence on what its test images can show, or on what is
        missing. A row without the predictions of each of its seeds keeps the intervals that it has
        and leaves the whole section without ranks' intervals and tests.
    """
    by_id = {record.run_id: record for record in records}
    ranked = table[table[COLUMNS.rank].notna()]
    found: dict[int, dict[str, object]] = {at: {} for at in ranked.index}
    notes = {}
    parts = list(ranked.groupby(COLUMNS.section, sort=False))
    for section, rows in progress(parts, "comparing rows", len(parts)):
        runs = " ".join(rows[COLUMNS.run_ids]).split()
        answers, faults = all_answered(results, [by_id[run] for run in runs])
        scores = _sampled(rows, answers) if answers else {}
        for at, every in scores.items():
            found[at] |= _nested(every)
        if faults:
            lost = _NO_RANKS if len(rows) > 1 else _UNTESTED
            notes[str(section)] = f"{lost}: {faults_told(faults)}."
        if faults or len(rows) < 2:
            continue
        headline = rows[COLUMNS.headline].iloc[0]
        if any(headline not in scores[at] for at in rows.index):
            notes[str(section)] = _NOT_SAMPLED.format(title(headline))
            continue
        if not all(_resampled(scores[at][headline]) for at in rows.index):
            notes[str(section)] = _TOO_FEW
            continue
        standing, differences = _standing([scores[at][headline] for at in rows.index], headline)
        for at, columns in zip(rows.index, standing, strict=True):
            found[at] |= columns
        one = next(iter(answers.values()))
        notes[str(section)] = _resolution(headline, differences, one)
    every_row = [row | found.get(at, {}) for at, row in enumerate(table.to_dict("records"))]
    return frame(every_row), notes


def _sampled(rows: pd.DataFrame, answers: dict[str, Answered]) -> dict[int, dict[str, np.ndarray]]:
    """By row whose seeds are all known and metric: (S, 1 + R), first on the images as they are."""
    weights = next(iter(answers.values())).weights(statistics.RESAMPLES)
    found = {}
    for at, ids in rows[COLUMNS.run_ids].items():
        runs = ids.split()
        if set(runs) <= set(answers):
            seeds = [answers[run].sampled(weights) for run in runs]
            alike = set.intersection(*(set(scores) for scores in seeds))
            found[at] = {name: np.stack([scores[name] for scores in seeds]) for name in alike}
    return found


def _nested(scores: dict[str, np.ndarray]) -> dict[str, object]:
    """The intervals of a row's metrics; of a single seed they are those of its record."""
    found: dict[str, object] = {}
    for name, every in scores.items():
        if len(every) > 1 and _resampled(every):
            _, low, high = metric_columns(name)
            found[low], found[high] = nested_interval(name, every[:, 0], every[:, 1:])
    return found


def _resampled(scores: np.ndarray) -> bool:
    """Whether more than half of the resamples of a row's (S, 1 + R) scores tell a score."""
    samples = scores[:, 1:]
    return bool(samples.size) and float(np.isnan(samples).any(axis=0).mean()) < 0.5


def _standing(
    scores: Sequence[np.ndarray], headline: str
) -> tuple[list[dict[str, object]], list[np.ndarray]]:
    """Of each row of a section its columns; of all but the best the resampled differences to it.

    Args:
        scores: (S, 1 + R) of each row, the headline's.
        headline: its name.
    """
    sign = -1.0 if smaller_is_better(headline) else 1.0
    sides = [_Row(sign * every[:, 0], sign * every[:, 1:]) for every in scores]
    nested = [
        statistics.over_seeds(side.values, side.samples, number)
        for number, side in enumerate(sides)
    ]
    ranks = statistics.rank_intervals(np.stack(nested))
    best = int(np.argmax([side.values.mean() for side in sides]))
    differences = [
        statistics.difference_over_seeds(
            (sides[best].values, side.values), (sides[best].samples, side.samples), number
        )
        for number, side in enumerate(sides)
    ]
    tests = [
        statistics.paired_test(float(sides[best].values.mean() - side.values.mean()), drawn)
        for side, drawn in zip(sides, differences, strict=True)
    ]
    # The best is not compared with itself.
    p = statistics.holm([np.nan if at == best else test.p for at, test in enumerate(tests)])
    standing: list[dict[str, object]] = [
        {
            COLUMNS.rank_first: int(first),
            COLUMNS.rank_last: int(last),
            COLUMNS.tied: "yes" if at == best or corrected >= LEVEL else "no",
            P_AGAINST_BEST: corrected,
        }
        for at, ((first, last), corrected) in enumerate(zip(ranks, p, strict=True))
    ]
    return standing, [each for at, each in enumerate(differences) if at != best]


def _resolution(headline: str, differences: Sequence[np.ndarray], one: Answered) -> str:
    """What the test images can show, from how uncertain the differences to the best are."""
    spread = float(np.median([np.nanstd(each) for each in differences]))
    least = statistics.smallest_shown(spread)
    groups = counted(len(set(one.groups)), "group")
    return (
        f"A difference in {title(headline)} below about {least:.3f} would not be shown by these"
        f" {counted(len(one.images), 'test image')} ({groups}) in four of five attempts, with these"
        " seeds."
    )
