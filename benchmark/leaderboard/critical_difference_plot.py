"""A critical-difference diagram: average ranks on an axis, rows not told apart joined by a bar."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from benchmark.common.wording import plain
from benchmark.leaderboard.critical_difference import Comparison, Entrant
from benchmark.leaderboard.plot_style import HEADING
from benchmark.metrics.names import title
from benchmark.metrics.ranks import LEVEL
from benchmark.pictures.figure import INK, QUIET, drawing

# Rows in one diagram, best first; the others are in the table.
MOST_ENTRANTS = 30
# Inches, ours; heights are places below the axis.
_WIDTH, _NAME, _BAR, _ABOVE = 11.0, 0.34, 0.11, 0.75
_WIDEST_NAME = 38
# What stands at the ends of the axis is not cut in half.
_LINE: dict[str, Any] = {"color": QUIET, "linewidth": 0.8, "clip_on": False}
_SCALE: dict[str, Any] = {"color": INK, "linewidth": 1.2, "clip_on": False}
_CLIQUE: dict[str, Any] = _SCALE | {"linewidth": 3.2, "solid_capstyle": "butt"}


def draw_comparison(comparison: Comparison, target: Path) -> None:
    """Write the diagram as a PNG, atomically.

    Rank 1 is on the left. The better half of the rows is named on the left, the other on the right,
    each name joined to its average rank on the axis; a ruler shows the critical difference.
    """
    drawn = comparison.entrants[:MOST_ENTRANTS]
    cliques = _cut(comparison.cliques, len(drawn))
    first = 0.22 + _BAR * len(cliques)
    half = -(-len(drawn) // 2)
    bottom = first + _NAME * half
    with drawing(target, _WIDTH, bottom + _ABOVE + 0.9, comparison.alt) as figure:
        axes = figure.subplots()
        axes.set_axis_off()
        ends = _axis(axes, drawn, len(comparison.entrants))
        axes.set_xlim(*ends)
        axes.set_ylim(bottom, -_ABOVE)
        _ruler(axes, comparison.difference, ends)
        for at, (best, last) in enumerate(cliques):
            reach = 0.006 * (ends[1] - ends[0])
            places = [drawn[best].average - reach, drawn[last].average + reach]
            axes.plot(places, [0.16 + _BAR * at] * 2, **_CLIQUE)
        _names(axes, drawn[:half], ends[0], first, left=True)
        # The worst stands highest, so that no two lines cross.
        _names(axes, drawn[half:][::-1], ends[1], first, left=False)
        figure.suptitle(_heading(comparison, len(drawn)), **HEADING)


def _cut(cliques: Sequence[tuple[int, int]], drawn: int) -> list[tuple[int, int]]:
    """The cliques as far as their rows are drawn."""
    kept = [(best, min(last, drawn - 1)) for best, last in cliques if best < drawn - 1]
    return [each for at, each in enumerate(kept) if not at or each[1] > kept[at - 1][1]]


def _heading(comparison: Comparison, drawn: int) -> str:
    rows, datasets = len(comparison.entrants), len(comparison.datasets)
    test = "" if comparison.friedman.p < LEVEL else ", no difference shown"
    more = f"; {rows - drawn} more rows in the table" if rows > drawn else ""
    about = (
        f"average rank by {plain(title(comparison.headline))} over N = {datasets} data sets,"
        f" k = {rows}, CD = {comparison.difference:.2f}, Friedman {comparison.p}"
        f"{test}{more}"
    )
    return "\n".join([fill(comparison.title, 110), fill(about, 110)])


def _axis(axes: Axes, drawn: Sequence[Entrant], count: int) -> tuple[float, float]:
    """The axis of average ranks; its ends, the whole range unless rows are missing."""
    last = count if len(drawn) == count else int(np.ceil(drawn[-1].average))
    ends = (1.0, float(max(last, 2)))
    axes.plot(ends, [0, 0], **_SCALE)
    step = max(1, round((ends[1] - 1) / 12))
    for rank in range(1, int(ends[1]) + 1):
        named = (rank - 1) % step == 0
        axes.plot([rank, rank], [0, -0.09 if named else -0.05], **_SCALE)
        if named:
            axes.text(rank, -0.13, str(rank), ha="center", va="bottom")
    return ends


def _ruler(axes: Axes, difference: float, ends: tuple[float, float]) -> None:
    whole = 1 + difference <= ends[1]
    right = 1 + difference if whole else ends[1]
    axes.plot([1, right], [-0.5, -0.5], **_SCALE)
    for place in (1, right) if whole else (1,):
        axes.plot([place, place], [-0.55, -0.45], **_SCALE)
    beyond = "" if whole else ", longer than the axis"
    axes.text((1 + right) / 2, -0.56, f"CD = {difference:.2f}{beyond}", ha="center", va="bottom")


def _names(axes: Axes, entrants: Sequence[Entrant], edge: float, first: float, left: bool) -> None:
    for at, entrant in enumerate(entrants):
        height = first + _NAME * (at + 0.5)
        axes.plot([entrant.average] * 2, [0, height], **_LINE)
        axes.plot([entrant.average, edge], [height] * 2, **_LINE)
        name = fill(plain(entrant.name), _WIDEST_NAME, break_on_hyphens=False)
        axes.annotate(
            f"{name}  {entrant.average:.2f}" if left else f"{entrant.average:.2f}  {name}",
            (edge, height),
            xytext=(-6 if left else 6, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            fontsize=8.5,
            linespacing=1.0,
            annotation_clip=False,
        )
