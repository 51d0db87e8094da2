"""The table as pictures: one bar plot per section, best row on top."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from benchmark.files import atomic_path
from benchmark.leaderboard.table import (
    COLUMNS,
    metric_columns,
    plain,
    pretraining,
    title,
    varying_settings,
)

# Rows in one plot; what ranks below is in the table.
MOST_ROWS = 40
DPI = 140
_LONGEST_LABEL = 70
# Okabe and Ito's palette, which survives every common colour blindness; hatching survives print.
_FRAMEWORKS = {"torch": ("PyTorch", "#0072B2", ""), "keras": ("Keras", "#E69F00", "///")}
_INK = "#222222"
_OTHER = ("other", "#999999", "...")
# Scores that frame the headline: what ignoring the image gives, and what people reach.
_FRAME = {
    "explainability_f1": (
        ("gaussian_f1", "<", "floor: centred Gaussian"),
        ("annotators_f1", ">", "ceiling: annotators"),
    )
}
# A name with a $ in it is no formula.
_STYLE: dict[str, Any] = {"font.family": "DejaVu Sans", "font.size": 9, "text.parse_math": False}


def bars(section: pd.DataFrame, target: Path) -> None:
    """Write the headline score of each row with its interval as a PNG, atomically.

    Rows without a headline score are left out; with none left the plot says so. The same section
    gives the same bytes, whatever matplotlib's settings on this machine.
    """
    headline = section[COLUMNS.headline].iloc[0]
    rows = section[section[headline].notna()]
    cut = len(rows) - MOST_ROWS
    rows = rows.head(MOST_ROWS)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        figure = Figure(figsize=(8.5, 1.7 + 0.34 * max(len(rows), 1)), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        _draw(axes, rows, headline)
        _dress(axes, section, headline, f"{cut} more rows in table.csv" if cut > 0 else "")
        with atomic_path(target) as temporary:
            # The software's name and version would make the bytes depend on the machine.
            figure.savefig(temporary, format="png", dpi=DPI, metadata={"Software": None})


def _draw(axes: Axes, rows: pd.DataFrame, headline: str) -> None:
    places = np.arange(len(rows))
    value, low, high = (rows[c].to_numpy(float) for c in metric_columns(headline))
    looks = [_FRAMEWORKS.get(f, _OTHER) for f in rows[COLUMNS.framework]]
    axes.barh(
        places,
        value,
        height=0.72,
        color=[colour for _, colour, _ in looks],
        hatch=[hatch for _, _, hatch in looks],
        edgecolor="white",
        linewidth=0,
    )
    # Not `errorbar`: it refuses a percentile interval that lies beside its value, which happens.
    axes.hlines(places, low, high, color=_INK, linewidth=1.1)
    for end in (low, high):
        axes.plot(end, places, "|", color=_INK, markersize=6, markeredgewidth=1.1)
    for metric, mark, _ in _frame(rows, headline):
        axes.plot(rows[metric], places, mark, color=_INK, markerfacecolor="white", markersize=5)
    # The numbers stand in a column of their own, clear of whiskers and marks.
    for place, number in zip(places, value, strict=True):
        axes.text(1.015, place, f"{number:.3f}", transform=axes.get_yaxis_transform(), va="center")
    axes.set_yticks(places, _labels(rows))
    axes.set_ylim(max(len(rows), 1) - 0.4, -0.6)
    # Bars begin at 0, or their lengths would lie.
    axes.set_xlim(0, 1)


def _dress(axes: Axes, section: pd.DataFrame, headline: str, remark: str) -> None:
    first = section.iloc[0]
    names = " / ".join(sorted(section[COLUMNS.dataset].unique()))
    about = f"{first[COLUMNS.task]} (version {first[COLUMNS.task_version]}) on {names}"
    axes.set_title(
        plain(f"{about}, {pretraining(section)}"),
        loc="left",
        fontsize=11,
        fontweight="bold",
    )
    about = f"{plain(title(headline))} with 95 % interval"
    axes.set_xlabel(f"{about}; {remark}" if remark else about)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.grid(axis="x", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    keys: list[Patch | Line2D] = []
    for name in sorted(section[COLUMNS.framework].unique(), reverse=True):
        label, colour, hatch = _FRAMEWORKS.get(name, _OTHER)
        keys.append(Patch(facecolor=colour, hatch=hatch, edgecolor="white", label=label))
    for _, mark, label in _frame(section, headline):
        keys.append(
            Line2D([], [], color=_INK, marker=mark, markerfacecolor="white", lw=0, label=label)
        )
    if section[headline].notna().any():
        axes.figure.legend(handles=keys, loc="outside lower center", ncols=len(keys), frameon=False)
    else:
        axes.text(0.5, 0.5, "no row has a score", transform=axes.transAxes, ha="center")


def _frame(rows: pd.DataFrame, headline: str) -> list[tuple[str, str, str]]:
    return [
        entry
        for entry in _FRAME.get(headline, ())
        if entry[0] in rows.columns and rows[entry[0]].notna().any()
    ]


def _labels(rows: pd.DataFrame) -> list[str]:
    """The architecture, and of the rest what differs between the rows."""
    labels = [[arch] for arch in rows[COLUMNS.arch]]
    told = (COLUMNS.method, COLUMNS.weights_source, COLUMNS.image_size)
    for column in (*told, COLUMNS.budget, COLUMNS.epochs):
        if rows[column].nunique() > 1:
            for label, value in zip(labels, rows[column], strict=True):
                label.append(f"{value} epochs" if column == COLUMNS.epochs else value)
    for label, settings in zip(labels, varying_settings(rows), strict=True):
        label.append(settings)
    return [plain(", ".join(filter(None, label)))[:_LONGEST_LABEL] for label in labels]
