"""A sheet of explained predictions: each test image beside what speaks for and against its class.

Attributions are signed: orange for, purple against, white neither. A map, of at least 0, lies over
the photograph. Each is scaled to its own largest value, since the logits of two images have nothing
in common (ours).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from benchmark.pictures.figure import INK, QUIET, drawing

# Inches.
_COLUMNS, _SIDE, _HEADING, _FOOT = 2, 2.5, 0.62, 0.85
_SIGNED, _UNSIGNED, _OVER = "PuOr_r", "viridis", 0.55


@dataclass(frozen=True, eq=False)
class Explained:
    """One test image and the explanation of its predicted class.

    Attributes:
        id: of the image.
        true: name of its class.
        predicted: name of the class that the network says.
        probability: of that class, by the network.
        photograph: (H, W, 3) uint8 RGB.
        values: (h, w) float, over all of the photograph: signed shares of the predicted class's
            logit, or a map of at least 0.
        signed: whether they are such shares.
    """

    id: str
    true: str
    predicted: str
    probability: float
    photograph: np.ndarray
    values: np.ndarray
    signed: bool = True


def explained_predictions(exhibits: Sequence[Explained], target: Path, title: str) -> None:
    """Photograph and signed map, two exhibits a row.

    Args:
        exhibits: at least one.
        target: the PNG file.
        title: above the sheet.

    Raises:
        ValueError: no exhibit.
    """
    if not exhibits:
        raise ValueError("a sheet needs at least one exhibit")
    rows = -(-len(exhibits) // _COLUMNS)
    height = rows * (_SIDE + _HEADING) + _FOOT
    names = ", ".join(one.id for one in exhibits)
    with drawing(target, 2 * _COLUMNS * _SIDE, height, f"{title}: {names}") as figure:
        axes = figure.subplots(rows, 2 * _COLUMNS, squeeze=False).reshape(-1, 2)
        for (left, right), one in zip(axes, exhibits, strict=False):
            _draw(left, right, one)
        for axis in axes.flat:
            axis.set_axis_off()
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        signed = exhibits[0].signed
        least, colours = (-1, _SIGNED) if signed else (0, _UNSIGNED)
        ends = {-1: "against", 0: "neither" if signed else "nothing", 1: "for the predicted class"}
        ticks = [value for value in ends if value >= least]
        bar = figure.colorbar(
            ScalarMappable(Normalize(least, 1), mpl.colormaps[colours]),
            ax=list(axes.flat),
            location="bottom",
            shrink=0.4,
            aspect=40,
            ticks=ticks,
        )
        bar.ax.set_xticklabels([ends[value] for value in ticks])
        bar.set_label("each map by its own largest value", color=QUIET, fontsize=8)


def _draw(left: Axes, right: Axes, one: Explained) -> None:
    most = float(np.abs(one.values).max()) or 1.0
    left.imshow(one.photograph, interpolation="antialiased")
    if one.signed:
        right.imshow(one.values, cmap=_SIGNED, vmin=-most, vmax=most, interpolation="antialiased")
    else:
        height, width = one.photograph.shape[:2]
        right.imshow(one.photograph, interpolation="antialiased")
        right.imshow(
            one.values,
            cmap=_UNSIGNED,
            vmin=0,
            vmax=most,
            alpha=_OVER,
            interpolation="bilinear",
            extent=(-0.5, width - 0.5, height - 0.5, -0.5),
        )
    correct = one.true == one.predicted
    verdict = "correct" if correct else f"true: {one.true}"
    left.set_title(f"{_short(one.id)}\n{_short(verdict)}", fontsize=9, color=QUIET)
    right.set_title(
        f"{_short(one.predicted)}\np = {one.probability:.2f}",
        fontsize=9,
        color=INK,
        fontweight="normal" if correct else "bold",
    )


def _short(text: str, most: int = 30) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
