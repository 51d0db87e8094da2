"""A comparison as pictures: how sure the difference is, and the images that decide it."""

from pathlib import Path
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from benchmark.common.wording import plain
from benchmark.comparison.sides import Comparison
from benchmark.data.dataset import Dataset
from benchmark.metrics.names import title
from benchmark.pictures.figure import COLOURS, INK, QUIET, drawing

# Inches.
_COLUMNS, _SIDE, _HEADING = 4, 2.3, 0.5
_WIDTH, _HEIGHT = 10.0, 4.4
# Bars of each side in the plot of influence.
_BARS = 12
_FIRST, _SECOND = COLOURS[0], COLOURS[1]


def difference_plot(found: Comparison, about: str, target: Path) -> Path:
    """The resamples of the difference beside the images that weigh most in it."""
    with drawing(target, _WIDTH, _HEIGHT, about) as figure:
        figure.suptitle(fill(plain(about), 130), x=0.01, ha="left", fontsize=9)
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        _resamples(left, found)
        _bars(right, found.images["influence"])
    return target


def deciding_images(found: Comparison, photographs: Dataset, most: int, target: Path) -> Path:
    """The photographs that weigh most for the first side, then those for the second.

    Args:
        found: the comparison.
        photographs: the data set with its images.
        most: how many of each side.
        target: the PNG file.

    Raises:
        DataError: a photograph cannot be read.
    """
    parts = [
        (name, colour, rows)
        for name, colour, rows in zip(
            ("for the first", "for the second"),
            (_FIRST, _SECOND),
            deciding(found.images, most),
            strict=True,
        )
        if len(rows)
    ]
    rows = sum(-(-len(part) // _COLUMNS) for _, _, part in parts)
    height = rows * (_SIDE + _HEADING) + 0.5 * len(parts) + 0.2
    about = f"Test images that decide the difference in {title(found.headline)}"
    with drawing(target, _COLUMNS * _SIDE + 0.4, max(height, 1.5), about) as figure:
        figure.suptitle(about, x=0.01, ha="left", fontsize=12, fontweight="bold")
        key = "p: of the true class, by the first and by the second"
        figure.supxlabel(key, x=0.01, ha="left", fontsize=8, color=QUIET)
        if not parts:
            figure.text(0.5, 0.5, "no image weighs for either side", ha="center")
            return target
        boxes = figure.subfigures(
            len(parts), 1, height_ratios=[-(-len(p) // _COLUMNS) for _, _, p in parts]
        )
        for box, (name, colour, part) in zip(np.atleast_1d(boxes), parts, strict=True):
            box.suptitle(name, x=0.01, ha="left", fontsize=10, color=colour, fontweight="bold")
            grid = box.subplots(-(-len(part) // _COLUMNS), _COLUMNS, squeeze=False)
            for axes in grid.flat:
                axes.set_axis_off()
            for axes, (sample, row) in zip(grid.flat, part.iterrows(), strict=False):
                axes.imshow(photographs.image(str(sample)), interpolation="antialiased")
                axes.set_title(_told(str(sample), row), fontsize=8, color=INK)
    return target


def deciding(images: pd.DataFrame, most: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The images whose absence moves the difference most: those for the first, for the second."""
    ordered = images.sort_values("influence", ascending=False, kind="stable")
    return ordered[ordered["influence"] > 0].head(most), ordered[ordered["influence"] < 0].tail(
        most
    )[::-1]


def _resamples(axes: Axes, found: Comparison) -> None:
    drawn = found.samples[~np.isnan(found.samples)]
    # The whole interval, without the far ends that few seeds give.
    low, high = np.quantile(drawn, [0.002, 0.998]) if len(drawn) else (-1, 1)
    test = found.difference
    axes.hist(drawn, bins=60, range=(min(low, 0), max(high, 0) + 1e-9), color="#CCCCCC")
    axes.axvline(0, color=INK, linewidth=1)
    axes.axvline(test.value, color=_FIRST if test.value > 0 else _SECOND, linewidth=2)
    if not np.isnan(test.low):
        axes.axvspan(test.low, test.high, color=QUIET, alpha=0.15, linewidth=0)
    axes.set_xlabel(
        f"first minus second: {title(found.headline)} (line), 95 % interval (grey), resamples"
    )
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _bars(axes: Axes, influence: pd.Series) -> None:
    first, second = deciding(influence.to_frame(), _BARS // 2)
    shown = pd.concat([first, second[::-1]])["influence"]
    colours = [_FIRST if value > 0 else _SECOND for value in shown]
    places = np.arange(len(shown))
    axes.barh(places, shown, color=colours, height=0.7)
    axes.set_yticks(places, [plain(str(sample))[:24] for sample in shown.index], fontsize=8)
    axes.invert_yaxis()
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_xlabel("what the difference loses without the image")


def _told(sample: str, row: pd.Series) -> str:
    """The image, and how probable each side finds its true class in each trial."""
    lines = [plain(sample)[:30]]
    for column in (name for name in row.index if str(name).startswith("true")):
        apart = str(column).removeprefix("true")
        if pd.isna(row[column]):
            continue
        one, other = row[f"first{apart}"], row[f"second{apart}"]
        lines.append(f"{plain(str(row[column]))[:20]}{apart}: p {one:.2f} and {other:.2f}")
    return "\n".join(lines[:4])
