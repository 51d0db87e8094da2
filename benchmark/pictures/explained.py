"""A sheet of explained predictions: each test image beside what speaks for and against its class.

The map is signed: orange for, purple against, white neither; scaled per image to its own largest
value, since the logits of two images have nothing in common (ours).
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
_SIGNED = "PuOr_r"


@dataclass(frozen=True, eq=False)
class Explained:
    """One test image and the explanation of its predicted class.

    Attributes:
        id: of the image.
        true: name of its class.
        predicted: name of the class that the network says.
        probability: of that class, by the network.
        photograph: (H, W, 3) uint8 RGB.
        values: (H, W) float, signed shares of the predicted class's logit.
    """

    id: str
    true: str
    predicted: str
    probability: float
    photograph: np.ndarray
    values: np.ndarray


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
        scale = ScalarMappable(Normalize(-1, 1), mpl.colormaps[_SIGNED])
        bar = figure.colorbar(
            scale, ax=list(axes.flat), location="bottom", shrink=0.4, aspect=40, ticks=[-1, 0, 1]
        )
        bar.ax.set_xticklabels(["against", "neither", "for the predicted class"])
        bar.set_label("each map by its own largest value", color=QUIET, fontsize=8)


def _draw(left: Axes, right: Axes, one: Explained) -> None:
    most = float(np.abs(one.values).max()) or 1.0
    left.imshow(one.photograph, interpolation="antialiased")
    right.imshow(one.values, cmap=_SIGNED, vmin=-most, vmax=most, interpolation="antialiased")
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
