"""What becomes of each row's score as labels grow few: a curve per section of semi-supervised.

A section ranks rows by the area under this curve; here are its points and what they are held
against: the `supervised` run that sees every label.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmark.leaderboard.columns import COLUMNS, PROTOCOL, digest, metric_columns, options_of
from benchmark.leaderboard.curves import TOLD, plot_name
from benchmark.leaderboard.table import (
    asked,
    leaking,
    pretraining,
    sections,
    settings_apart,
    varying_settings,
)
from benchmark.records.record import Record

TASK = "semi-supervised"
# What the task calls its trials, the run's scores of them, and the area under these.
_TRIAL, _AT, _AREA = "labels-", "_at_", "_area"
_OPTION = "label_fractions"
REFERENCE, _ALL = "supervised", "100"
# What a row and its reference agree in, besides the settings that are no method's own.
_NETWORK = (
    *(COLUMNS.arch, COLUMNS.framework, COLUMNS.weights_source),
    *(COLUMNS.image_size, COLUMNS.budget, COLUMNS.epochs),
)
_SHARED = tuple(c for c in PROTOCOL if c not in (COLUMNS.question, COLUMNS.split))


class Point(NamedTuple):
    """A row's score with its 95 % interval, the mean over its seeds; and each seed's own.

    A score is NaN where it is undefined, or not measured, for one of the seeds.
    """

    value: float
    low: float
    high: float
    singles: tuple[float, ...]


class Reference(NamedTuple):
    """What `supervised` scores with every label: mean, 95 % interval, and its seeds."""

    value: float
    low: float
    high: float
    seeds: tuple[str, ...]

    @property
    def whose(self) -> str:
        """Such as "seeds 0, 1"."""
        return f"seed{'s' * (len(self.seeds) > 1)} {', '.join(self.seeds)}"


@dataclass(frozen=True)
class Line:
    """One row of the section.

    Attributes:
        method: its name, with those of its own options in which rows of the method differ.
        network: what was trained and how, as far as rows of the section differ in it, such as
            {"architecture": "VGG16"}; {} where all agree.
        seeds: of its runs.
        points: by fraction, all of the curve's.
        area: the headline.
        reference: of the same network, trained in the same way; None where there is no such run.
    """

    method: str
    network: dict[str, str]
    seeds: tuple[str, ...]
    points: dict[str, Point]
    area: Point
    reference: Reference | None

    def kept(self, fraction: str) -> float:
        """The share of the reference's mean that the row's mean keeps; NaN where one is missing."""
        if self.reference is None or not self.reference.value:
            return float("nan")
        return self.points[fraction].value / self.reference.value


@dataclass(frozen=True)
class LabelCurve:
    """The rows of one section at every label fraction.

    Attributes:
        section: its id.
        plot: the picture, relative to the leaderboard.
        title: the question and what the runs started from, in words.
        metric: the score whose area ranks, such as "macro_f1".
        fractions: in percent, by the name that the trials have, rising: {"2.5": 2.5, "5": 5.0}.
        shared: what the networks of all lines have in common, as `Line.network`.
        lines: in the order of their ranks.
    """

    section: str
    plot: str
    title: str
    metric: str
    fractions: dict[str, float]
    shared: dict[str, str]
    lines: tuple[Line, ...]


def label_curves(table: pd.DataFrame, records: Iterable[Record]) -> list[LabelCurve]:
    """A curve for each section of task semi-supervised that has a score at any fraction.

    A line's reference is `supervised` at 100 % of the labels with the same architecture, framework,
    weights, image size, budget, epochs and settings but the methods' own (ours); of several the one
    with the highest mean. It may stand in another section, if that differs in the label fractions
    alone: methods that need unlabelled images have nothing to do at 100 %.

    Args:
        table: from `build_table`.
        records: those in the table; they know the fractions, the splits and each seed's score.
    """
    by_id = {record.run_id: record for record in records}
    runs = table[(table[COLUMNS.task] == TASK) & (table[COLUMNS.kind] == "run")]
    if runs.empty:
        return []
    full = _references(runs, by_id)
    found = (_curve(section, full, by_id) for section in sections(runs))
    return [curve for curve in found if curve is not None]


def _curve(
    rows: pd.DataFrame, full: Mapping[str, Mapping[str, Reference]], records: Mapping[str, Record]
) -> LabelCurve | None:
    first = rows.iloc[0]
    metric = first[COLUMNS.headline].removesuffix(_AREA)
    trials = [trial.name for trial in records[first[COLUMNS.run_ids].split()[0]].trials]
    names = [name.removeprefix(_TRIAL) for name in trials if name.startswith(_TRIAL)]
    fractions = {name: float(name) for name in sorted(names, key=float)}
    lines, shared = _lines(rows, metric, fractions, full, records)
    if not any(np.isfinite(p.value) for line in lines for p in line.points.values()):
        return None
    datasets = " / ".join(sorted(rows[COLUMNS.dataset].unique()))
    about = (
        f"{TASK} (version {first[COLUMNS.task_version]}) on {datasets} by label fraction"
        f" ({', '.join(fractions)} %)"
    )
    rest = {k: v for k, v in options_of(first[COLUMNS.question]).items() if k != _OPTION}
    return LabelCurve(
        section=first[COLUMNS.section],
        plot=plot_name(first, first[COLUMNS.section]),
        title=", ".join(filter(None, [about, *asked(rest), leaking(rows), pretraining(rows)])),
        metric=metric,
        fractions=fractions,
        shared=shared,
        lines=tuple(lines),
    )


def _lines(
    rows: pd.DataFrame,
    metric: str,
    fractions: Iterable[str],
    full: Mapping[str, Mapping[str, Reference]],
    records: Mapping[str, Record],
) -> tuple[list[Line], dict[str, str]]:
    """The lines in the table's order, and what their networks have in common."""
    apart = [settings_apart(settings) for settings in rows[COLUMNS.settings]]
    own = varying_settings(rows.assign(**{COLUMNS.settings: [each for each, _ in apart]}))
    rest = varying_settings(rows.assign(**{COLUMNS.settings: [each for _, each in apart]}))
    texts = {name: rows[c].tolist() for name, c in TOLD.items() if c != COLUMNS.method}
    texts["settings"] = rest
    differing = [name for name, values in texts.items() if len(set(values)) > 1]
    shared = {name: values[0] for name, values in texts.items() if name not in differing}
    lines = []
    for at, (_, row) in enumerate(rows.iterrows()):
        runs = [records[run] for run in row[COLUMNS.run_ids].split()]
        lines.append(
            Line(
                method=", ".join(filter(None, [row[COLUMNS.method], own[at]])),
                network={name: texts[name][at] for name in differing if texts[name][at]},
                seeds=tuple(row[COLUMNS.seeds].split()),
                points={f: _point(row, f"{metric}{_AT}{f}", runs) for f in fractions},
                area=_point(row, row[COLUMNS.headline], runs),
                reference=full.get(metric, {}).get(_kin(row, runs[0])),
            )
        )
    return lines, {name: value for name, value in shared.items() if value}


def _references(
    runs: pd.DataFrame, records: Mapping[str, Record]
) -> dict[str, dict[str, Reference]]:
    """By metric and `_kin`, what `supervised` scores with every label."""
    found: dict[str, dict[str, Reference]] = {}
    for _, row in runs[runs[COLUMNS.method] == REFERENCE].iterrows():
        metric = row[COLUMNS.headline].removesuffix(_AREA)
        ids = row[COLUMNS.run_ids].split()
        at_all = _point(row, f"{metric}{_AT}{_ALL}", [records[run] for run in ids])
        known, kin = found.setdefault(metric, {}), _kin(row, records[ids[0]])
        reference = Reference(*at_all[:3], tuple(row[COLUMNS.seeds].split()))
        # Of several rows that of most seeds: the best of them would be chosen by its test score.
        if np.isfinite(at_all.value) and (
            kin not in known or len(reference.seeds) > len(known[kin].seeds)
        ):
            known[kin] = reference
    return found


def _kin(row: pd.Series, record: Record) -> str:
    """Digest of what a row and its reference agree in: question, images, network, training."""
    options = {k: v for k, v in options_of(row[COLUMNS.question]).items() if k != _OPTION}
    images = {f"{t.split_fingerprint} {t.test_fingerprint}" for t in record.trials}
    return digest(
        [
            *(str(row[c]) for c in (*_SHARED, COLUMNS.dataset, *_NETWORK)),
            *asked(options),
            *sorted(images),
            settings_apart(row[COLUMNS.settings])[1],
        ]
    )


def _point(row: pd.Series, metric: str, runs: Sequence[Record]) -> Point:
    value, low, high = (float(row.get(column, np.nan)) for column in metric_columns(metric))
    own = (run.metrics[metric].value for run in runs if metric in run.metrics)
    return Point(value, low, high, tuple(value for value in own if value is not None))
