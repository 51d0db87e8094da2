"""A label-fraction curve as a picture: a panel for each network, a line for each method."""

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
from benchmark.leaderboard.curve_plot import look, said, wrapped
from benchmark.leaderboard.fractions import REFERENCE, LabelCurve, Line, Reference
from benchmark.metrics.names import title
from benchmark.pictures.figure import COLOURS, INK, QUIET, drawing

# Methods and networks in one picture; the others are in the table.
MOST_METHODS, MOST_PANELS, _COLUMNS = 12, 6, 3
# Inches, ours: one panel alone, one of several, the legend.
_ALONE, _PANEL, _LEGEND = (6.8, 4.8), (4.2, 3.6), 3.6
# Between two lines' intervals at one fraction, at most, as a share of the axis; and, of that, from
# a line's mean to the dots of its seeds.
_APART, _ASIDE = 0.016, 0.45
# Which look is black.
_INK = COLOURS.index("#000000")
_FULL: dict[str, Any] = {"color": INK, "linestyle": (0, (6, 3)), "linewidth": 1.4}
_SINGLE: dict[str, Any] = {"marker": ".", "markersize": 4, "linestyle": "none", "alpha": 0.6}


def draw_label_curve(curve: LabelCurve, target: Path) -> None:
    """Write a curve as a PNG, atomically.

    Label fractions stand on a log axis. Rows of one network share a panel and its dashed reference;
    a method looks the same in every panel. The lines stand side by side at each fraction so that
    their intervals are seen, with the single seeds as dots to the right of their mean. A line is
    broken where a fraction has no score. Of many rows the best by area are drawn: the first
    `MOST_METHODS` methods, `supervised` always among them, on the first `MOST_PANELS` networks.
    """
    panels = _panels(curve)
    drawn = [line for lines in panels.values() for line in lines]
    names = [line.method for line in curve.lines if line in drawn]
    looks = _looks(list(dict.fromkeys(names)))
    metric, heading = plain(title(curve.metric)), plain(curve.title)
    columns = min(len(panels), _COLUMNS)
    rows = -(-len(panels) // columns)
    width, height = _ALONE if len(panels) == 1 else (_PANEL[0] * columns, 0.6 + _PANEL[1] * rows)
    told, keys = _told(curve, drawn), _keys(looks, drawn)
    words = "\n".join([told, *(str(key.get_label()) for key in keys)])
    # Nothing may stand above or below the legend, which makes no room for itself.
    height = max(height, 1.1 + 0.165 * words.count("\n"))
    about = (
        f"{heading}: {metric} of {counted(len(drawn), 'line')} at {', '.join(curve.fractions)} %"
        f" of the labels. First: {plain(drawn[0].method)}"
    )
    with drawing(target, width + _LEGEND, height, about) as figure:
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axis, (network, lines) in zip(axes, panels.items(), strict=False):
            _dress(axis, curve, len(looks))
            axis.set_title(fill(network, 48))
            _reference(axis, lines[0].reference)
            for line in lines:
                place = list(looks).index(line.method) - (len(looks) - 1) / 2
                _draw(axis, curve, line, looks[line.method], place * _step(curve, len(looks)))
        for axis in axes[len(panels) :]:
            axis.set_visible(False)
        for axis in axes[: len(panels)][-columns:]:
            axis.tick_params(labelbottom=True)
        figure.supxlabel("labelled share of the training images, %", fontsize=9)
        figure.supylabel(f"{metric} with 95 % interval", fontsize=9)
        _legend(figure, told, keys)
        figure.suptitle(fill(heading, 110), x=0.01, ha="left", fontsize=11, fontweight="bold")


def _panels(curve: LabelCurve) -> dict[str, list[Line]]:
    """By network the lines that are drawn, in the order of their ranks."""
    found: dict[str, list[Line]] = {}
    for line in curve.lines:
        if any(np.isfinite(point.value) for point in line.points.values()):
            found.setdefault(said(line.network), []).append(line)
    first = dict(list(found.items())[:MOST_PANELS])
    ranked = [line for line in curve.lines if line in first.get(said(line.network), [])]
    every = list(dict.fromkeys(line.method for line in ranked))
    names = every[:MOST_METHODS]
    if REFERENCE in every[MOST_METHODS:]:
        names[-1] = REFERENCE
    kept = {name: [line for line in lines if line.method in names] for name, lines in first.items()}
    return {name: lines for name, lines in kept.items() if lines}


def _looks(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """How each method's line is drawn: `supervised`, which the others must beat, in ink."""
    others = iter(at for at in range(MOST_METHODS) if at != _INK or REFERENCE not in names)
    return {name: look(_INK if name == REFERENCE else next(others)) for name in names}


def _span(curve: LabelCurve) -> tuple[float, float]:
    """The axis of fractions from and to, as decimal logarithms."""
    places = np.log10(list(curve.fractions.values()))
    beside = max(0.15, 0.08 * float(np.ptp(places)))
    return float(places.min()) - beside, float(places.max()) + beside


def _step(curve: LabelCurve, count: int) -> float:
    """Between two of `count` lines at one fraction, in decimal logarithms."""
    start, end = _span(curve)
    gaps = np.diff(np.log10(list(curve.fractions.values())))
    return float(min([_APART * (end - start), *(0.85 * gaps / (count + 1))]))


def _dress(axis: Axes, curve: LabelCurve, count: int) -> None:
    axis.set_xscale("log")
    axis.set_xlim(*(10**end for end in _span(curve)))
    axis.set_xticks(list(curve.fractions.values()), list(curve.fractions))
    axis.xaxis.set_minor_locator(NullLocator())
    # A band holds all that belongs to one fraction.
    half = 10 ** (_step(curve, count) * (count + 1) / 2)
    for fraction in curve.fractions.values():
        axis.axvspan(fraction / half, fraction * half, color="#f3f3f3", linewidth=0)
    axis.grid(axis="y", color="#e4e4e4", linewidth=0.8)
    axis.set_axisbelow(True)


def _reference(axis: Axes, reference: Reference | None) -> None:
    if reference is not None:
        axis.axhline(reference.value, **_FULL)
        return
    words = "no supervised run with all labels"
    axis.text(0.99, 0.01, words, transform=axis.transAxes, ha="right", va="bottom", color=QUIET)


def _draw(
    axis: Axes, curve: LabelCurve, line: Line, style: Mapping[str, Any], offset: float
) -> None:
    """One line, `offset` to the right of the fractions, in decimal logarithms."""
    places = {name: fraction * 10**offset for name, fraction in curve.fractions.items()}
    aside = 10 ** (_ASIDE * _step(curve, 1))
    whisker = {"color": style["color"], "linewidth": 1.0, "alpha": 0.6}
    for name, place in places.items():
        point = line.points[name]
        # Not `errorbar`: it refuses a percentile interval beside its value, which happens.
        axis.plot([place] * 2, [point.low, point.high], **whisker)
        if len(line.seeds) > 1:
            dots = [place * aside] * len(point.singles)
            axis.plot(dots, point.singles, color=style["color"], **_SINGLE)
    axis.plot(list(places.values()), [line.points[name].value for name in places], **style)


def _told(curve: LabelCurve, drawn: Sequence[Line]) -> str:
    """The legend's heading."""
    left_out = len(curve.lines) - len(drawn)
    parts = [
        *(["best by area first"] if len(drawn) > 1 else []),
        *([f"{left_out} more in the table"] if left_out else []),
        *([f"all: {said(curve.shared)}"] if curve.shared else []),
    ]
    return wrapped("; ".join(parts))


def _keys(looks: Mapping[str, Mapping[str, Any]], drawn: Sequence[Line]) -> list[Line2D]:
    """What the legend explains: methods, then the reference, then the dots."""
    keys = [Line2D([], [], **style, label=wrapped(plain(name))) for name, style in looks.items()]
    full = [line.reference for line in drawn if line.reference is not None]
    if full:
        # In several panels the value is another in each.
        value = f": {full[0].value:.3f}" if len(set(full)) == 1 else ""
        keys.append(Line2D([], [], **_FULL, label=f"supervised, all labels{value}"))
    if any(len(line.seeds) > 1 for line in drawn):
        keys.append(Line2D([], [], **_SINGLE, color=QUIET, label="a single seed"))
    return keys


def _legend(figure: Figure, heading: str, keys: Sequence[Line2D]) -> None:
    figure.legend(
        handles=list(keys),
        loc="outside center right",
        title=heading or None,
        alignment="left",
        title_fontsize=8,
        fontsize=8,
        handlelength=4,
    )
