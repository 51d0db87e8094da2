"""What is left of the score where few training images are labelled."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.ticker import NullLocator

from benchmark.pictures.figure import COLOURS, drawing

_MARKERS = "osD^vP*"
# Inches, ours: the axis, its ends, and two series' intervals at one fraction.
_AXIS, _END, _APART = 5.2, 0.35, 0.07


@dataclass(frozen=True, eq=False)
class Series:
    """One score at each of F label fractions, (F,) each, with its interval; NaN where undefined."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def score_by_fraction(
    percents: np.ndarray,
    labelled: np.ndarray,
    series: Mapping[str, Series],
    title: str,
    target: Path,
) -> None:
    """Scores with their 95 % intervals against the label fraction, a log axis.

    At each fraction the scores stand side by side, so that every interval is seen.

    Args:
        percents: (F,) label fractions, increasing, above 0.
        labelled: (F,) int, labelled training images.
        series: what the score is called -> its values in [0, 1].
        title: above the chart.
        target: the PNG file.

    Raises:
        ValueError: no fraction or score, arrays that do not match, or fractions out of order.
    """
    shapes = {part.shape for each in series.values() for part in (each.value, each.low, each.high)}
    if not len(percents) or shapes != {percents.shape} or labelled.shape != percents.shape:
        raise ValueError(f"{shapes or 'no scores'} do not fit {len(percents)} label fractions")
    if percents[0] <= 0 or (np.diff(percents) <= 0).any():
        raise ValueError(f"label fractions {percents} do not increase from above 0")
    told = "; ".join(f"{name} {_said(percents, each.value)}" for name, each in series.items())
    with drawing(target, 6.4, 4, f"{title}. {told}") as figure:
        axis = figure.subplots()
        places = np.log10(percents)
        # One fraction alone has a decade.
        inch = (np.ptp(places) or 1.0) / _AXIS
        for at, (name, each) in enumerate(series.items()):
            colour, marker = COLOURS[at % len(COLOURS)], _MARKERS[at % len(_MARKERS)]
            aside = 10 ** (places + (at - (len(series) - 1) / 2) * _APART * inch)
            # Not `errorbar`: it refuses a percentile interval beside its value, which happens.
            axis.plot([aside, aside], [each.low, each.high], color=colour, linewidth=1.2, alpha=0.6)
            look = {"color": colour, "marker": marker, "markersize": 5.5, "linewidth": 1.4}
            axis.plot(aside, each.value, label=name, clip_on=False, **look)
        ends = np.array([places[0] - _END * inch, places[-1] + _END * inch])
        axis.set_xscale("log")
        axis.set_xlim(*10**ends)
        axis.set_ylim(0, 1)
        names = [f"{p:g} %\n({n})" for p, n in zip(percents, labelled, strict=True)]
        axis.set_xticks(percents, names)
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_xlabel("training images with a label (number), log scale")
        axis.set_ylabel("score with 95 % interval")
        axis.grid(axis="y", color="#e4e4e4", linewidth=0.8)
        axis.set_axisbelow(True)
        figure.legend(loc="outside lower left", ncols=len(series))
        figure.suptitle(fill(title, 90), x=0.01, ha="left", fontsize=10)


def _said(percents: np.ndarray, values: np.ndarray) -> str:
    pairs = zip(values, percents, strict=True)
    return ", ".join(f"{value:.2f} at {percent:g} %" for value, percent in pairs)
