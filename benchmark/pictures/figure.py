"""How a figure of matplotlib becomes a PNG: one style, the same bytes everywhere, atomically."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmark.common.files import atomic_path

DPI = 120
# Okabe and Ito's colours, which survive every common colour blindness.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
INK, QUIET = "#222222", "#767676"
_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    # A class name with a $ in it is no formula.
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.color": QUIET,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}


@contextmanager
def drawing(target: Path, width: float, height: float, about: str) -> Iterator[Figure]:
    """Yield an empty figure and write it when the body is done.

    Args:
        target: the PNG file.
        width: in inches, as is `height`.
        height: in inches.
        about: what the picture shows, in a sentence; kept in the file for those who cannot see it.
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        with atomic_path(target) as temporary:
            # No date and no version in the file: the same numbers give the same bytes.
            figure.savefig(
                temporary, format="png", dpi=DPI, metadata={"Software": None, "Description": about}
            )
