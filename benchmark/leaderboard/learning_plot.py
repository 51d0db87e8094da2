"""How a section's networks learned, as a picture: small panels on the same axes."""

import math
from pathlib import Path
from textwrap import fill, shorten

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from benchmark.common.wording import plain
from benchmark.leaderboard.learning import Learning, Trace
from benchmark.leaderboard.plot_style import HEADING, Look
from benchmark.pictures.figure import drawing

# Panels of one picture; how the others learned is on the pages of their records.
MOST_PANELS = 24
# Inches, ours.
_COLUMNS, _WIDTH, _HEIGHT, _ABOUT = 4, 10.0, 1.6, 1.3
_LONGEST = 60


def draw_learning(learning: Learning, target: Path) -> None:
    """Write the first `MOST_PANELS` panels as a PNG, atomically. The same plot, the same bytes."""
    panels = learning.panels[:MOST_PANELS]
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    about = f"{learning.heading}: {learning.alt}"
    with drawing(target, _WIDTH, rows * _HEIGHT + _ABOUT, about) as figure:
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axis, (label, traces) in zip(axes.flat, panels, strict=False):
            _draw(axis, label, traces)
        for axis in axes.flat[len(panels) :]:
            axis.set_axis_off()
        # Under a panel that is missing the one above has the numbers.
        for at in range(columns):
            last = (len(panels) - 1 - at) // columns
            axes[last, at].tick_params(labelbottom=True)
            axes[last, at].set_xlabel("epoch")
        figure.supylabel(plain(f"{learning.metric}, validation"), fontsize=9)
        cut = len(learning.panels) - len(panels)
        more = f"; {cut} more on the pages of their records" if cut else ""
        figure.suptitle(fill(f"{learning.heading}: {learning.title}{more}", 105), **HEADING)
        _legend(figure, [trace.look for _, traces in panels for trace in traces])


def _draw(axis: Axes, label: str, traces: tuple[Trace, ...]) -> None:
    for trace in traces:
        axis.plot(
            range(1, len(trace.scores) + 1),
            trace.scores,
            color=trace.look.colour,
            # Of a hundred epochs the markers would hide the line.
            marker=trace.look.marker if len(trace.scores) <= 20 else "",
            markersize=4,
            linewidth=1.3,
            alpha=0.85,
        )
    words = shorten(plain(label), _LONGEST, placeholder="…")
    axis.set_title(fill(words, 32, break_on_hyphens=False), fontsize=9)
    axis.grid(axis="y", color="#e4e4e4", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def _legend(figure: Figure, looks: list[Look]) -> None:
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, markersize=4, label=look.label)
        for look in dict.fromkeys(looks)
    ]
    figure.legend(handles=handles, loc="outside lower right", ncols=len(handles), fontsize=9)
