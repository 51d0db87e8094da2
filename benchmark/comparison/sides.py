"""Two runs, or two rows of seeds, on the same test images: the numbers.

How they are written and drawn is the business of `report` and `plots`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.errors import UserError
from benchmark.leaderboard.columns import estimate, nested_interval
from benchmark.leaderboard.columns import over_seeds as mean_over_seeds
from benchmark.leaderboard.table import rows_of
from benchmark.metrics import statistics
from benchmark.metrics.names import title
from benchmark.metrics.statistics import Difference, Estimate
from benchmark.records.record import Record
from benchmark.rescoring import Answered, answered

RESAMPLES = 10_000


@dataclass(frozen=True)
class Side:
    """One of two that are compared: the records of a row, one per seed, and what each said."""

    answers: tuple[Answered, ...]

    @property
    def records(self) -> tuple[Record, ...]:
        """The records, in the order of the seeds."""
        return tuple(one.record for one in self.answers)

    def sampled(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Metric -> (S, R) of each seed in resamples (R, N) of the images."""
        found = [one.sampled(weights) for one in self.answers]
        return {name: np.stack([each[name] for each in found]) for name in found[0]}


@dataclass(frozen=True)
class Comparison:
    """What came out.

    Attributes:
        sides: the two; a difference is the first minus the second.
        headline: the metric that ranks.
        difference: of the headline.
        samples: (R,) its resamples.
        metrics: index `metric`, the headline first; columns `first`, `second` (with `_low`,
            `_high`), and `difference`, `low`, `high`, `p` of metrics that can be resampled, else
            NaN. The p-values are not corrected for their number.
        images: a row per test image, index `id`; columns `group`; `influence`: how much of the
            headline's difference goes when the image is left out; and for each trial `true`
            (class), `first` and `second` (mean probability of the true class over the seeds), with
            " (TRIAL)" where there are several.
    """

    sides: tuple[Side, Side]
    headline: str
    difference: Difference
    samples: np.ndarray
    metrics: pd.DataFrame
    images: pd.DataFrame


def compare(results: str | Path, one: Sequence[Record], other: Sequence[Record]) -> Comparison:
    """Compare two rows on the images that both were scored on.

    Args:
        results: the folder of the records, their predictions and splits.
        one: the records of one row, which differ in their seeds alone.
        other: those of another.

    Raises:
        UserError: the records of a side are not of one row, or the sides were not asked the same.
        DataError: predictions or a split are missing or damaged.
    """
    sides = (_side(results, one), _side(results, other))
    _check_alike(*sides)
    asked = sides[0].answers[0]
    weights = asked.weights(RESAMPLES)
    found = [side.sampled(weights) for side in sides]
    for side, scores in zip(sides, found, strict=True):
        if asked.record.headline not in scores:
            raise UserError(
                f"{side.records[0].run_id} has no {title(asked.record.headline)}, by which rows"
                " rank: nothing to compare (a task of one's own gives it in Task.sampled)"
            )
    drawn, differences = {}, {}
    for name in found[0].keys() & found[1].keys():
        first, second = (values[name] for values in found)
        drawn[name] = statistics.difference_over_seeds(
            (first[:, 0], second[:, 0]), (first[:, 1:], second[:, 1:])
        )
        value = float(first[:, 0].mean() - second[:, 0].mean())
        differences[name] = statistics.paired_test(value, drawn[name])
    headline = asked.record.headline
    return Comparison(
        sides=sides,
        headline=headline,
        difference=differences[headline],
        samples=drawn[headline],
        metrics=_metrics(sides, headline, found, differences),
        images=_images(sides, _influence(sides, headline, differences[headline].value)),
    )


def _influence(sides: tuple[Side, Side], headline: str, whole: float) -> np.ndarray:
    """(N,) by how much the difference shrinks when an image is left out."""
    count = len(sides[0].answers[0].images)
    # One byte each: of 10,000 images these are 10,000 samples.
    without = 1 - np.eye(count, dtype=np.int8)
    means = [side.sampled(without)[headline].mean(axis=0) for side in sides]
    return whole - (means[0] - means[1])


def _side(results: str | Path, records: Sequence[Record]) -> Side:
    rows = rows_of(records)
    if len(rows) > 1:
        told = " and ".join(row[0].run_id for row in rows[:2])
        raise UserError(
            f"runs {told} differ in more than their seed, so they are no row: compare them with"
            " each other"
        )
    if len(rows[0]) < len(records):
        raise UserError(
            f"of {len(records)} runs {len(records) - len(rows[0])} have the seed of another: give"
            " one run a seed"
        )
    return Side(tuple(answered(results, record) for record in rows[0]))


def _check_alike(first: Side, second: Side) -> None:
    """The same question, on the same test images.

    Raises:
        UserError: the first thing that differs.
    """
    one, other = first.answers[0], second.answers[0]
    for what, of in (
        ("task", lambda a: a.record.task),
        ("task version", lambda a: a.record.task_version),
        ("data", lambda a: f"{a.record.data.name} {a.record.data.fingerprint[:12]}"),
        ("classes", lambda a: ", ".join(a.record.data.classes)),
        ("trials", lambda a: ", ".join(trial.name for trial in a.sheet.trials)),
    ):
        if of(one) != of(other):
            raise UserError(
                f"runs {one.record.run_id} and {other.record.run_id} are not of one {what}:"
                f" {of(one)} and {of(other)}: only answers to the same question can be compared"
            )
    for answer in (*first.answers, *second.answers):
        for mine, theirs in zip(one.sheet.trials, answer.sheet.trials, strict=True):
            if mine.test != theirs.test:
                raise UserError(
                    f"runs {one.record.run_id} and {answer.record.run_id} were scored on other"
                    f" test images ({mine.name}): they cannot be compared"
                )
    if {a.record.run_id for a in first.answers} == {a.record.run_id for a in second.answers}:
        raise UserError(f"run {one.record.run_id} is compared with itself: give another")


def _metrics(
    sides: tuple[Side, Side],
    headline: str,
    sampled: Sequence[dict[str, np.ndarray]],
    differences: dict[str, Difference],
) -> pd.DataFrame:
    both = set(sides[0].records[0].metrics) & set(sides[1].records[0].metrics)
    first = [headline, *sorted(differences.keys() - {headline})]
    rows = {}
    for name in [*first, *sorted(both - set(first))]:
        row: dict[str, float] = {}
        for side, scores, called in zip(sides, sampled, ("first", "second"), strict=True):
            found = _over_seeds(name, side.records, scores.get(name))
            row |= {called: found.value, f"{called}_low": found.low, f"{called}_high": found.high}
        test = differences.get(name, Difference(np.nan, np.nan, np.nan, np.nan))
        row |= {"difference": test.value, "low": test.low, "high": test.high, "p": test.p}
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("metric")


def _over_seeds(name: str, records: Sequence[Record], sampled: np.ndarray | None) -> Estimate:
    """As the board has it: of several seeds with the nested interval where it is known."""
    found = mean_over_seeds(name, [estimate(record.metrics.get(name)) for record in records])
    if sampled is None or len(records) == 1:
        return found
    low, high = nested_interval(name, sampled[:, 0], sampled[:, 1:])
    return replace(found, low=low, high=high)


def _images(sides: tuple[Side, Side], influence: np.ndarray) -> pd.DataFrame:
    one = sides[0].answers[0]
    images = list(one.images)
    columns: dict[str, object] = {"group": one.groups, "influence": influence}
    several = len(one.sheet.trials) > 1
    for number, trial in enumerate(one.sheet.trials):
        view = one.sheet.task.of_trial(one.sheet.dataset, trial.name)
        labels = view.table["label"].reindex(list(trial.test))
        apart = f" ({trial.name})" if several else ""
        names = pd.Series([view.classes[label] for label in labels], index=labels.index)
        columns[f"true{apart}"] = names.reindex(images)
        for side, called in zip(sides, ("first", "second"), strict=True):
            seeds = [_of_true(answer, number, labels) for answer in side.answers]
            columns[f"{called}{apart}"] = pd.concat(seeds, axis=1).mean(axis=1).reindex(images)
    return pd.DataFrame(columns, index=pd.Index(images, name="id"))


def _of_true(answer: Answered, number: int, labels: pd.Series) -> pd.Series:
    """By image, the probability that one run gives its true class."""
    said = answer.said[number]
    table = pd.DataFrame(said.probabilities, index=list(said.ids)).loc[labels.index].to_numpy()
    return pd.Series(table[np.arange(len(labels)), labels.to_numpy()], index=labels.index)
