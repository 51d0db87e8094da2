"""One score at every level below the mean: a dot with its interval for each name."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.metrics.statistics import FEW_IMAGES
from benchmark.pictures.figure import COLOURS, INK, QUIET, drawing


@dataclass(frozen=True)
class Level:
    """A score of some of the images.

    Attributes:
        level: what it is a part of, such as "characteristic"; neighbours of one level stand
            together under it.
        name: which one.
        value, low, high: the score in [0, 1] and its 95 % interval; None where undefined.
        images: how many images it is of.
    """

    level: str
    name: str
    value: float | None
    low: float | None
    high: float | None
    images: int


def levels(rows: Sequence[Level], whole: float, score: str, target: Path) -> None:
    """Dots with whiskers, a line for the mean of all images; few images are hollow and grey.

    Args:
        rows: from the top down, at least one.
        whole: the score of all images.
        score: what is shown, on the axis.
        target: the PNG file.
    """
    starts = [i for i, row in enumerate(rows) if i == 0 or rows[i - 1].level != row.level]
    # A level's heading takes a line of its own.
    places = np.arange(len(rows)) + np.cumsum([i in starts for i in range(len(rows))])
    about = f"{score} by {', '.join(rows[i].level for i in starts)}; all images {whole:.2f}"
    with drawing(target, 7.2, 1.0 + 0.21 * (places[-1] + 1), about) as figure:
        axis = figure.subplots()
        for place, row in zip(places, rows, strict=True):
            colour = QUIET if row.images < FEW_IMAGES else COLOURS[0]
            if row.low is not None and row.high is not None:
                axis.plot([row.low, row.high], [place] * 2, color=colour, linewidth=1.6)
            if row.value is not None:
                face = "white" if row.images < FEW_IMAGES else colour
                axis.plot(row.value, place, "o", color=colour, markerfacecolor=face, markersize=5)
        axis.axvline(whole, color=COLOURS[1], linewidth=1.0, linestyle="--")
        axis.set_yticks(places, [f"{row.name}  ({row.images})" for row in rows])
        for i in starts:
            heading = rows[i].level.replace("_", " ")
            axis.text(0.01, places[i] - 1, heading, color=INK, fontweight="bold", va="center")
        axis.set_ylim(places[-1] + 0.7, -0.7)
        axis.set_xlim(0, 1)
        axis.tick_params(axis="y", length=0)
        axis.set_xlabel(f"{score}, 95 % interval; dashed: all images")
        axis.set_title(
            f"In brackets the number of images; grey and hollow: fewer than {FEW_IMAGES}"
        )
