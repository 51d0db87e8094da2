"""Rows in a plane as a picture: a number for each, a key beside it, crosses, a Pareto front."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmark.common.wording import counted, plain
from benchmark.leaderboard.label_places import beside, spread, unclear
from benchmark.leaderboard.plot_style import HEADING, Look
from benchmark.leaderboard.tradeoffs import Point, Tradeoff
from benchmark.pictures.figure import INK, QUIET, drawing

# Rows in one plot, those on the front before others; the rest is in the table.
MOST_POINTS = 40
# Inches, ours: the plane, a column of the key, a line of it, and the words beside lines.
_WIDTH, _HEIGHT, _KEY, _LINE = 6.6, 5.0, 3.4, 0.165
_LONGEST_KEY = 26
# Letters of a heading in an inch.
_LETTERS = 11.5
_WIDEST_NAME = 46
_POINT, _NUMBER = 6.0, 7.5
_CROSS: dict[str, Any] = {"linewidth": 0.9, "alpha": 0.45}
_FRONT: dict[str, Any] = {"color": INK, "linewidth": 1.1, "linestyle": (0, (4, 2))}


def draw_tradeoff(tradeoff: Tradeoff, target: Path) -> None:
    """Write a plane as a PNG, atomically.

    Points are numbered in the order of the table, the numbers placed so that they hide neither each
    other nor a point; the key says what they are. A cost is on a log axis, and the front a stepped
    line: the best score that can be had for at most so much. Of many rows the first are drawn.
    """
    front = tradeoff.front()
    drawn = _drawn(len(tradeoff.points), front)
    points = [tradeoff.points[at] for at in drawn]
    left_out = len(tradeoff.points) - len(points)
    names = [_named(at, point) for at, point in enumerate(points)]
    lines = sum(name.count("\n") + 1 for name in names)
    columns = 1 if lines <= _LONGEST_KEY else 2
    height = max(_HEIGHT, 1.6 + _LINE * lines / columns)
    width = _WIDTH + _KEY * columns + (1.2 if tradeoff.lines else 0)
    with drawing(target, width, height, f"{tradeoff.heading}: {tradeoff.alt}") as figure:
        axes = figure.subplots()
        _dress(axes, tradeoff, points)
        for point in points:
            _cross(axes, point)
        _step(axes, [tradeoff.points[at] for at in front], tradeoff)
        ends = _lines(axes, tradeoff.lines)
        _key(figure, points, names, columns, left_out, tradeoff)
        # Not over the key, which begins as high.
        room = int(_LETTERS * (width - _KEY * columns))
        heading = fill(f"{tradeoff.heading}: {tradeoff.title}", room)
        figure.suptitle(heading, **HEADING)
        # Only a figure that was laid out knows where its points lie.
        figure.draw_without_rendering()
        # What comes now moves them no more.
        figure.set_layout_engine("none")
        _number(axes, points, [drawn.index(at) for at in front if at in drawn])
        _name_lines(axes, tradeoff.lines, ends)


def _drawn(count: int, front: Sequence[int]) -> list[int]:
    """Positions of the points that are drawn, in order."""
    others = sorted(set(range(count)) - set(front))
    return sorted([*sorted(front), *others][:MOST_POINTS])


def _dress(axes: Axes, tradeoff: Tradeoff, points: Sequence[Point]) -> None:
    axes.set_xlabel(fill(plain(tradeoff.x), 80))
    axes.set_ylabel(plain(tradeoff.y))
    axes.grid(color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    heights = [*(end for point in points for end in point.y), *(y for _, y in tradeoff.lines)]
    low, high = np.nanmin(heights), np.nanmax(heights)
    room = max(0.06 * (high - low), 0.01)
    # Better is always up.
    ends = (low - room, high + room)
    axes.set_ylim(*(reversed(ends) if tradeoff.smaller else ends))
    if tradeoff.cost:
        _log(axes, [point.x[0] for point in points])


def _log(axes: Axes, places: Sequence[float]) -> None:
    """A log axis with room beside its points and numbers in words."""
    low, high = np.log10([min(places), max(places)])
    room = max(0.08 * (high - low), 0.12)
    axes.set_xscale("log")
    axes.set_xlim(10 ** (low - room), 10 ** (high + room))
    # On a short axis the usual ticks might all lie outside.
    ticks = (1, 2, 5) if high - low > 0.7 else (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
    axes.xaxis.set_major_locator(LogLocator(subs=ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _spoken(value)))


def _spoken(value: float) -> str:
    """Such as "2.5 M", "140 k" or "0.5"."""
    for size, letter in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if value >= size:
            return f"{value / (1e3 if letter == ' k' else size):g}{letter}"
    return f"{value:.4g}"


def _cross(axes: Axes, point: Point) -> None:
    look = point.look
    (x, left, right), (y, low, high) = point.x, point.y
    # Not `errorbar`: it refuses a percentile interval beside its value, which happens.
    axes.plot([x, x], [low, high], color=look.colour, **_CROSS)
    axes.plot([left, right], [y, y], color=look.colour, **_CROSS)
    axes.plot([x], [y], **_marker(look))


def _marker(look: Look) -> dict[str, Any]:
    return {
        "color": look.colour,
        "marker": look.marker,
        "markersize": _POINT,
        "markeredgecolor": "white",
        "markeredgewidth": 0.6,
        "linestyle": "none",
    }


def _step(axes: Axes, front: Sequence[Point], tradeoff: Tradeoff) -> None:
    """The best score for at most each cost, to the axis' end."""
    if front:
        places = [point.x[0] for point in front]
        heights = [point.y[0] for point in front]
        right = axes.get_xlim()[1]
        axes.step([*places, right], [*heights, heights[-1]], where="post", zorder=1.5, **_FRONT)


def _lines(axes: Axes, lines: Sequence[tuple[str, float]]) -> list[float]:
    for _, height in lines:
        axes.axhline(height, color=QUIET, linewidth=0.9, linestyle=(0, (5, 3)), zorder=1)
    # Holds the room that the names will need, so that the layout knows of it.
    if lines:
        longest = max((name for name, _ in lines), key=len)
        axes.annotate(longest, (1, 0.5), **_NAME, color="none")
    return [height for _, height in lines]


_NAME: dict[str, Any] = {
    "xycoords": "axes fraction",
    "xytext": (12, 0),
    "textcoords": "offset points",
    "va": "center",
    "fontsize": 8,
}


def _name_lines(axes: Axes, lines: Sequence[tuple[str, float]], heights: Sequence[float]) -> None:
    """The names of the lines to the right of the axes, apart from one another."""
    if not lines:
        return
    low, high = axes.get_ylim()
    wanted = [(height - low) / (high - low) for height in heights]
    least = 11 / (axes.get_window_extent().height * 72 / axes.figure.dpi)
    for (name, _), at, place in zip(lines, wanted, spread(wanted, least), strict=True):
        axes.annotate(name, (1, place), **_NAME, color=QUIET)
        axes.annotate(
            "",
            (1, at),
            xycoords="axes fraction",
            xytext=(1 + 10 / (axes.get_window_extent().width * 72 / axes.figure.dpi), place),
            textcoords="axes fraction",
            arrowprops={"arrowstyle": "-", "color": QUIET, "linewidth": 0.6},
            annotation_clip=False,
        )


def _number(axes: Axes, points: Sequence[Point], bold: Sequence[int]) -> None:
    """A number beside each point, with a line to it where it could be taken for another's."""
    places = axes.transData.transform([(p.x[0], p.y[0]) for p in points])
    places = places * 72 / axes.figure.dpi
    box = axes.get_window_extent()
    bounds = np.array([box.x0, box.y0, box.x1, box.y1]) * 72 / axes.figure.dpi
    sizes = [(0.68 * _NUMBER * len(str(at + 1)), _NUMBER) for at in range(len(points))]
    offsets = beside(places, sizes, bounds)
    line = {"arrowstyle": "-", "color": QUIET, "linewidth": 0.7, "patchA": None}
    line |= {"relpos": (0.5, 0.5), "shrinkA": 4, "shrinkB": 1}
    for at, (point, offset, led) in enumerate(
        zip(points, offsets, unclear(places, offsets), strict=True)
    ):
        axes.annotate(
            str(at + 1),
            (point.x[0], point.y[0]),
            xytext=tuple(offset),
            textcoords="offset points",
            ha="center",
            va="center_baseline",
            fontsize=_NUMBER,
            fontweight="bold" if at in bold else "normal",
            path_effects=[withStroke(linewidth=2, foreground="white")],
            arrowprops=line if led else None,
            zorder=4,
        )


def _named(at: int, point: Point) -> str:
    return fill(f"{at + 1}  {point.label}", _WIDEST_NAME, subsequent_indent="    ")


def _key(
    figure: Figure,
    points: Sequence[Point],
    names: Sequence[str],
    columns: int,
    left_out: int,
    tradeoff: Tradeoff,
) -> None:
    """What the numbers are, below it what the signs are."""
    handles = [
        Line2D([], [], **_marker(point.look), label=name)
        for point, name in zip(points, names, strict=True)
    ]
    more = f"; {counted(left_out, 'more row')} in table.csv" if left_out else ""
    figure.legend(
        handles=handles,
        loc="outside right upper",
        ncols=columns,
        title=f"in order of rank{more}" if tradeoff.ranked else f"as in the table{more}",
        alignment="left",
        title_fontsize=8,
        fontsize=8,
        handlelength=1,
        columnspacing=1,
    )
    looks = dict.fromkeys(point.look for point in points)
    signs = [Line2D([], [], **_marker(each), label=each.label) for each in looks]
    if tradeoff.cost:
        signs.append(Line2D([], [], **_FRONT, label="Pareto front (bold numbers)"))
    figure.legend(handles=signs, loc="outside lower left", ncols=len(signs), fontsize=8)
