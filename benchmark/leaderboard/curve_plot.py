"""A curve as a picture: the headline at every ratio of imbalance, a line for each row."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from benchmark.common.wording import counted, plain
from benchmark.leaderboard.curves import Curve, Line
from benchmark.metrics.names import title
from benchmark.pictures.figure import COLOURS, drawing

# Lines in one plot; the others are in the table.
MOST_LINES = 12
_MARKERS = "osD^vP*Xph<>"
_DASHES = ("-", "--", ":")
# Inches, ours: an axis of ratios, a column of what is no ratio, and between two lines' intervals.
_RATIOS, _COLUMN, _APART = 5.0, 1.2, 0.065
_WIDEST_NAME = 44


def draw_curve(curve: Curve, target: Path) -> None:
    """Write the first `MOST_LINES` lines of a curve as a PNG, atomically.

    Ratios stand on a log axis, joined by lines; profiles that are no ratio in columns beside it.
    At each place the lines stand side by side in their order, so that their intervals are seen.
    """
    lines = curve.lines[:MOST_LINES]
    headline, heading = plain(title(curve.headline)), plain(curve.title)
    drawn, profiles = counted(len(lines), "line"), ", ".join(curve.profiles.values())
    about = f"{heading}: {headline} of {drawn} at {profiles}"
    told, names = _words(curve)
    best = " ".join(names[0].split())
    # Nothing may stand above or below the legend, which makes no room for itself.
    height = max(4.8, 1.1 + 0.165 * "\n".join([told, *names]).count("\n"))
    with drawing(target, 10.5, height, f"{about}. First: {best}") as figure:
        ratios, *others = _panels(figure, curve)
        for at, line in enumerate(lines):
            offset = at - (len(lines) - 1) / 2
            aside = 10 ** (offset * _step(curve))
            places = {name: ratio * aside for name, ratio in curve.ratios.items()}
            _draw(ratios, places, line, look(at))
            for axis in others:
                places = {o: n + offset * _APART / _COLUMN for n, o in enumerate(curve.others)}
                _draw(axis, places, line, look(at) | {"linestyle": "none"})
        ratios.set_ylabel(f"{headline} with 95 % interval")
        _legend(figure, told, names)
        figure.suptitle(fill(heading, 110), x=0.01, ha="left", fontsize=11, fontweight="bold")


def _span(curve: Curve) -> tuple[float, float]:
    """The axis of ratios from and to, as decimal logarithms."""
    places = np.log10(list(curve.ratios.values()))
    beside = max(0.3, 0.25 * float(np.ptp(places)))
    return float(places.min()) - beside, float(places.max()) + beside


def _step(curve: Curve) -> float:
    """Between two lines at the same ratio, in decimal logarithms."""
    start, end = _span(curve)
    return _APART * (end - start) / _RATIOS


def _panels(figure: Figure, curve: Curve) -> list[Axes]:
    """The axes of the ratios and, where the curve has any, of what is no ratio."""
    widths = [_RATIOS, _COLUMN * len(curve.others)] if curve.others else [_RATIOS]
    axes = figure.subplots(1, len(widths), sharey=True, squeeze=False, width_ratios=widths)[0]
    first, *rest = axes
    first.set_xscale("log")
    first.set_xlim(*(10**end for end in _span(curve)))
    first.set_xticks(list(curve.ratios.values()), list(curve.ratios))
    first.xaxis.set_minor_locator(NullLocator())
    first.set_xlabel("ratio asked for (largest to rarest class)")
    # A band holds all that belongs to one ratio.
    half = 10 ** (_step(curve) * (len(curve.lines[:MOST_LINES]) + 1) / 2)
    for ratio in curve.ratios.values():
        first.axvspan(ratio / half, ratio * half, color="#f3f3f3", linewidth=0)
    for axis in rest:
        axis.set_xticks(range(len(curve.others)), [fill(n, 14) for n in curve.others.values()])
        axis.set_xlim(-0.5, len(curve.others) - 0.5)
    for axis in axes:
        axis.grid(axis="y", color="#e4e4e4", linewidth=0.8)
        axis.set_axisbelow(True)
    return list(axes)


def _draw(axis: Axes, places: Mapping[str, float], line: Line, look: Mapping[str, Any]) -> None:
    """One line's points with their intervals, `places` by profile."""
    shown = {places[name]: line.points[name] for name in places if name in line.points}
    for place, point in shown.items():
        # Not `errorbar`: it refuses a percentile interval beside its value, which happens.
        whisker = {"color": look["color"], "linewidth": 1.0, "alpha": 0.6}
        axis.plot([place] * 2, [point.low, point.high], **whisker)
    axis.plot(list(shown), [point.value for point in shown.values()], **look)


def look(at: int) -> dict[str, Any]:
    """Colour, marker and dash of a line: no two lines share the marker."""
    return {
        "color": COLOURS[at % len(COLOURS)],
        "marker": _MARKERS[at % len(_MARKERS)],
        "linestyle": _DASHES[at % len(_DASHES)],
        "linewidth": 1.3,
        "markersize": 5.5,
    }


def _words(curve: Curve) -> tuple[str, list[str]]:
    """The legend's heading and the name of each line that is drawn, wrapped."""
    shared, left_out = said(curve.shared), len(curve.lines) - MOST_LINES
    names = [wrapped(said(line.told) or shared) for line in curve.lines[:MOST_LINES]]
    if len(names) == 1:
        return "", names
    parts = [
        "highest mean over the ratios first",
        *([f"{left_out} more in the table"] if left_out > 0 else []),
    ]
    return wrapped("; ".join([*parts, *([f"all: {shared}"] if shared else [])])), names


def wrapped(words: str) -> str:
    """Words on as many lines as the legend needs."""
    return fill(words, _WIDEST_NAME, break_on_hyphens=False)


def said(told: Mapping[str, str]) -> str:
    """What a line is called by, in words."""
    words = (counted(value, "epoch") if name == "epochs" else value for name, value in told.items())
    return plain(", ".join(words))


def _legend(figure: Figure, heading: str, names: Sequence[str]) -> None:
    handles = [Line2D([], [], **look(at), label=name) for at, name in enumerate(names)]
    figure.legend(
        handles=handles,
        loc="outside center right",
        title=heading or None,
        alignment="left",
        title_fontsize=8,
        fontsize=8,
        handlelength=4,
    )
