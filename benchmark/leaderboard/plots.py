"""The table as pictures: one bar plot per section, best run on top, between ceilings and floors."""

from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ft2font import __freetype_version__
from matplotlib.patches import Patch
from PIL import __version__ as pillow_version

from benchmark.files import atomic_path
from benchmark.leaderboard.columns import COLUMNS, SPREAD, metric_columns
from benchmark.leaderboard.published import publication
from benchmark.leaderboard.table import (
    conditions,
    counted,
    leading,
    plain,
    title,
    varying_settings,
)

# Lies beside the pictures and tells with what they were drawn.
DRAWN_WITH = "drawn-with.txt"
# Rows of one kind in one plot; what ranks below is in the table.
MOST_ROWS = 40
DPI = 140
_LONGEST_LABEL = 70
_TITLE_WIDTH = 84
# Okabe and Ito's palette, which survives every common colour blindness; hatching survives print.
_FRAMEWORKS = {
    "torch": ("PyTorch", "#0072B2", "", "white"),
    "keras": ("Keras", "#E69F00", "///", "white"),
}
_INK = "#222222"
_OTHER = ("other", "#999999", "...", "white")
# What is no run is drawn pale, between lines.
_UNRANKED = {
    "ceiling": ("ceiling: experts", "#DDEFE8", "xxx", "#999999"),
    "floor": ("floor: no trained network", "#EEEEEE", "...", "#999999"),
    "reported": ("reported, not run here", "#DDDDDD", "", "#999999"),
}
_GAP = 0.5
# A name with a $ in it is no formula.
_STYLE: dict[str, Any] = {"font.family": "DejaVu Sans", "font.size": 9, "text.parse_math": False}


def libraries() -> str:
    """The libraries on whose versions the bytes of a picture depend."""
    of_text = f"FreeType {__freetype_version__}"
    return f"matplotlib {matplotlib.__version__}, {of_text}, Pillow {pillow_version}"


def bars(section: pd.DataFrame, target: Path) -> None:
    """Write the headline score of each row with its interval as a PNG, atomically.

    Ceilings stand above the runs and floors below. Reported rows are drawn only where there is
    nothing else, their whiskers one standard deviation long. Rows without a headline score are left
    out; with none left the plot says so. The same section gives the same bytes, whatever
    matplotlib's settings on this machine.
    """
    headline = leading(section)[COLUMNS.headline].iloc[0]
    rows = section[section[headline].notna()]
    if (section[COLUMNS.kind] == "run").any():
        rows = rows[rows[COLUMNS.kind] != "reported"]
    shown = rows.groupby(COLUMNS.kind, sort=False).head(MOST_ROWS)
    cut = len(rows) - len(shown)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        figure = Figure(figsize=(8.5, 1.7 + 0.34 * max(_height(shown), 1)), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        _draw(axes, shown, headline)
        _dress(axes, section, shown, f"{cut} more rows in table.csv" if cut > 0 else "")
        with atomic_path(target) as temporary:
            # The software's name and version would make the bytes depend on the machine.
            figure.savefig(temporary, format="png", dpi=DPI, metadata={"Software": None})


def _blocks(rows: pd.DataFrame) -> np.ndarray:
    """Which block of one kind each row belongs to: 0, 1, 2."""
    kinds = rows[COLUMNS.kind]
    return np.asarray((kinds != kinds.shift()).cumsum() - 1, dtype=np.int64)


def _height(rows: pd.DataFrame) -> float:
    """The rows and the gaps between their blocks, in rows."""
    return len(rows) + _GAP * (len(rows[COLUMNS.kind].unique()) - 1)


def _draw(axes: Axes, rows: pd.DataFrame, headline: str) -> None:
    blocks = _blocks(rows)
    places = np.arange(len(rows)) + _GAP * blocks
    value, low, high = (rows[c].to_numpy(float) for c in metric_columns(headline))
    if f"{headline}{SPREAD}" in rows:
        spread = rows[f"{headline}{SPREAD}"].to_numpy(float)
        reported = (rows[COLUMNS.kind] == "reported").to_numpy()
        low, high = np.where(reported, (value - spread, value + spread), (low, high))
    looks = [_look(k, f) for k, f in zip(rows[COLUMNS.kind], rows[COLUMNS.framework], strict=True)]
    axes.barh(
        places,
        value,
        height=0.72,
        color=[colour for _, colour, _, _ in looks],
        hatch=[hatch for _, _, hatch, _ in looks],
        edgecolor=[edge for _, _, _, edge in looks],
        linewidth=0,
    )
    # Not `errorbar`: it refuses a percentile interval that lies beside its value, which happens.
    axes.hlines(places, low, high, color=_INK, linewidth=1.1)
    for end in (low, high):
        axes.plot(end, places, "|", color=_INK, markersize=6, markeredgewidth=1.1)
    for line in places[1:][np.diff(blocks) > 0]:
        axes.axhline(line - (1 + _GAP) / 2, color=_INK, linewidth=0.8)
    # The numbers stand in a column of their own, clear of whiskers.
    for place, number in zip(places, value, strict=True):
        axes.text(1.015, place, f"{number:.3f}", transform=axes.get_yaxis_transform(), va="center")
    axes.set_yticks(places, _labels(rows))
    for label, kind in zip(axes.get_yticklabels(), rows[COLUMNS.kind], strict=True):
        label.set_style("normal" if kind == "run" else "italic")
    axes.set_ylim(max(_height(rows), 1) - 0.4, -0.6)
    # Bars begin at 0, or their lengths would lie.
    axes.set_xlim(0, 1)


def _look(kind: str, framework: str) -> tuple[str, str, str, str]:
    """Label, colour, hatching and its colour, of a row."""
    return _UNRANKED[kind] if kind in _UNRANKED else _FRAMEWORKS.get(framework, _OTHER)


def _dress(axes: Axes, section: pd.DataFrame, rows: pd.DataFrame, remark: str) -> None:
    runs = leading(section)
    first = runs.iloc[0]
    if first[COLUMNS.kind] == "reported":
        name, whisker = f"Reported: {publication().title}", "standard deviation over runs"
    else:
        names = " / ".join(sorted(runs[COLUMNS.dataset].unique()))
        name = f"{first[COLUMNS.task]} (version {first[COLUMNS.task_version]}) on {names}"
        name, whisker = f"{name}, {conditions(runs)}", "95 % interval"
    heading = fill(plain(name), _TITLE_WIDTH)
    axes.figure.suptitle(heading, x=0.01, ha="left", fontsize=11, fontweight="bold")
    about = f"{plain(title(first[COLUMNS.headline]))} with {whisker}"
    axes.set_xlabel(f"{about}; {remark}" if remark else about)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.grid(axis="x", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    kinds = zip(rows[COLUMNS.kind], rows[COLUMNS.framework], strict=True)
    looks = dict.fromkeys(_look(kind, framework) for kind, framework in kinds)
    keys = [
        Patch(facecolor=colour, hatch=hatch, edgecolor=edge, linewidth=0, label=label)
        for label, colour, hatch, edge in looks
    ]
    if keys:
        axes.figure.legend(handles=keys, loc="outside lower center", ncols=len(keys), frameon=False)
    else:
        axes.text(0.5, 0.5, "no row has a score", transform=axes.transAxes, ha="center")


def _labels(rows: pd.DataFrame) -> list[str]:
    """Of a run the architecture and what differs between runs; of other rows their name."""
    is_run = rows[COLUMNS.kind] == "run"
    runs = rows[is_run]
    labels = [[arch] for arch in runs[COLUMNS.arch]]
    told = (COLUMNS.method, COLUMNS.weights_source, COLUMNS.image_size)
    for column in (*told, COLUMNS.budget, COLUMNS.epochs):
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
    return [plain(", ".join(filter(None, label)))[:_LONGEST_LABEL] for label in named]


def _name(row: pd.Series) -> list[str]:
    reported = row[COLUMNS.kind] == "reported"
    return [row[COLUMNS.arch], row[COLUMNS.name]] if reported else [row[COLUMNS.name]]
