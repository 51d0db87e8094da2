"""The growth curves as one figure: time and memory of each, logarithmic, with their fits."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from benchmark.pictures.figure import COLOURS, INK, QUIET, drawing
from benchmark.speed.growth import CURVES, Curve, Point, exponent, fitted

_IN_A_ROW = 4
_PANEL = (3.1, 2.0)  # inches
_ABOUT = "how time and memory grow with the size of the work, on logarithmic axes"


class _Cost(NamedTuple):
    """One of the two rows of panels of a curve."""

    column: str
    label: str
    word: str
    colour: str
    marker: str
    scale: float
    unit: str


_COSTS = (
    _Cost("seconds", "seconds", "time", COLOURS[0], "o", 1, "s"),
    _Cost("anonymous_bytes", "MB of its own", "memory", COLOURS[1], "s", 1e-6, "MB"),
)


def draw(points: Sequence[Point], path: Path) -> None:
    """Draw the curves that have points: time above memory, four curves side by side.

    The line is the fit to the filled marks, see `growth.fitted`; hollow ones are too small.

    Args:
        points: of any of `CURVES`, at least one.
        path: the PNG file.
    """
    names = {point.curve for point in points}
    shown = [curve for curve in CURVES if curve.name in names]
    columns = min(len(shown), _IN_A_ROW)
    bands = -(-len(shown) // _IN_A_ROW)
    width, height = columns * _PANEL[0], 2 * bands * _PANEL[1]
    with drawing(path, width, height, _ABOUT) as figure:
        grid = figure.subplots(2 * bands, columns, squeeze=False)
        for axes in grid.flat:
            axes.set_visible(False)
        for place, curve in enumerate(shown):
            band, column = divmod(place, _IN_A_ROW)
            pair = grid[2 * band, column], grid[2 * band + 1, column]
            for axes, cost in zip(pair, _COSTS, strict=True):
                axes.set_visible(True)
                _panel(axes, curve, points, cost)
            pair[0].set_title(curve.title)
            pair[0].tick_params(labelbottom=False)
            pair[1].set_xlabel(curve.unit)
            if not column:
                for axes, cost in zip(pair, _COSTS, strict=True):
                    axes.set_ylabel(cost.label)
            pair[1].sharex(pair[0])


def _panel(axes: Axes, curve: Curve, points: Sequence[Point], cost: _Cost) -> None:
    own = sorted((p for p in points if p.curve == curve.name), key=lambda point: point.size)
    kept = fitted(curve, points)
    sizes = np.array([point.size for point in own])
    values = np.array([getattr(point, cost.column) * cost.scale for point in own])
    large = np.isin(sizes, [point.size for point in kept])
    axes.set_xscale("log")
    axes.set_yscale("log")
    if len(set(sizes[large])) > 1:
        fit = exponent(sizes[large], values[large])
        axes.plot(sizes[large], fit.at(sizes[large]), color=cost.colour, linewidth=1.2)
        told = f"{cost.word} ~ {fit}"
        axes.text(0.03, 0.97, told, transform=axes.transAxes, va="top", color=INK)
    style = {"color": cost.colour, "marker": cost.marker, "linestyle": "none", "markersize": 5}
    axes.plot(sizes[~large], values[~large], markerfacecolor="white", **style)
    axes.plot(sizes[large], values[large], **style)
    _ticks(axes, sizes, values)


def _ticks(axes: Axes, sizes: np.ndarray, values: np.ndarray) -> None:
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    # Whole decades at least, so that a flat curve looks flat.
    low, high = values.min() / 1.6, values.max() * 4
    if high < 10 * low:
        low, high = low / 2, max(high, low * 10)
    axes.set_ylim(low, high)
    few = high / low < 300
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", color=QUIET, alpha=0.2, linewidth=0.6)
    axes.set_axisbelow(True)
