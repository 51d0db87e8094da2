"""Sheets of explanations: a few exhibits below each other, large."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from benchmark.common.wording import counted
from benchmark.pictures.exhibit import Exhibit
from benchmark.pictures.figure import DPI, INK, QUIET, drawing
from benchmark.pictures.panels import panels

# Inches. A panel is as wide as its column, but no taller than _TALLEST.
_WIDTH, _MARGIN, _GAP, _TALLEST = 11.0, 0.08, 0.08, 3.4
_PANEL = (_WIDTH - 2 * _MARGIN - 3 * _GAP) / 4
_TOP, _HEADING, _FOOT = 0.45, 0.42, 0.95
# A panel's longer side in pixels: a little finer than it is shown.
_SIDE = round(1.25 * DPI * _PANEL)
# Below the columns, for several annotators and for one.
_MANY = (
    "photograph",
    "annotators' map; lines: marked by any,\nby at least half (thick), by all",
    "network's map",
    "overlay; annotators' lines: any,\nat least half (thick)",
)
_ONE = ("photograph", "annotator's map", "network's map", "overlay; the annotator's line")


def explanations(rows: Sequence[Exhibit], target: Path, title: str = "") -> None:
    """Photograph, annotators' map, network's map and their overlay, one exhibit a row.

    Args:
        rows: at least one exhibit; few, for a sheet is for looking closely.
        target: the PNG file.
        title: what the rows have in common, such as "Best explained test images".

    Raises:
        ValueError: no exhibit.
    """
    if not rows:
        raise ValueError("a sheet needs at least one exhibit")
    tall = [min(_PANEL * r.photograph.shape[0] / r.photograph.shape[1], _TALLEST) for r in rows]
    height = (_TOP if title else 0) + sum(tall) + _HEADING * len(rows) + _FOOT
    names = ", ".join(row.id for row in rows)
    about = f"{title or 'Explanations'}: photograph, annotators' map, network's map, overlay"
    with drawing(target, _WIDTH, height, f"{about} of {names}") as sheet:
        # Every inch is known, so nothing is left to a layout engine.
        sheet.set_layout_engine("none")
        top = height
        if title:
            top -= _TOP
            place = (_MARGIN / _WIDTH, 1 - 0.12 / height)
            sheet.text(*place, title, va="top", fontsize=13, fontweight="bold")
        for row, rise in zip(rows, tall, strict=True):
            top -= _HEADING + rise
            _draw_row(sheet, row, top / height, rise / height)
        alone = all(row.annotators == 1 for row in rows)
        for column, name in enumerate(_ONE if alone else _MANY):
            place = (_left(column), (top - 0.07) / height)
            sheet.text(*place, name, va="top", fontsize=8, color=QUIET)
        bar = sheet.add_axes((_left(2), 0.38 / height, 1.2 * _PANEL / _WIDTH, 0.09 / height))
        sheet.colorbar(ScalarMappable(cmap=mpl.colormaps["viridis"]), cax=bar, location="bottom")
        place = (_left(2) - 0.1 / _WIDTH, 0.425 / height)
        told = "share of the annotators, strength of the network's map:"
        sheet.text(*place, told, ha="right", va="center", fontsize=8, color=QUIET)


def _draw_row(sheet: Figure, row: Exhibit, bottom: float, rise: float) -> None:
    """One exhibit; `bottom` and `rise` are shares of the sheet's height."""
    drawn = panels(row, _SIDE)
    images = (drawn.photograph, drawn.experts, drawn.network, drawn.overlay)
    headings = ((_diagnosis(row), INK), (_readers(row), QUIET), ("", INK), (_scores(row), INK))
    for column, (image, (heading, colour)) in enumerate(zip(images, headings, strict=True)):
        axis = sheet.add_axes((_left(column), bottom, _PANEL / _WIDTH, rise), anchor="SW")
        axis.imshow(image, interpolation="antialiased")
        axis.set_axis_off()
        place = (_left(column), bottom + rise + 0.04 / sheet.get_figheight())
        sheet.text(*place, heading, va="bottom", fontsize=9, color=colour)


def _left(column: int) -> float:
    return (_MARGIN + column * (_PANEL + _GAP)) / _WIDTH


def _diagnosis(row: Exhibit) -> str:
    verdict = "diagnosed correctly" if row.correct else f"network says {row.said}"
    return f"{_short(f'{row.id}: {row.truth}')}\n{_short(verdict)}"


def _readers(row: Exhibit) -> str:
    count = counted(row.annotators, "annotator")
    return _short(": ".join(filter(None, (count, ", ".join(row.characteristics)))))


def _scores(row: Exhibit) -> str:
    return " · ".join(f"{name} {number(value)}" for name, value in row.scores.items())


def number(value: float) -> str:
    """A score with two decimals, or a dash where it is undefined (NaN)."""
    return "-" if np.isnan(value) else f"{value:.2f}"


def _short(text: str, most: int = 44) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip(", ") + "…"
