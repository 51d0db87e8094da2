"""The pictures of one run: numpy in, PNG files out. `leaderboard.plots` draws many records."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmark.files import atomic_path

DPI = 120


@dataclass(frozen=True)
class Explanation:
    """One row of an explanation sheet.

    Attributes:
        photograph: (H, W, 3) uint8 RGB.
        expert, network: (h, w) float in [0, 1], the two maps that are compared.
        title: above the row; caption: above the overlay.
    """

    photograph: np.ndarray
    expert: np.ndarray
    network: np.ndarray
    title: str
    caption: str


def explanations(rows: Sequence[Explanation], target: Path) -> None:
    """Photograph, experts' map, Grad-CAM and their overlay, one image a row."""
    figure = Figure(figsize=(11, 2.6 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 4, squeeze=False)
    for line, row in zip(axes, rows, strict=True):
        height, width = row.photograph.shape[:2]
        expert, network = (cv2.resize(m, (width, height)) for m in (row.expert, row.network))
        line[0].imshow(row.photograph)
        line[0].set_title(row.title, loc="left", fontsize=8)
        line[1].imshow(expert, cmap="viridis", vmin=0, vmax=1)
        line[1].set_title("experts' map", fontsize=8)
        line[2].imshow(network, cmap="viridis", vmin=0, vmax=1)
        line[2].set_title("Grad-CAM", fontsize=8)
        line[3].imshow(row.photograph)
        line[3].imshow(network, cmap="inferno", vmin=0, vmax=1, alpha=0.45)
        # The experts' outline: everything that anybody marked.
        line[3].contour(expert > 0, levels=[0.5], colors="white", linewidths=1.2)
        line[3].set_title(row.caption, fontsize=8)
        for axis in line:
            axis.set_axis_off()
    _save(figure, target)


def confusion(counts: np.ndarray, classes: Sequence[str], target: Path) -> None:
    """Confusion matrix (K, K) of true rows and predicted columns, shaded by row share."""
    count = len(classes)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.6 + 0.55 * count
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axis = figure.subplots()
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(count, count):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axis.text(column, row, counts[row, column], ha="center", va="center", color=colour)
    axis.set_xticks(range(count), classes, rotation=45, ha="right")
    axis.set_yticks(range(count), classes)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    figure.colorbar(image, ax=axis, label="share of the true class", shrink=0.8)
    _save(figure, target)


def history(epochs: Sequence[dict[str, float]], best_epoch: int, title: str, target: Path) -> None:
    """Training loss and validation score by epoch, the kept epoch marked."""
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axis = figure.subplots()
    numbers = [epoch["epoch"] for epoch in epochs]
    axis.plot(numbers, [epoch["loss"] for epoch in epochs], color="#0072B2", label="training loss")
    axis.set_xlabel("epoch")
    axis.set_ylabel("training loss", color="#0072B2")
    other = axis.twinx()
    scores = [epoch["validation"] for epoch in epochs]
    other.plot(numbers, scores, color="#D55E00", marker=".", label="validation score")
    other.axvline(best_epoch, color="grey", linewidth=0.8, linestyle="--")
    other.set_ylabel("validation score", color="#D55E00")
    axis.set_title(title, fontsize=10)
    axis.xaxis.get_major_locator().set_params(integer=True)
    _save(figure, target)


def _save(figure: Figure, target: Path) -> None:
    FigureCanvasAgg(figure)
    with atomic_path(target) as temporary:
        # No date in the file: the same numbers give the same bytes.
        figure.savefig(temporary, dpi=DPI, metadata={"Software": None})
