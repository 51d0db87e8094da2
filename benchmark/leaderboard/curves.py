"""One question asked at several ratios of imbalance: the rows of several sections side by side.

A section ranks the runs of one ratio. A curve shows what becomes of each row as the ratio grows.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import NamedTuple

import pandas as pd

from benchmark.common.wording import counted
from benchmark.leaderboard.columns import (
    COLUMNS,
    PROTOCOL,
    digest,
    file_name,
    metric_columns,
    options_of,
)
from benchmark.leaderboard.table import ROW_ORDER, asked, leaking, pretraining, varying_settings
from benchmark.records.record import Record

# The option whose values make a curve.
_OPTION = "imbalance"
# What rows of all ratios of a curve agree in, besides their test images.
_SHARED = tuple(c for c in PROTOCOL if c not in (COLUMNS.question, COLUMNS.split))
# What a line is called by.
TOLD = {
    "architecture": COLUMNS.arch,
    "framework": COLUMNS.framework,
    "method": COLUMNS.method,
    "weights": COLUMNS.weights_source,
    "image size": COLUMNS.image_size,
    "budget": COLUMNS.budget,
    "epochs": COLUMNS.epochs,
}
# How the task notes the measured ratio.
_MEASURED = re.compile(r"(\d+(?:\.\d+)?) times the images of the rarest")


class Point(NamedTuple):
    """A row's headline at one profile with its 95 % interval, the mean over its seeds."""

    value: float
    low: float
    high: float
    seeds: int


@dataclass(frozen=True)
class Line:
    """One row's scores: what tells it from other lines, and a point for each profile it has."""

    told: dict[str, str]
    points: dict[str, Point]


@dataclass(frozen=True)
class Curve:
    """The runs of one question, whatever their ratio.

    Attributes:
        section: id of the first of the sections it joins.
        plot: its picture, relative to the leaderboard.
        title: the question and what the runs started from, in words.
        headline: the metric.
        ratios: such as {"10": 10.0}, rising.
        others: profiles that are no ratio and what they are called, such as {"natural": "natural
            (58:1)"}.
        shared: what is the same in every line, as `Line.told`.
        test: digest of the test images' fingerprints, "" where the records do not have any.
        left_out: a sentence for each profile of which the rows of a split are not in the curve.
        lines: those with the most ratios first; among those with the same ones, the highest mean
            over them first.
    """

    section: str
    plot: str
    title: str
    headline: str
    ratios: dict[str, float]
    others: dict[str, str]
    shared: dict[str, str]
    test: str
    left_out: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def profiles(self) -> dict[str, str]:
        """Every profile and what it is called, in order."""
        return {name: f"ratio {name}" for name in self.ratios} | self.others


def curves(table: pd.DataFrame, records: Iterable[Record]) -> list[Curve]:
    """A curve for each question that runs with a score answer at two profiles, a ratio among them.

    Runs of one curve agree in task, data, test images, headline, weights, pre-training, leaks and
    every option but the ratio. Of a profile that was run on several splits, which happens after a
    frozen one was edited, only that with the most rows is in it, the newest of several (ours). A
    submission answers at one profile, and nothing tells which others would be of the same network.

    Args:
        table: from `build_table`.
        records: those in the table; they know the test images, their notes the natural ratio.
    """
    by_id = {record.run_id: record for record in records}
    tests = _tests(table, by_id)
    found = defaultdict(list)
    runs = table[(table[COLUMNS.kind] == "run") & (table[COLUMNS.submitted] == "")]
    for at, row in runs.iterrows():
        options = options_of(row[COLUMNS.question])
        if options.pop(_OPTION, None) and pd.notna(row[row[COLUMNS.headline]]):
            test = tests[row[COLUMNS.split]]
            found[test, *(row[c] for c in _SHARED), *options.items()].append(at)
    joined = [_curve(table.loc[places], test, by_id) for (test, *_), places in found.items()]
    return [curve for curve in joined if curve.ratios and len(curve.profiles) > 1]


def plot_name(row: pd.Series, key: str) -> str:
    """A curve's picture, relative to the leaderboard; `key` tells it from others."""
    return f"plots/{file_name(f'{row[COLUMNS.task]}-{row[COLUMNS.dataset]}')}-{key}-curve.png"


def _tests(table: pd.DataFrame, records: Mapping[str, Record]) -> dict[str, str]:
    """By split a digest of its trials' test images; "" where no record of the split has them."""
    found: dict[str, str] = {}
    runs = table[table[COLUMNS.kind] == "run"]
    for split, ids in zip(runs[COLUMNS.split], runs[COLUMNS.run_ids], strict=True):
        for run in ids.split():
            trials = records[run].trials
            known = all(trial.test_fingerprint for trial in trials)
            test = digest(sorted(f"{t.name} {t.test_fingerprint}" for t in trials)) if known else ""
            # Runs of one split have the same test images, even if an older one does not say which.
            found[split] = found.get(split) or test
    return found


def _one_split_each(rows: pd.DataFrame, profile: pd.Series) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The rows of one split per profile, and a sentence for each profile that had several."""
    kept, told = [], []
    for name in sorted(set(profile)):
        splits = [part for _, part in rows[profile == name].groupby(COLUMNS.split)]
        splits.sort(key=lambda part: (len(part), part[COLUMNS.created].max()), reverse=True)
        kept.append(splits[0])
        if len(splits) > 1:
            shown, *others = (
                f"{part[COLUMNS.split].iloc[0][:8]} ({counted(len(part), 'row')})"
                for part in splits
            )
            told.append(
                f"{' '.join(asked({_OPTION: name})).capitalize()} was run on several splits with"
                f" the same test images: shown is {shown}, left out {', '.join(others)}."
            )
    return pd.concat(kept).sort_index(), tuple(told)


def _curve(rows: pd.DataFrame, test: str, records: Mapping[str, Record]) -> Curve:
    options = [options_of(question) for question in rows[COLUMNS.question]]
    profile = pd.Series([each[_OPTION] for each in options], rows.index)
    rows, left_out = _one_split_each(rows, profile)
    profile = profile[rows.index]
    first = rows.iloc[0]
    ratios = sorted({name for name in profile if name.isdigit()}, key=int)
    others = sorted(set(profile) - set(ratios))
    lines, shared = _lines(rows, profile)
    lines.sort(key=lambda line: _place(line, ratios))
    names = " / ".join(sorted(rows[COLUMNS.dataset].unique()))
    rest = {name: value for name, value in options[0].items() if name != _OPTION}
    about = f"{first[COLUMNS.task]} (version {first[COLUMNS.task_version]}) on {names} by ratio"
    key = digest([test, *(first[c] for c in _SHARED), *asked(rest)])[:8]
    return Curve(
        section=first[COLUMNS.section],
        plot=plot_name(first, key),
        title=", ".join(filter(None, [about, *asked(rest), leaking(rows), pretraining(rows)])),
        headline=first[COLUMNS.headline],
        ratios={name: float(name) for name in ratios},
        others={name: _called(name, rows[profile == name], records) for name in others},
        shared=shared,
        test=test,
        left_out=left_out,
        lines=tuple(lines),
    )


def _place(line: Line, ratios: Sequence[str]) -> tuple[int, list[int], float]:
    """What lines are sorted by: means are compared only where they are over the same ratios."""
    own = [at for at, ratio in enumerate(ratios) if ratio in line.points]
    # Without a ratio the table's order stays.
    average = mean(line.points[ratios[at]].value for at in own) if own else 0.0
    return -len(own), own, -average


def _lines(rows: pd.DataFrame, profile: pd.Series) -> tuple[list[Line], dict[str, str]]:
    """The lines in the table's order, and what all of them have in common."""
    same = rows.groupby(list(ROW_ORDER), sort=False).indices.values()
    heads = rows.iloc[[places[0] for places in same]]
    texts = {name: heads[column].tolist() for name, column in TOLD.items()}
    texts["settings"] = varying_settings(heads)
    differing = {name: values for name, values in texts.items() if len(set(values)) > 1}
    shared = {name: values[0] for name, values in texts.items() if name not in differing}
    scores = rows[list(metric_columns(rows[COLUMNS.headline].iloc[0]))].to_numpy(float)
    seeds = rows[COLUMNS.n_seeds].to_numpy(int)
    lines = []
    for at, places in enumerate(same):
        points = {}
        for place in places:
            value, low, high = scores[place].tolist()
            points[profile.iloc[place]] = Point(value, low, high, int(seeds[place]))
        told = {name: values[at] for name, values in differing.items()}
        lines.append(Line({name: value for name, value in told.items() if value}, points))
    return lines, {name: value for name, value in shared.items() if value}


def _called(profile: str, rows: pd.DataFrame, records: Mapping[str, Record]) -> str:
    """A profile that is no ratio, with the one that was measured where the notes agree on it."""
    runs = " ".join(rows[COLUMNS.run_ids]).split()
    notes = (note for run in runs for note in records[run].notes)
    ratios = {float(found[1]) for note in notes if (found := _MEASURED.search(note))}
    if len(ratios) != 1:
        return profile
    (ratio,) = ratios
    return f"{profile} ({ratio:.0f}:1)" if ratio >= 10 else f"{profile} ({ratio:.1f}:1)"
