"""The table as pictures: one bar plot per section, best run on top, between ceilings and floors."""

from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ft2font import __freetype_version__
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MultipleLocator
from matplotlib.transforms import ScaledTranslation
from PIL import __version__ as pillow_version

from benchmark.common.wording import counted, plain
from benchmark.leaderboard.columns import COLUMNS
from benchmark.leaderboard.plot_style import (
    HEADING,
    intervals,
    look,
    question,
    row_labels,
    whisker,
)
from benchmark.leaderboard.table import leading
from benchmark.metrics.names import title
from benchmark.pictures.figure import INK, QUIET, drawing

# Lies beside the pictures and tells with what they were drawn.
DRAWN_WITH = "drawn-with.txt"
# Rows of one kind in one plot; what ranks below is in the table.
MOST_ROWS = 40
_TITLE_WIDTH = 84
_GAP = 0.5
# Columns beside the bars, in points to the right of the axes.
_SCORE, _TIED, _RANK = 8, 46, 53
_TIED_LINE: dict[str, Any] = {"color": INK, "linewidth": 3, "solid_capstyle": "butt"}


def libraries() -> str:
    """The libraries on whose versions the bytes of a picture depend."""
    of_text = f"FreeType {__freetype_version__}"
    return f"matplotlib {matplotlib.__version__}, {of_text}, Pillow {pillow_version}"


def bars(section: pd.DataFrame, target: Path) -> None:
    """Write the headline score of each row with its interval as a PNG, atomically.

    Ceilings stand above the runs and floors below. Reported rows are drawn only where there is
    nothing else, their whiskers one standard deviation long. Rows without a headline score are left
    out; with none left the plot says so. Where it is known, the rank with its interval stands
    beside the score, and a thick line joins the rows that are tied with the best. The same section
    gives the same bytes, whatever matplotlib's settings on this machine.
    """
    headline = leading(section)[COLUMNS.headline].iloc[0]
    rows = section[section[headline].notna()]
    if (section[COLUMNS.kind] == "run").any():
        rows = rows[rows[COLUMNS.kind] != "reported"]
    shown = rows.groupby(COLUMNS.kind, sort=False).head(MOST_ROWS)
    cut = len(rows) - len(shown)
    metric, heading = plain(title(headline)), question(section)
    about = f"{heading}: bars of {metric} of {counted(len(shown), 'row')}, best on top"
    with drawing(target, 8.5, 1.7 + 0.34 * max(_height(shown), 1), about) as figure:
        axes = figure.subplots()
        places = np.arange(len(shown)) + _GAP * _blocks(shown)
        _draw(axes, shown, places, headline)
        _ranks(axes, shown, places)
        told = f"{metric} with {whisker(section)}"
        _dress(axes, f"{told}; {cut} more rows in table.csv" if cut else told)
        _legend(axes, shown)
        figure.suptitle(fill(heading, _TITLE_WIDTH), **HEADING)


def _blocks(rows: pd.DataFrame) -> np.ndarray:
    """Which block of one kind each row belongs to: 0, 1, 2."""
    kinds = rows[COLUMNS.kind]
    return np.asarray((kinds != kinds.shift()).cumsum() - 1, dtype=np.int64)


def _height(rows: pd.DataFrame) -> float:
    """The rows and the gaps between their blocks, in rows."""
    return len(rows) + _GAP * (len(rows[COLUMNS.kind].unique()) - 1)


def _draw(axes: Axes, rows: pd.DataFrame, places: np.ndarray, headline: str) -> None:
    value, low, high = intervals(rows, headline)
    looks = [look(row) for row in rows.to_dict("records")]
    axes.barh(
        places,
        value,
        height=0.72,
        color=[each.colour for each in looks],
        hatch=[each.hatch for each in looks],
        edgecolor=[each.hatched for each in looks],
        linewidth=0,
    )
    # Not `errorbar`: it refuses a percentile interval that lies beside its value, which happens.
    axes.hlines(places, low, high, color=INK, linewidth=1.1)
    for end in (low, high):
        axes.plot(end, places, "|", color=INK, markersize=6, markeredgewidth=1.1)
    for line in places[1:][np.diff(_blocks(rows)) > 0]:
        axes.axhline(line - (1 + _GAP) / 2, color=INK, linewidth=0.8)
    # The numbers stand in columns of their own, clear of whiskers.
    for place, number in zip(places, value, strict=True):
        _write(axes, _SCORE, place, f"{number:.3f}")
    axes.set_yticks(places, row_labels(rows))
    for label, kind in zip(axes.get_yticklabels(), rows[COLUMNS.kind], strict=True):
        label.set_style("normal" if kind == "run" else "italic")
    axes.set_ylim(max(_height(rows), 1) - 0.4, -0.6)
    # Bars begin at 0, or their lengths would lie; a kappa may lie below it.
    ends = np.array([0.0, 1.0, *value, *low, *high])
    axes.set_xlim(np.floor(np.nanmin(ends) * 5) / 5, np.ceil(np.nanmax(ends) * 5) / 5)


def _ranks(axes: Axes, rows: pd.DataFrame, places: np.ndarray) -> None:
    """The column of ranks with their intervals, and the line beside rows tied with the best."""
    if rows[COLUMNS.rank_first].isna().all():
        return
    _write(axes, _RANK, -0.85, "rank, 95 %", color=QUIET)
    aside = ScaledTranslation(_TIED / 72, 0, axes.figure.dpi_scale_trans)
    beside = axes.get_yaxis_transform() + aside
    for place, row in zip(places, rows.to_dict("records"), strict=True):
        if pd.isna(row[COLUMNS.rank_first]):
            continue
        told = f"{row[COLUMNS.rank]} [{row[COLUMNS.rank_first]}, {row[COLUMNS.rank_last]}]"
        if row[COLUMNS.tied] != "yes":
            _write(axes, _RANK, place, told, color=QUIET)
            continue
        _write(axes, _RANK, place, told, fontweight="bold")
        # From row to row without a gap: neighbours that are tied are joined.
        ends = [place - 0.5, place + 0.5]
        axes.plot(*([1, 1], ends), transform=beside, clip_on=False, antialiased=False, **_TIED_LINE)


def _write(axes: Axes, right: float, place: float, words: str, **style: Any) -> None:
    """Words so many points to the right of the axes, at the height of a row."""
    axes.annotate(
        words,
        (1, place),
        xycoords=axes.get_yaxis_transform(),
        xytext=(right, 0),
        textcoords="offset points",
        va="center",
        annotation_clip=False,
        **style,
    )


def _dress(axes: Axes, told: str) -> None:
    axes.set_xlabel(told)
    axes.xaxis.set_major_locator(MultipleLocator(0.2))
    axes.grid(axis="x", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _legend(axes: Axes, rows: pd.DataFrame) -> None:
    if rows.empty:
        axes.text(0.5, 0.5, "no row has a score", transform=axes.transAxes, ha="center")
        return
    looks = dict.fromkeys(look(row) for row in rows.to_dict("records"))
    keys: list[Patch | Line2D] = [
        Patch(
            facecolor=each.colour,
            hatch=each.hatch,
            edgecolor=each.hatched,
            linewidth=0,
            label=each.label,
        )
        for each in looks
    ]
    if (rows[COLUMNS.tied] == "yes").any():
        keys.append(Line2D([], [], **_TIED_LINE, label="bold: tied with the best"))
    axes.figure.legend(handles=keys, loc="outside lower center", ncols=len(keys), frameon=False)
