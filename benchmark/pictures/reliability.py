"""Whether a confidence can be trusted: accuracy against confidence, and against coverage."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import fill

import numpy as np
import pandas as pd

from benchmark.pictures.figure import COLOURS, QUIET, drawing

_MARKERS = "os^Dv"
_GRID = {"color": "#e4e4e4", "linewidth": 0.8}
# Of a bin's width, all its bars together.
_BARS = 0.8
# A bin's accuracy of fewer images says little (ours).
_FEW = 10


def reliability_diagram(tables: Mapping[str, pd.DataFrame], title: str, target: Path) -> None:
    """Accuracy against mean confidence of every bin; below, how many images each bin has.

    A calibrated network lies on the diagonal, one that is too sure below it. The legend tells each
    series' expected calibration error, of the very bins that are drawn.

    Args:
        tables: what the series is called, such as "as trained" -> columns `low`, `high`, `n`,
            `mean_confidence`, `accuracy`, one row per bin, as of `calibration.reliability_table`.
        title: above the chart.
        target: the PNG file.

    Raises:
        ValueError: no series, too many, or one without images.
    """
    _check(tables)
    if any(table["n"].sum() == 0 for table in tables.values()):
        raise ValueError("a series has no image")
    errors = {name: _error(table) for name, table in tables.items()}
    told = ", ".join(f"{error:.3f} {name}" for name, error in errors.items())
    about = f"{title}. Accuracy by confidence; expected calibration error {told}"
    with drawing(target, 4.8, 6.2, about) as figure:
        axis, counts = figure.subplots(2, 1, sharex=True, height_ratios=(4.2, 1))
        axis.plot([0, 1], [0, 1], "--", color=QUIET, linewidth=1, label="calibrated")
        for place, (name, table) in enumerate(tables.items()):
            colour, wide = COLOURS[place], _BARS / len(tables)
            x, y = table["mean_confidence"], table["accuracy"]
            # The gaps that the error is made of.
            axis.plot([x, x], [x, y], color=colour, linewidth=1, alpha=0.45)
            there = table["n"] > 0
            look = {"color": colour, "marker": _MARKERS[place], "markersize": 6, "linewidth": 1.4}
            label = f"{name}, ECE {errors[name]:.3f}"
            axis.plot(x[there], y[there], label=label, clip_on=False, zorder=3, **look)
            few = there & (table["n"] < _FEW)
            # The layout collapses round a line without points that is not clipped.
            if few.any():
                hollow = look | {"linewidth": 0, "markerfacecolor": "white"}
                axis.plot(x[few], y[few], clip_on=False, zorder=4, **hollow)
            width = table["high"] - table["low"]
            left = table["low"] + ((1 - _BARS) / 2 + place * wide) * width
            counts.bar(left, table["n"], wide * width, align="edge", color=colour)
        axis.set_xlim(0, 1)
        axis.set_ylim(0, 1)
        axis.set_ylabel("accuracy")
        axis.grid(**_GRID)
        counts.set_ylim(bottom=0)
        counts.set_xlabel("confidence: probability of the predicted class")
        counts.set_ylabel("images")
        counts.yaxis.get_major_locator().set_params(integer=True, nbins=3)
        counts.set_xticks(np.linspace(0, 1, 6))
        counts.grid(axis="y", **_GRID)
        for each in (axis, counts):
            each.set_axisbelow(True)
        heading = f"hollow: fewer than {_FEW} images"
        figure.legend(loc="outside lower left", title=heading, alignment="left", title_fontsize=9)
        figure.suptitle(fill(title, 60), x=0.01, ha="left", fontsize=10)


def risk_coverage(tables: Mapping[str, pd.DataFrame], title: str, target: Path) -> None:
    """The error rate of the most confident images, by how many of all images these are.

    A confidence that tells the right from the wrong gives a curve that rises from the left.

    Args:
        tables: what the series is called -> column `risk` by the index `coverage` in per cent, as
            of `selective.risk_coverage_table`.
        title: above the chart.
        target: the PNG file.

    Raises:
        ValueError: no series or too many.
    """
    _check(tables)
    told = "; ".join(
        f"{name} {table['risk'].loc[80]:.3f} at 80 %, {table['risk'].loc[100]:.3f} at 100 %"
        for name, table in tables.items()
    )
    with drawing(target, 6.4, 4, f"{title}. Error rate by coverage: {told}") as figure:
        axis = figure.subplots()
        for place, (name, table) in enumerate(tables.items()):
            colour = COLOURS[place]
            axis.plot(table.index, table["risk"], color=colour, linewidth=1.8, label=name)
            axis.axhline(table["risk"].loc[100], color=colour, linewidth=0.8, linestyle="--")
        most = max(table["risk"].max() for table in tables.values())
        axis.set_xlim(0, 100)
        axis.set_ylim(0, max(1.08 * most, 0.1))
        axis.set_xlabel("coverage: the most confident images (%)")
        axis.set_ylabel("error rate of these")
        axis.grid(**_GRID)
        axis.set_axisbelow(True)
        figure.legend(
            loc="outside lower left",
            ncols=len(tables),
            title="dashed: of all images, which a confidence that tells nothing has throughout",
            alignment="left",
            title_fontsize=9,
        )
        figure.suptitle(fill(title, 90), x=0.01, ha="left", fontsize=10)


def _error(table: pd.DataFrame) -> float:
    """The expected calibration error of a table of bins."""
    gaps = (table["accuracy"] - table["mean_confidence"]).abs()
    return float((gaps * table["n"]).sum() / table["n"].sum())


def _check(tables: Mapping[str, pd.DataFrame]) -> None:
    if not 1 <= len(tables) <= len(_MARKERS):
        raise ValueError(f"{len(tables)} series are not 1 to {len(_MARKERS)}")
