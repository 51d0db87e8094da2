"""Charts of one run: confusion matrix, training history, insertion and deletion, randomisation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from benchmark.common.wording import counted
from benchmark.pictures.figure import COLOURS, INK, QUIET, drawing

_DASHES = ("-", "--", "-.", ":")
KEPT_EPOCH = "epoch that is kept"


def confusion(counts: np.ndarray, classes: Sequence[str], title: str, target: Path) -> None:
    """Confusion matrix (K, K) of true rows and predicted columns, shaded by row share.

    `title` is whose it is, such as network and data set.
    """
    count = len(classes)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.6 + 0.55 * count
    right = f"{int(np.trace(counts))} of {counted(int(counts.sum()), 'image')} on the diagonal"
    about = f"Confusion matrix of {count} classes, {title}: {right}"
    with drawing(target, side + 0.8, side, about) as figure:
        axis = figure.subplots()
        image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(count, count):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axis.text(column, row, counts[row, column], ha="center", va="center", color=colour)
        axis.set_xticks(range(count), classes, rotation=45, ha="right")
        axis.set_yticks(range(count), classes)
        axis.set_xlabel("predicted")
        axis.set_ylabel("true")
        heading = f"{title}: test images, shaded by share of the true class"
        figure.suptitle(fill(heading, 20 + 7 * count), x=0.01, ha="left", fontsize=10)
        figure.colorbar(image, ax=axis, label="share of the true class", shrink=0.8)


def history(epochs: Sequence[dict[str, Any]], best_epoch: int, title: str, target: Path) -> None:
    """Training loss by epoch; where there are validation scores, these and the kept epoch too."""
    with drawing(target, 6, 3.4, f"Training history, {title}") as figure:
        axis = figure.subplots()
        numbers = [epoch["epoch"] for epoch in epochs]
        axis.plot(numbers, [epoch["loss"] for epoch in epochs], color=COLOURS[0])
        axis.set_xlabel("epoch")
        axis.set_ylabel("training loss", color=COLOURS[0])
        scores = [epoch["validation"] for epoch in epochs]
        if None not in scores:
            other = axis.twinx()
            other.plot(numbers, scores, color=COLOURS[1], marker=".")
            other.axvline(best_epoch, color="grey", linewidth=0.8, linestyle="--", label=KEPT_EPOCH)
            other.set_ylabel("validation score", color=COLOURS[1])
            # Below the axes: no curve runs there.
            figure.legend(loc="outside lower right")
        axis.set_title(title)
        axis.xaxis.get_major_locator().set_params(integer=True)


def curves(shares: np.ndarray, named: Mapping[str, np.ndarray], title: str, target: Path) -> None:
    """Insertion and deletion: the mean curve of each, and a band that holds half of the images.

    Args:
        shares: (S,) the share of the pixels that are inserted or removed, increasing from 0 to 1.
        named: name -> (M, S) probability of the explained class, one row an image.
        title: above the chart.
        target: the PNG file.

    Raises:
        ValueError: nothing to draw, or arrays that do not match or hold NaN.
    """
    if not named:
        raise ValueError("no curve to draw")
    for name, values in named.items():
        if values.ndim != 2 or values.shape[1] != len(shares) or not len(values):
            raise ValueError(f"curve {name}: shape {values.shape} is not (M, {len(shares)}), M > 0")
        if not np.isfinite(values).all():
            raise ValueError(f"curve {name} holds NaN or infinity")
    areas = {name: _area(shares, values.mean(axis=0)) for name, values in named.items()}
    told = ", ".join(f"area {area:.2f} of {name}" for name, area in areas.items())
    with drawing(target, 6.4, 4, f"{title}: {told}") as figure:
        axis = figure.subplots()
        for place, (name, values) in enumerate(named.items()):
            colour, dash = COLOURS[place % len(COLOURS)], _DASHES[place % len(_DASHES)]
            low, high = np.quantile(values, (0.25, 0.75), axis=0)
            axis.fill_between(100 * shares, low, high, color=colour, alpha=0.16, linewidth=0)
            label = f"{name}, area {areas[name]:.3f}"
            axis.plot(100 * shares, values.mean(axis=0), dash, color=colour, lw=2, label=label)
        axis.set_xlim(0, 100)
        axis.set_ylim(0, 1)
        axis.set_xlabel("pixels inserted or removed, most relevant first (%)")
        axis.set_ylabel("probability of the explained class")
        axis.set_title(title)
        axis.grid(color="#e4e4e4", linewidth=0.8)
        images = len(next(iter(named.values())))
        heading = f"mean of {counted(images, 'image')}; band: half of them"
        figure.legend(
            loc="outside lower left", ncols=2, title=heading, alignment="left", title_fontsize=9
        )


def randomisation(stages: Sequence[str], similarity: np.ndarray, target: Path) -> None:
    """How alike the maps stay when the network's weights are randomised from the top layer down.

    Args:
        stages: R names, from the fewest randomised weights to all.
        similarity: (R, M) rank correlation with the trained network's maps in [-1, 1], one column
            an image; NaN where a map is constant.
        target: the PNG file.

    Raises:
        ValueError: no stage or image, or shapes that do not match.
    """
    if similarity.ndim != 2 or len(similarity) != len(stages) or similarity.size == 0:
        raise ValueError(f"similarity {similarity.shape} is not ({len(stages)} stages, images)")
    images = similarity.shape[1]
    defined = [values[np.isfinite(values)] for values in similarity]
    told = "; ".join(
        f"{stage} {np.median(v):.2f}" if len(v) else f"{stage} undefined"
        for stage, v in zip(stages, defined, strict=True)
    )
    about = f"Maps after randomising weights, median rank correlation: {told}"
    with drawing(target, 1.8 + 1.1 * len(stages), 3.8, about) as figure:
        axis = figure.subplots()
        # Points are spread sideways at random so that they do not hide each other.
        spread = np.random.default_rng(0).uniform(-0.2, 0.2, (images,))
        dots = {"color": COLOURS[0], "markersize": 3.5, "alpha": 0.35, "markeredgewidth": 0}
        for place, values in enumerate(defined):
            axis.plot(spread[: len(values)] + place, values, "o", **dots)
            if not len(values):
                axis.text(place, 0.05, "undefined", ha="center", color=QUIET, fontsize=8)
        drawn = [place for place, values in enumerate(defined) if len(values)]
        if drawn:
            line = {"color": INK, "linewidth": 1.2}
            axis.boxplot(
                [defined[place] for place in drawn],
                positions=drawn,
                widths=0.5,
                showfliers=False,
                boxprops=line,
                whiskerprops=line,
                capprops=line,
                medianprops={"color": COLOURS[1], "linewidth": 2.4},
                manage_ticks=False,
            )
        axis.axhline(0, color=QUIET, linewidth=0.8, linestyle="--")
        lost = [images - len(values) for values in defined]
        names = [
            fill(stage, 14) + (f"\n({count} of {images} constant)" if count else "")
            for stage, count in zip(stages, lost, strict=True)
        ]
        axis.set_xticks(range(len(stages)), names)
        axis.set_xlim(-0.6, len(stages) - 0.4)
        axis.set_ylim(min(-0.25, np.nanmin(similarity, initial=0) - 0.05), 1.03)
        axis.set_xlabel("randomised weights")
        axis.set_ylabel("rank correlation with\nthe trained network's maps")
        axis.set_title("Maps should change when the network forgets: nearer to 0 is better")


def _area(shares: np.ndarray, curve: np.ndarray) -> float:
    """Area below a curve by the trapezoid rule."""
    return float(np.sum(np.diff(shares) * (curve[1:] + curve[:-1]) / 2))
