"""Which pictures the board has, and drawing those that are not there already."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from benchmark.leaderboard.critical_difference import Comparison
from benchmark.leaderboard.critical_difference_plot import draw_comparison
from benchmark.leaderboard.curve_plot import draw_curve
from benchmark.leaderboard.folder import OwnFolder
from benchmark.leaderboard.fraction_plot import draw_label_curve
from benchmark.leaderboard.fractions import LabelCurve
from benchmark.leaderboard.kept import Kept
from benchmark.leaderboard.learning import Learning
from benchmark.leaderboard.learning_plot import draw_learning
from benchmark.leaderboard.part import Part
from benchmark.leaderboard.plots import bars, libraries
from benchmark.leaderboard.scatter import draw_tradeoff
from benchmark.leaderboard.table import section_id, sections

# By path relative to the leaderboard: all that a picture shows, and what draws it into a file.
Drawings = Mapping[str, tuple[object, Callable[[Path], None]]]


def of_part(part: Part) -> Drawings:
    """The pictures of a part's sections and curves."""
    found: dict[str, tuple[object, Callable[[Path], None]]] = {}
    for section in sections(part.table):
        own = section_id(section)
        found[part.plots[own]] = (section.to_csv(index=False), partial(bars, section))
        for each in part.below.get(own, ()):
            if isinstance(each, Learning):
                found[each.plot] = (each, partial(draw_learning, each))
            else:
                found[each.plot] = (each, partial(draw_tradeoff, each))
    for curve in part.curves:
        if isinstance(curve, LabelCurve):
            found[curve.plot] = (curve, partial(draw_label_curve, curve))
        else:
            found[curve.plot] = (curve, partial(draw_curve, curve))
    return found


def of_comparisons(comparisons: Iterable[Comparison]) -> Drawings:
    """The diagrams over data sets."""
    return {each.plot: (each, partial(draw_comparison, each)) for each in comparisons}


def draw(drawings: Drawings, drawn: OwnFolder, kept: Kept) -> None:
    """Draw into the folder of plots; what is there already and would be the same is left alone.

    Raises:
        UserError: the folder cannot be written.
    """
    for plot, (what, onto) in drawings.items():
        made_of = (libraries(), what)
        if not kept.unchanged(plot, made_of):
            with kept.noting(plot, made_of):
                onto(drawn.own(Path(plot).name))
    kept.save()
