"""What a section's rows pay for their score: explainability against diagnosis, score against cost.

Here are the points of these plots, from the table alone; `scatter` draws them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmark.common.wording import counted, plain
from benchmark.leaderboard.columns import COLUMNS, digest, file_name, smaller_is_better
from benchmark.leaderboard.plot_style import (
    Look,
    framework_look,
    intervals,
    question,
    row_labels,
    whisker,
)
from benchmark.leaderboard.table import leading, section_id
from benchmark.metrics.names import title

_MAPS = "explainability"
# Of the same runs on the same test images, the first that at least two rows have (ours): scores of
# the decision, as maps explain decisions, and of those first the one by which the DermXDB benchmark
# reports diagnosis.
_DIAGNOSIS = ("macro_f1", "balanced_accuracy", "accuracy")
# Rows that agree in these answer by the same computation.
_NETWORK = (COLUMNS.arch, COLUMNS.framework, COLUMNS.image_size, COLUMNS.parameters)
_OF_TIMES = ("median", "min", "max")
# Rows of the front that are named to those who cannot see it.
_SPOKEN = 12
_FRONT = (
    "The line joins the Pareto front: rows that no other row beats in score without costing more,"
    " by their means; whiskers that overlap leave open who is on it."
)


class Point(NamedTuple):
    """A row in the plane: its place on both axes with interval, "" and NaN where there is none.

    `label` is what the row is called among the others, `look` how it is drawn.
    """

    label: str
    look: Look
    x: tuple[float, float, float]
    y: tuple[float, float, float]


@dataclass(frozen=True)
class Tradeoff:
    """One plot of the rows of a section in a plane.

    Attributes:
        section: its id.
        plot: the picture, relative to the leaderboard.
        title: what is set against what.
        heading: the section's question, in words.
        x, y: what the axes are; intervals are told.
        reading: how to read it, a sentence or more.
        points: in the order of the table, best first.
        ranked: whether the rows have ranks.
        cost: whether x is a cost, on a log axis, with a Pareto front.
        smaller: whether y is better when smaller.
        lines: heights that are no runs' and what they are, such as floors.
    """

    section: str
    plot: str
    title: str
    heading: str
    x: str
    y: str
    reading: str
    points: tuple[Point, ...]
    ranked: bool
    cost: bool
    smaller: bool
    lines: tuple[tuple[str, float], ...] = ()

    @property
    def alt(self) -> str:
        """What the picture shows, for those who cannot see it."""
        drawn = f"Scatter plot of {counted(len(self.points), 'row')}: {self.y} against {self.x}."
        if not self.cost:
            return f"{drawn} {self.reading}"
        front = [self.points[at] for at in self.front()]
        best = "; ".join(f"{point.label} ({point.look.label})" for point in front[:_SPOKEN])
        best += f" and {len(front) - _SPOKEN} more" if len(front) > _SPOKEN else ""
        return f"{drawn} On the Pareto front, from cheap to costly: {best}."

    def front(self) -> list[int]:
        """Positions of the points on the Pareto front, from cheap to costly; [] without a cost.

        A point is on it unless another has a score at least as good for at most the cost, one of
        the two better. Of points that agree in both all are on it.
        """
        if not self.cost:
            return []
        sign = -1.0 if self.smaller else 1.0
        places = [(point.x[0], -sign * point.y[0]) for point in self.points]
        kept: list[int] = []
        for at in sorted(range(len(places)), key=lambda at: places[at]):
            last = places[kept[-1]] if kept else (np.inf, np.inf)
            if places[at][1] < last[1] or places[at] == last:
                kept.append(at)
        return kept


def tradeoffs(section: pd.DataFrame) -> list[Tradeoff]:
    """The plots of a section, of `table.sections`, that at least two of its rows have numbers for.

    Parameters must differ, as must the networks of which seconds are compared. Seconds are compared
    on one hardware, so there is a plot for each.
    """
    rows = leading(section)
    headline = rows[COLUMNS.headline].iloc[0]
    rows = rows[rows[headline].notna()]
    return [*_of_maps(section, rows), *_of_parameters(section, rows), *_of_seconds(section, rows)]


def _of_maps(section: pd.DataFrame, rows: pd.DataFrame) -> Iterator[Tradeoff]:
    if section[COLUMNS.task].iloc[0] != _MAPS:
        return
    having = (m for m in _DIAGNOSIS if m in rows and rows[m].notna().sum() > 1)
    diagnosis = next(having, None)
    if diagnosis is None:
        return
    headline, told = _headline(rows), whisker(section)
    rows = rows[rows[diagnosis].notna()]
    lines = _baselines(section, headline)
    bounds = " Dashed lines are ceilings and floors, which have no diagnosis." if lines else ""
    yield _tradeoff(
        section,
        rows,
        "diagnosis",
        title=f"{title(headline)} against {title(diagnosis)}",
        x=f"{title(diagnosis)} of the diagnosis with {told}",
        reading="To the right rows diagnose better, above they look more where experts look, both"
        f" on the test images; crosses are the {told} of each. The diagnosis is judged by"
        f" {title(diagnosis)}, a score of the decisions that the maps explain." + bounds,
        places=intervals(rows, diagnosis),
        lines=lines,
    )


def _of_parameters(section: pd.DataFrame, rows: pd.DataFrame) -> Iterator[Tradeoff]:
    rows = rows[rows[COLUMNS.parameters].notna()]
    rows = rows[rows[COLUMNS.parameters].astype("Int64") > 0]
    if rows[COLUMNS.parameters].nunique() < 2:
        return
    yield _tradeoff(
        section,
        rows,
        "parameters",
        title=f"{title(_headline(rows))} against parameters",
        x="parameters",
        reading=f"To the left rows are smaller, above they are better{_turned(rows)}. {_FRONT}",
        places=_alone(rows[COLUMNS.parameters].to_numpy(float)),
        cost=True,
    )


def _of_seconds(section: pd.DataFrame, rows: pd.DataFrame) -> Iterator[Tradeoff]:
    rows = rows[rows[COLUMNS.seconds].notna() & (rows[COLUMNS.hardware] != "")]
    for hardware, own in rows.groupby(COLUMNS.hardware, sort=True):
        networks = own.groupby(list(_NETWORK), dropna=False)
        if len(networks) < 2:
            continue
        times = networks[COLUMNS.seconds]
        alone = times.transform("size").to_numpy() == 1
        middle, least, most = (1000 * times.transform(f).to_numpy(float) for f in _OF_TIMES)
        called = plain(str(hardware))
        yield _tradeoff(
            section,
            own,
            f"seconds-{digest([str(hardware)])[:6]}",
            title=f"{title(_headline(own))} against milliseconds per image on {called}",
            x=f"milliseconds per test image, as the runs happened on {called}",
            reading=f"To the left rows answer faster, above they are better{_turned(own)}. These"
            " are times of the runs as they happened, from decoded pixels to probabilities, means"
            " over seeds, on machines that may have done other things: no benchmark of speed. Rows"
            " of one network (architecture, framework, image size, parameters) do the same work,"
            " so they stand at their median time; a horizontal line spans their times."
            f" {_FRONT}",
            places=(middle, np.where(alone, np.nan, least), np.where(alone, np.nan, most)),
            cost=True,
        )


def _tradeoff(
    section: pd.DataFrame,
    rows: pd.DataFrame,
    kind: str,
    places: Sequence[np.ndarray],
    cost: bool = False,
    lines: tuple[tuple[str, float], ...] = (),
    **words: str,
) -> Tradeoff:
    headline, own = _headline(rows), section_id(section)
    task, dataset = (rows[c].iloc[0] for c in (COLUMNS.task, COLUMNS.dataset))
    labels = row_labels(rows, (COLUMNS.dataset,))
    points = [
        Point(label, framework_look(row), tuple(x), tuple(y))
        for label, row, x, y in zip(
            labels,
            rows.to_dict("records"),
            np.transpose(places).tolist(),
            np.transpose(intervals(rows, headline)).tolist(),
            strict=True,
        )
    ]
    return Tradeoff(
        section=own,
        plot=f"plots/{file_name(f'{task}-{dataset}')}-{own}-{kind}.png",
        heading=question(section),
        y=f"{title(headline)} with {whisker(section)}",
        points=tuple(points),
        ranked=bool(rows[COLUMNS.rank].notna().any()),
        cost=cost,
        smaller=smaller_is_better(headline),
        lines=lines,
        **words,
    )


def _headline(rows: pd.DataFrame) -> str:
    return str(rows[COLUMNS.headline].iloc[0])


def _turned(rows: pd.DataFrame) -> str:
    return " (the axis is turned, because smaller is better)" if _smaller(rows) else ""


def _smaller(rows: pd.DataFrame) -> bool:
    return smaller_is_better(_headline(rows))


def _alone(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers without an interval."""
    unknown = np.full(len(values), np.nan)
    return values, unknown, unknown


def _baselines(section: pd.DataFrame, headline: str) -> tuple[tuple[str, float], ...]:
    """Ceilings and floors by name; of untrained networks, one a row, the best alone."""
    rows = section[section[COLUMNS.kind].isin(("ceiling", "floor")) & section[headline].notna()]
    shared = rows[rows[COLUMNS.arch] == ""]
    named = zip(shared[COLUMNS.name], shared[headline], strict=True)
    found = [(plain(name), float(height)) for name, height in named]
    untrained = rows[rows[COLUMNS.arch] != ""]
    if len(untrained):
        count = counted(len(untrained), "untrained network")
        found.append((f"best of {count}", float(untrained[headline].max())))
    return tuple(sorted(found, key=lambda line: -line[1]))
