"""How sure the ranks of a section are: their intervals, and which rows are tied with the best."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.data.pixels import Progress, silent
from benchmark.errors import UserError
from benchmark.leaderboard.columns import COLUMNS, P_AGAINST_BEST, frame, smaller_is_better
from benchmark.leaderboard.table import counted, title
from benchmark.metrics import statistics
from benchmark.records.record import Record
from benchmark.rescoring import Answered, answered

LEVEL = 0.05
# Faults that a note spells out; the rest is counted.
_NAMED = 2


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
    """The table of runs with what is known of the ranks, computed from the stored predictions.

    `rank_first` and `rank_last` are the ends of a 95 % interval: the ranks in resamples of the test
    images' groups, in which the seeds vary too. `p_against_best` is of the paired test of a row
    against the section's best, corrected for the number of rows (Holm); `tied_with_best` says
    whether it is at least 0.05. That the best is chosen on these very images is in its favour.

    Args:
        table: of `build_table`.
        records: those in the table, or more.
        results: the folder in which v1/predictions and v1/splits lie.
        progress: over the sections.

    Returns:
        The table, and by section a sentence on what its test images can show, or on what is
        missing: one run's predictions too few leave the whole section without.
    """
    by_id = {record.run_id: record for record in records}
    ranked = table[table[COLUMNS.rank].notna()]
    found: dict[int, dict[str, object]] = {}
    notes = {}
    parts = list(ranked.groupby(COLUMNS.section, sort=False))
    for section, rows in progress(parts, "comparing rows", len(parts)):
        if len(rows) < 2:
            continue
        try:
            standing, note = _standing(rows, by_id, results)
        except UserError as error:
            notes[str(section)] = f"Ranks have no intervals here: {error}."
            continue
        found |= dict(zip(rows.index, standing, strict=True))
        notes[str(section)] = note
    every = [row | found.get(at, {}) for at, row in enumerate(table.to_dict("records"))]
    return frame(every), notes


def _standing(
    rows: pd.DataFrame, by_id: dict[str, Record], results: Path
) -> tuple[list[dict[str, object]], str]:
    """Of each row of a section its columns, and what is to be said of the section."""
    answers = _answers(
        [by_id[run] for ids in rows[COLUMNS.run_ids] for run in ids.split()], results
    )
    headline = rows[COLUMNS.headline].iloc[0]
    sign = -1.0 if smaller_is_better(headline) else 1.0
    one = next(iter(answers.values()))
    weights = one.weights(statistics.RESAMPLES)
    sides = []
    for ids in rows[COLUMNS.run_ids]:
        every = np.stack([sign * answers[run].sampled(weights)[headline] for run in ids.split()])
        sides.append(_Row(every[:, 0], every[:, 1:]))
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
    standing = [
        {
            COLUMNS.rank_first: int(first),
            COLUMNS.rank_last: int(last),
            COLUMNS.tied: "yes" if at == best or corrected >= LEVEL else "no",
            P_AGAINST_BEST: corrected,
        }
        for at, ((first, last), corrected) in enumerate(zip(ranks, p, strict=True))
    ]
    apart = [each for at, each in enumerate(differences) if at != best]
    return standing, _resolution(headline, apart, one)


def _answers(records: Sequence[Record], results: Path) -> dict[str, Answered]:
    """What each run was asked and said.

    Raises:
        UserError: of some it is not known.
    """
    answers, faults = {}, []
    for record in records:
        try:
            answers[record.run_id] = answered(results, record)
        except UserError as error:
            # Relative to the results: a page that is published names nobody's folders.
            faults.append(str(error).replace(f"{results}/", ""))
    if faults:
        more = f" and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
        raise UserError("; ".join(faults[:_NAMED]) + more)
    return answers


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
