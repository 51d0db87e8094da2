"""What makes a submission worth a second look. None of it is proof, so none of it is refused."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.errors import DataError
from benchmark.leaderboard.columns import metric_columns, smaller_is_better
from benchmark.leaderboard.submitted import leader
from benchmark.leaderboard.table import build_table
from benchmark.metrics.names import title
from benchmark.records import predictions
from benchmark.records.predictions import Predictions
from benchmark.records.record import Metric, Record
from benchmark.submissions import keep
from tasks.given import Score

# Two networks never agree to this on every image; a copy that was rounded does.
SAME = 1e-3
# Scores that are perfect at 1 and that even a very good network does not reach on real images.
_PERFECT = ("accuracy", "macro_f1", "macro_auc", "quadratic_kappa")


def best_row(records: Sequence[Record]) -> pd.Series | None:
    """The row of the board that leads the question of these records, None where none has a score.

    The rows of a question are ranked apart by what their networks started from; a submission may
    have started from anything, so it is compared with the best of them all.
    """
    return leader(build_table(records))


def flagged(
    headline: str, score: Score, trials: dict[str, Score], best: pd.Series | None
) -> list[str]:
    """What the scores alone give to wonder about, one sentence each.

    Args:
        headline: the metric that ranks.
        score: the whole submission's.
        trials: of each trial, by its name.
        best: from `best_row`.
    """
    found = []
    for name, each in trials.items():
        perfect = [title(m) for m in _PERFECT if _value(each.metrics.get(m)) == 1]
        if perfect:
            found.append(f"Perfect scores in trial {name}: {', '.join(perfect)}.")
    value = _value(score.metrics.get(headline))
    if best is not None and value is not None:
        _, low, high = (best[column] for column in metric_columns(headline))
        beyond = value < low if smaller_is_better(headline) else value > high
        if beyond:
            end = low if smaller_is_better(headline) else high
            found.append(
                f"The {title(headline)} of {value:.3f} is beyond the interval of the best row,"
                f" which ends at {end:.3f}."
            )
    return found


def same_as(
    results: str | Path, name: str, said: dict[str, Predictions], related: Sequence[Record]
) -> tuple[list[str], list[str]]:
    """Whose predictions these are, to within `SAME`, and what could not be compared.

    Args:
        results: the results folder.
        name: the submission's id, which is not compared with itself.
        said: of each trial.
        related: the records of runs on the same data.

    Returns:
        A sentence for each row with the same predictions, and one for each that is damaged.
    """
    found, problems = [], []
    for whose, load in _others(results, name, related):
        try:
            others = load()
        except DataError as error:
            problems.append(f"Not compared with {whose}: {error}")
            continue
        same = [t for t, own in said.items() if any(_same(own, one) for one in others.values())]
        if same:
            where = f" of trial {', '.join(same)}" if len(said) > 1 else ""
            found.append(f"The predictions{where} are those of {whose}, to within {SAME}.")
    return found, problems


def _others(results: str | Path, own: str, related: Sequence[Record]) -> Iterator[tuple[Any, ...]]:
    for record in related:
        if predictions.location(results, record.run_id).exists():
            told = f"run {record.run_id} ({record.config['arch']}, {record.config['method']})"
            yield told, lambda record=record: predictions.load(results, record)
    for name in keep.names(results):
        if name != own:
            yield f"submission {name}", lambda name=name: keep.load(results, name).said


def _same(one: Predictions, other: Predictions) -> bool:
    if one.probabilities.shape != other.probabilities.shape or set(one.ids) != set(other.ids):
        return False
    row_of = {sample: row for row, sample in enumerate(other.ids)}
    rows = [row_of[sample] for sample in one.ids]
    return bool(np.abs(one.probabilities - other.probabilities[rows]).max() <= SAME)


def _value(metric: Metric | None) -> float | None:
    return None if metric is None else metric.value
