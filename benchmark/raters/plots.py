"""The agreement as pictures: a heat map of annotator pairs, bars by characteristic."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from benchmark.common.files import atomic_path
from benchmark.metrics.statistics import FEW_IMAGES
from benchmark.raters.agreement import Agreement
from benchmark.raters.overlap import CHARACTERISTIC, DREW, READ

DPI = 140
_INK = "#222222"
_BLUE, _PALE = "#0072B2", "#9ecae1"
# A name with a $ in it is no formula.
_STYLE: dict[str, Any] = {"font.family": "DejaVu Sans", "font.size": 9, "text.parse_math": False}


def annotator_pairs(agreement: Agreement, target: Path) -> None:
    """The mean F1 of every two annotators; on the diagonal of one annotator's two sessions."""
    names = agreement.annotators
    values, images = _square(agreement, names)
    side = 2.4 + 0.62 * len(names)
    with _figure(target, (side + 1.0, side)) as figure:
        axes = figure.subplots()
        shown = axes.imshow(values, cmap="viridis", vmin=0, vmax=1)
        for row, column in np.ndindex(values.shape):
            value = values[row, column]
            if np.isnan(value):
                axes.text(column, row, "-", ha="center", va="center", color=_INK)
                continue
            ink = "white" if value < 0.6 else "black"
            at = {"ha": "center", "color": ink}
            axes.text(column, row - 0.1, f"{value:.2f}", va="center", fontsize=9, **at)
            axes.text(
                column, row + 0.27, f"n {images[row, column]:.0f}", va="center", fontsize=6, **at
            )
        repeated = ~np.isnan(np.diagonal(values))
        for place in np.flatnonzero(repeated):
            frame = Rectangle((place - 0.5, place - 0.5), 1, 1, fill=False, edgecolor=_INK, lw=2)
            frame.set_zorder(4)
            axes.add_patch(frame)
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
        axes.set_yticks(range(len(names)), names)
        axes.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="white", linewidth=1)
        axes.tick_params(which="both", length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        framed = "\nframed: the same annotator, first against second reading"
        axes.set_title(
            f"{agreement.dataset}: agreement of two annotators, both drew"
            + (framed if repeated.any() else ""),
            loc="left",
            fontsize=9,
            fontweight="bold",
        )
        figure.colorbar(shown, ax=axes, label="fuzzy F1, mean over n images", shrink=0.8)


def characteristics(agreement: Agreement, target: Path) -> None:
    """F1 of each characteristic with its interval: pairs that both drew it, and all readers."""
    table = agreement.table
    rows = table[(table["level"] == "characteristic") & (table["score"] == "f1")]
    drew, read = (rows[rows["counted"] == how].set_index("name") for how in (DREW, READ))
    order = drew["value"].sort_values(ascending=False, na_position="last").index
    places = np.arange(len(order))
    with _figure(target, (8.5, 1.9 + 0.42 * max(len(order), 1))) as figure:
        axes = figure.subplots()
        for shift, found, colour in ((-0.19, drew, _BLUE), (0.19, read, _PALE)):
            found = found.loc[order]
            at = places + shift
            axes.barh(at, found["value"], height=0.36, color=colour)
            axes.hlines(at, found["low"], found["high"], color=_INK, linewidth=1)
            for end in ("low", "high"):
                axes.plot(found[end], at, "|", color=_INK, markersize=5)
            for place, (value, n) in zip(at, found[["value", "n_images"]].to_numpy(), strict=True):
                number = "-" if np.isnan(value) else f"{value:.2f}"
                axes.text(
                    1.015,
                    place,
                    f"{number}  n {n:.0f}{' (few)' if n < FEW_IMAGES else ''}",
                    transform=axes.get_yaxis_transform(),
                    va="center",
                    fontsize=7,
                )
        axes.set_yticks(places, order)
        axes.set_ylim(max(len(order), 1) - 0.4, -0.6)
        axes.set_xlim(0, 1)
        axes.set_xlabel("fuzzy F1 of two annotators with 95 % interval; n images")
        axes.grid(axis="x", color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.set_title(
            f"{agreement.dataset}: agreement by characteristic", loc="left", fontweight="bold"
        )
        keys = [
            Patch(facecolor=_BLUE, label="both drew it"),
            Patch(facecolor=_PALE, label="both read the image; 0 where only one drew it"),
        ]
        figure.legend(handles=keys, loc="outside lower center", ncols=2, frameon=False)


def _square(agreement: Agreement, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Mean F1 of row and column and its number of images, (A, A) float; NaN and 0 where none."""
    pairs = agreement.pairs
    drew = pairs[(pairs["level"] != CHARACTERISTIC) & (pairs["drew"] == 2)]
    # One row per image and two annotators, so these are the means of the table.
    found = drew.groupby(["annotator_1", "annotator_2"])["f1"].agg(["mean", "count"])
    values = np.full((len(names), len(names)), np.nan)
    images = np.zeros_like(values)
    for (first, second), mean, count in found.itertuples():
        a, b = names.index(first), names.index(second)
        values[a, b] = values[b, a] = mean
        images[a, b] = images[b, a] = count
    return values, images


@contextmanager
def _figure(target: Path, size: tuple[float, float]) -> Iterator[Figure]:
    """A figure, saved atomically at the end, whatever matplotlib's settings on this machine."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        with atomic_path(target) as temporary:
            # The software's name and version would make the bytes depend on the machine.
            figure.savefig(temporary, format="png", dpi=DPI, metadata={"Software": None})
