"""How well each class is found against how many training images it had."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.ticker import LogLocator, NullLocator
from scipy.optimize import isotonic_regression

from benchmark.pictures.figure import COLOURS, drawing

_WIDTH = 7.2
# Inches, ours: the axis, and how near two intervals and two names may come to each other.
_AXIS, _APART, _NAMES_APART = 5.9, 0.1, 0.21
# Decades beside the outermost counts, and the fewest of an axis.
_BESIDE, _DECADES = 0.12, 0.8
# Above a sensitivity of 1 a line leads from each interval to its class's name.
_BEND, _TOP = 1.03, 1.12


def sensitivity_by_frequency(
    counts: np.ndarray,
    sensitivity: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    classes: Sequence[str],
    title: str,
    target: Path,
) -> None:
    """Sensitivity of each class with its 95 % interval against its training images, a log axis.

    Classes of nearly equal counts are drawn side by side; each name tells the true count. A class
    without training images, or whose sensitivity is undefined, is left out and named. An interval
    that is undefined is not drawn.

    Args:
        counts: (K,) int, training images of each class.
        sensitivity: (K,) in [0, 1]; NaN for a class without test images.
        low: (K,) lower ends, NaN where undefined.
        high: (K,) upper ends.
        classes: K names.
        title: above the chart.
        target: the PNG file.

    Raises:
        ValueError: arrays that do not match, a negative count, or no class to draw.
    """
    parts = (counts, sensitivity, low, high)
    if any(part.shape != (len(classes),) for part in parts) or (counts < 0).any():
        shapes = [part.shape for part in parts]
        raise ValueError(f"{shapes} do not fit {len(classes)} classes, or a count is negative")
    values = np.array(parts, dtype=float)
    trained, tested = values[0] > 0, ~np.isnan(values[1])
    shown = [k for k in range(len(classes)) if trained[k] and tested[k]]
    if not shown:
        raise ValueError("no class to draw: none has both training and test images")
    shown.sort(key=lambda k: values[0, k])
    left_out = _left_out(classes, trained, tested)
    told = ", ".join(f"{values[1, k]:.2f} at {values[0, k]:.0f} of {classes[k]}" for k in shown)
    about = "; ".join(filter(None, [f"{title}. Sensitivity by training images: {told}", left_out]))
    with drawing(target, _WIDTH, 4.6, about) as figure:
        axis = figure.subplots()
        true = np.log10(values[0, shown])
        half = max(np.ptp(true) / 2 + _BESIDE, _DECADES / 2)
        start, end = (true.min() + true.max()) / 2 + np.array([-half, half])
        inch = (end - start) / _AXIS
        places = spaced(true, _APART * inch)
        names = spaced(true, _NAMES_APART * inch)
        for place, name, (value, least, most) in zip(
            places, names, values[1:, shown].T, strict=True
        ):
            reach = np.nanmax([value, most])
            lead = 10 ** np.array([place, place, name])
            axis.plot(lead, [reach, _BEND, _TOP], color="#cfcfcf", linewidth=0.8)
            # Not `errorbar`: it refuses a percentile interval beside its value, which happens.
            axis.plot([10**place] * 2, [least, most], color=COLOURS[0], linewidth=1.6)
            axis.plot(10**place, value, "o", color=COLOURS[0], markersize=6, clip_on=False)
        axis.set_xscale("log")
        axis.set_xlim(10 ** min(start, names[0]), 10 ** max(end, names[-1]))
        axis.set_ylim(0, _TOP)
        axis.set_yticks(np.linspace(0, 1, 6))
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_major_formatter(lambda count, _: f"{count:g}")
        axis.grid(axis="y", color="#e4e4e4", linewidth=0.8)
        axis.set_axisbelow(True)
        top = axis.secondary_xaxis("top")
        labels = [f"{classes[k]} ({values[0, k]:.0f})" for k in shown]
        top.set_xticks(10**names, labels, rotation=50, ha="left", rotation_mode="anchor")
        top.set_xticks([], minor=True)
        top.tick_params(length=0, pad=1)
        top.spines["top"].set_visible(False)
        axis.set_xlabel(
            "\n".join(
                filter(
                    None,
                    ["training images (log scale); equal counts side by side", fill(left_out, 90)],
                )
            )
        )
        axis.set_ylabel("sensitivity with 95 % interval")
        figure.suptitle(fill(title, 90), x=0.01, ha="left", fontsize=10)


def spaced(places: np.ndarray, least: float) -> np.ndarray:
    """The places (n,), increasing, moved as little as possible so that none is nearer than `least`.

    Least squares: a step of `least` each is taken off, the rest made monotone, and put back (ours).
    """
    steps = least * np.arange(len(places))
    return np.asarray(isotonic_regression(places - steps).x) + steps


def _left_out(classes: Sequence[str], trained: np.ndarray, tested: np.ndarray) -> str:
    """Which classes are not drawn and why, "" if all are."""
    whys = {"no test image": ~tested, "no training image": tested & ~trained}
    parts = [
        f"{why}: {', '.join(name for name, out in zip(classes, which, strict=True) if out)}"
        for why, which in whys.items()
        if which.any()
    ]
    return f"not drawn, {'; '.join(parts)}" if parts else ""
