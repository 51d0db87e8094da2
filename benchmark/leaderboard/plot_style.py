"""What the plots of the board share: how rows look, what they are called, and their headings."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmark.common.wording import counted, plain
from benchmark.leaderboard.columns import COLUMNS, SPREAD, metric_columns
from benchmark.leaderboard.published import publication_of
from benchmark.leaderboard.table import conditions, leading, varying_settings

_LONGEST = 70
# How a suptitle stands over every plot.
HEADING: Mapping[str, Any] = {"x": 0.01, "ha": "left", "fontsize": 11, "fontweight": "bold"}


class Look(NamedTuple):
    """How rows of one sort are drawn; hatching and markers survive print."""

    label: str
    colour: str
    marker: str
    hatch: str = ""
    hatched: str = "white"


# Of Okabe and Ito's palette, which survives every common colour blindness.
_FRAMEWORKS = {
    "torch": Look("PyTorch", "#0072B2", "o"),
    "keras": Look("Keras", "#E69F00", "s", "///"),
}
_OTHER = Look("other", "#999999", "D", "...")
# What is no run is drawn pale.
_UNRANKED = {
    "ceiling": Look("ceiling: experts", "#DDEFE8", "^", "xxx", "#999999"),
    "floor": Look("floor: no trained network", "#EEEEEE", "v", "...", "#999999"),
    "reported": Look("reported, not run here", "#DDDDDD", "o", "", "#999999"),
}


def look(row: Mapping[str, Any] | pd.Series) -> Look:
    """How a row of the table is drawn."""
    kind = row[COLUMNS.kind]
    return _UNRANKED[kind] if kind in _UNRANKED else framework_look(row)


def framework_look(row: Mapping[str, Any] | pd.Series) -> Look:
    """The same by its framework alone, as where all rows are reported."""
    return _FRAMEWORKS.get(row[COLUMNS.framework], _OTHER)


def intervals(rows: pd.DataFrame, metric: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value, lower and upper end (N,) of a metric; of reported rows one standard deviation away."""
    value, low, high = (rows[column].to_numpy(float) for column in metric_columns(metric))
    if f"{metric}{SPREAD}" not in rows:
        return value, low, high
    spread = rows[f"{metric}{SPREAD}"].to_numpy(float)
    reported = (rows[COLUMNS.kind] == "reported").to_numpy()
    low, high = np.where(reported, (value - spread, value + spread), (low, high))
    return value, low, high


def question(section: pd.DataFrame) -> str:
    """A section's question and what its runs started from, in words on one line."""
    runs = leading(section)
    first = runs.iloc[0]
    if first[COLUMNS.kind] == "reported":
        return plain(f"Reported: {publication_of(runs).title}")
    names = " / ".join(sorted(runs[COLUMNS.dataset].unique()))
    asked = f"{first[COLUMNS.task]} (version {first[COLUMNS.task_version]}) on {names}"
    return plain(f"{asked}, {conditions(runs)}")


def whisker(section: pd.DataFrame) -> str:
    """What the whiskers of a section's leading rows are, in words."""
    reported = leading(section)[COLUMNS.kind].iloc[0] == "reported"
    return "standard deviation over runs" if reported else "95 % interval"


def row_labels(rows: pd.DataFrame, told: tuple[str, ...] = ()) -> list[str]:
    """Of a run the architecture and what differs between runs; of other rows their name.

    Args:
        rows: of one section.
        told: further columns to tell where runs differ in them.
    """
    is_run = rows[COLUMNS.kind] == "run"
    runs = rows[is_run]
    labels = [[arch] for arch in runs[COLUMNS.arch]]
    differing = (*told, COLUMNS.method, COLUMNS.weights_source, COLUMNS.image_size)
    for column in (*differing, COLUMNS.budget, COLUMNS.epochs):
        if runs[column].nunique() > 1:
            for label, value in zip(labels, runs[column], strict=True):
                label.append(counted(value, "epoch") if column == COLUMNS.epochs else value)
    for label, settings in zip(labels, varying_settings(runs), strict=True):
        label.append(settings)
    of_runs = iter(labels)
    named = [
        next(of_runs) if run else _name(row)
        for run, (_, row) in zip(is_run, rows.iterrows(), strict=True)
    ]
    whole = [plain(", ".join(filter(None, label))) for label in named]
    return [w if len(w) <= _LONGEST else f"{w[: _LONGEST - 1]}…" for w in whole]


def _name(row: pd.Series) -> list[str]:
    reported = row[COLUMNS.kind] == "reported"
    return [row[COLUMNS.arch], row[COLUMNS.name]] if reported else [row[COLUMNS.name]]
