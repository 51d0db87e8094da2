"""Rows compared over data sets by their ranks, after Demšar (JMLR 7:1-30, 2006).

A section ranks rows on one data set. Here the rows of all sections that ask one question are
joined, a data set each; `critical_difference_plot` draws them.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmark.common.wording import counted, plain
from benchmark.leaderboard.columns import (
    COLUMNS,
    PROTOCOL,
    digest,
    file_name,
    options_of,
    smaller_is_better,
)
from benchmark.leaderboard.plot_style import row_labels
from benchmark.leaderboard.table import ROW_ORDER, asked, pretraining
from benchmark.metrics import ranks as by_ranks
from benchmark.metrics.names import title
from benchmark.metrics.ranks import LEVEL, Friedman

# What the rows of all data sets agree in.
_SHARED = tuple(c for c in PROTOCOL if c not in (COLUMNS.data, COLUMNS.split))
# What makes a row the same entrant on another data set, besides its settings.
_ENTRANT = tuple(c for c in ROW_ORDER if c not in (COLUMNS.dataset, COLUMNS.settings))
# Settings that say which data are read, not who answers.
_READER = "dataset_options."
# Readers of whatever data: other data are another data set, not another version of the same (ours).
_READS_ANY = ("folder", "medmnist", "multi-disease")
# Names that a sentence spells out; the rest is counted.
_NAMED = 4


class Entrant(NamedTuple):
    """A row on all data sets: its name, its ranks and headline scores on each, the mean rank."""

    name: str
    ranks: tuple[float, ...]
    scores: tuple[float, ...]
    average: float


@dataclass(frozen=True)
class Comparison:
    """The rows of one question that have a score on each of several data sets.

    Attributes:
        section: id of the first of the sections it joins.
        plot: its picture, relative to the leaderboard.
        title: the question and what the runs started from, in words.
        headline: the metric.
        datasets: their names.
        entrants: at least two, by average rank, best first.
        friedman: whether there is any difference.
        difference: Nemenyi's critical difference of average ranks at 5 %.
        cliques: first and last position of the entrants that are not told apart; where the Friedman
            test finds no difference, all of them.
        left_out: a sentence each on what is missing, and why.
    """

    section: str
    plot: str
    title: str
    headline: str
    datasets: tuple[str, ...]
    entrants: tuple[Entrant, ...]
    friedman: Friedman
    difference: float
    cliques: tuple[tuple[int, int], ...]
    left_out: tuple[str, ...]

    @property
    def p(self) -> str:
        """The p-value of the Friedman test in words."""
        return "p < 0.001" if self.friedman.p < 0.001 else f"p = {self.friedman.p:.2g}"

    @property
    def reading(self) -> tuple[str, ...]:
        """How to read it, a sentence each."""
        count, rows = len(self.datasets), len(self.entrants)
        test = (
            f"Friedman test, F of Iman and Davenport: {self.p} (N = {count} data sets, k = {rows}"
            " rows)"
        )
        apart = (
            f"{test}. Rows whose average ranks differ by less than the critical difference of"
            f" {self.difference:.2f} (Nemenyi, 5 %) are joined by a bar: they are not told apart."
        )
        return (
            f"Average rank by {title(self.headline)} over {', '.join(self.datasets)}, 1 is best,"
            " ties share their mean rank.",
            apart
            if self.friedman.p < LEVEL
            else f"{test}: no difference is shown, so all rows are joined.",
            *self._weak(),
            "The test takes data sets for independent: those that share images, as DermaMNIST does"
            " with ISIC 2018 (both HAM10000), are not.",
        )

    def _weak(self) -> tuple[str, ...]:
        """What so few data sets cannot show."""
        count, most = len(self.datasets), len(self.entrants) - 1
        if self.difference >= most:
            return (
                f"With {count} data sets no two of these rows could be told apart: the critical"
                f" difference is {self.difference:.2f}, and average ranks differ by {most} at"
                " most.",
            )
        few = "With so few data sets the test has hardly any power."
        return (few,) if count < 6 else ()

    @property
    def alt(self) -> str:
        """What the picture shows, for those who cannot see it."""
        ranks = "; ".join(f"{each.name} {each.average:.2f}" for each in self.entrants)
        return (
            f"Critical-difference diagram of {len(self.entrants)} rows over"
            f" {len(self.datasets)} data sets. Average ranks: {ranks}."
        )


def comparable(table: pd.DataFrame) -> pd.DataFrame:
    """What `comparisons` needs of a part of the table: its ranked rows without leaks."""
    runs = table[(table[COLUMNS.kind] == "run") & (table[COLUMNS.leaks] == "")]
    runs = runs[runs[COLUMNS.rank].notna()]
    return runs[[*astuple(COLUMNS), *sorted(set(runs[COLUMNS.headline]))]]


def comparisons(table: pd.DataFrame) -> list[Comparison]:
    """A comparison for each question that at least two rows answer on at least two data sets.

    Data sets are joined where rows agree in task, version, options, headline, weights, pre-training
    and explainer, without leaks. A row is the same entrant on another data set if all that tells it
    from other rows is the same: architecture, framework, method, weights, image size, budget,
    epochs and settings. A missing score is never averaged: rows that lack a data set are left out,
    or the data set is, so that as many scores as possible are compared (ours). A data set that was
    run in several versions or splits counts once, by the one with the most rows (ours).

    Args:
        table: of `comparable`, of one part or of several joined.
    """
    rows = table.reset_index(drop=True)
    found = (_comparison(rows) for _, rows in rows.groupby(list(_SHARED), sort=False))
    return [each for each in found if each is not None]


def _comparison(rows: pd.DataFrame) -> Comparison | None:
    """The comparison of the rows of one question, None where no two share two data sets."""
    settings = rows[COLUMNS.settings].map(_without_reader)
    rows = rows.assign(**{COLUMNS.settings: settings})
    parts, left_out = _one_version_each(rows)
    entrants = {name: _entrants(part) for name, part in parts.items()}
    has: dict[str, set[str]] = defaultdict(set)
    for name, own in entrants.items():
        for entrant in own:
            has[entrant].add(name)
    names = _most_scores(map(frozenset, has.values()))
    if not names:
        return None
    anywhere = {entrant: at for own in entrants.values() for entrant, at in own.items()}
    labels = row_labels(rows.loc[list(anywhere.values())], (COLUMNS.framework,))
    called = dict(zip(anywhere, labels, strict=True))
    lacking = [called[entrant] for entrant, own in has.items() if not names <= own]
    left_out += _left_out(lacking, [name for name in parts if name not in names])
    kept = [entrant for entrant, own in has.items() if names <= own]
    places = {
        name: [own[entrant] for entrant in kept] for name, own in entrants.items() if name in names
    }
    return _ranked(rows, places, [called[entrant] for entrant in kept], left_out)


def _entrants(rows: pd.DataFrame) -> dict[str, int]:
    """By what tells rows apart on any data set, the row's place in the table."""
    told = rows[[*_ENTRANT, COLUMNS.settings]].astype(str).itertuples(index=False, name=None)
    return {digest(list(each)): at for each, at in zip(told, rows.index, strict=True)}


def _ranked(
    rows: pd.DataFrame,
    places: Mapping[str, Sequence[int]],
    labels: Sequence[str],
    left_out: Sequence[str],
) -> Comparison:
    """The comparison of k entrants, whose rows on each data set lie at these places."""
    datasets, among = list(places), rows.loc[min(map(min, places.values()))]
    headline = str(among[COLUMNS.headline])
    scores = np.array([rows.loc[list(own), headline] for own in places.values()], dtype=float)
    sign = -1.0 if smaller_is_better(headline) else 1.0
    ranks = by_ranks.block_ranks(sign * scores)
    average = ranks.mean(axis=0)
    order = np.argsort(average, kind="stable")
    test = by_ranks.friedman(ranks)
    difference = by_ranks.critical_difference(len(labels), len(datasets))
    joined = by_ranks.cliques(average[order], difference)
    options = asked(options_of(among[COLUMNS.question]))
    about = f"{among[COLUMNS.task]} (version {among[COLUMNS.task_version]}) over data sets"
    key = digest([str(among[c]) for c in _SHARED])[:8]
    return Comparison(
        section=str(among[COLUMNS.section]),
        plot=f"plots/{file_name(str(among[COLUMNS.task]))}-{key}-critical-difference.png",
        title=plain(", ".join([about, *options, pretraining(among.to_frame().T)])),
        headline=headline,
        datasets=tuple(datasets),
        entrants=tuple(
            Entrant(labels[at], tuple(ranks[:, at]), tuple(scores[:, at]), float(average[at]))
            for at in order
        ),
        friedman=test,
        difference=difference,
        cliques=tuple(joined) if test.p < LEVEL else ((0, len(labels) - 1),),
        left_out=tuple(left_out),
    )


def _without_reader(settings: str) -> str:
    kept = {k: v for k, v in json.loads(settings).items() if not k.startswith(_READER)}
    return json.dumps(kept, sort_keys=True)


def _one_version_each(rows: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """By data set the rows of one version and split; a sentence for each that had several."""
    found: dict[str, pd.DataFrame] = {}
    told = []
    called = [
        _called(*each) for each in zip(rows[COLUMNS.dataset], rows[COLUMNS.data], strict=True)
    ]
    for name, own in rows.groupby(called, sort=True):
        versions = [part for _, part in own.groupby([COLUMNS.data, COLUMNS.split], sort=True)]
        versions.sort(key=lambda part: (len(part), part[COLUMNS.created].max()), reverse=True)
        found[str(name)] = versions[0]
        if len(versions) > 1:
            shown, *others = (
                f"{part[COLUMNS.data].iloc[0][:8]}, split {part[COLUMNS.split].iloc[0][:8]}"
                f" ({counted(len(part), 'row')})"
                for part in versions
            )
            told.append(
                f"{name} was run in several versions: compared is {shown}, left out"
                f" {'; '.join(others)}."
            )
    return found, told


def _called(dataset: str, fingerprint: str) -> str:
    name = plain(dataset)
    return f"{name} ({fingerprint[:8]})" if dataset in _READS_ANY else name


def _most_scores(has: Iterable[frozenset[str]]) -> frozenset[str]:
    """The data sets over which most scores can be compared, given those that each row has.

    Of several choices that with most data sets; empty where no two rows share two.
    """
    sets = Counter(has)
    tried = {*sets, *(one & other for one, other in combinations(sets, 2))}
    rows = {names: sum(n for own, n in sets.items() if names <= own) for names in tried}
    possible = [names for names in tried if len(names) > 1 and rows[names] > 1]
    return max(
        possible,
        key=lambda names: (len(names) * rows[names], len(names), sorted(names)),
        default=frozenset(),
    )


def _left_out(rows: Sequence[str], datasets: Sequence[str]) -> list[str]:
    """Sentences on rows and on data sets that are not compared."""
    told = []
    if rows:
        told.append(
            f"Left out, because they lack a score on one of these data sets: {_listed(rows)}."
        )
    if datasets:
        told.append(f"Left out, because rows lack a score on them: data sets {_listed(datasets)}.")
    return told


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return "; ".join(names[:_NAMED]) + more
