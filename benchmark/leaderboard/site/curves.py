"""What joins several sections as the site shows it: curves, and rows compared over data sets."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmark.common.wording import counted
from benchmark.leaderboard.critical_difference import Comparison, Entrant
from benchmark.leaderboard.curves import Curve, Line
from benchmark.leaderboard.fractions import LabelCurve, Reference
from benchmark.leaderboard.fractions import Line as LabelLine
from benchmark.leaderboard.report_joined import OTHERS, UNKNOWN
from benchmark.leaderboard.site.grid import Cell, Column, Table, score, table
from benchmark.leaderboard.site.pictures import Picture
from benchmark.metrics.names import title


@dataclass(frozen=True)
class CurveView:
    """One curve or comparison: its anchor, what it is, title, sentences, picture and tables."""

    id: str
    sort: str
    title: str
    about: tuple[str, ...]
    picture: Picture
    tables: tuple[Table, ...]


def view(curve: Curve | LabelCurve, picture: Picture, most: int) -> CurveView:
    """One curve as the page shows it, with its first `most` lines."""
    own, sort = f"curve-{curve.section}", "curve"
    if isinstance(curve, Curve):
        by_ratio = _by_ratio(curve, own).cut(most)
        return CurveView(own, sort, curve.title, _about(curve), picture, (by_ratio,))
    tables = tuple(each.cut(most) for each in _by_fraction(curve, own))
    return CurveView(own, sort, curve.title, _about_labels(curve), picture, tables)


def comparison_view(comparison: Comparison, picture: Picture, most: int) -> CurveView:
    """Rows compared over data sets as the page shows them, the first `most` in the table."""
    own, sort = f"comparison-{comparison.section}", "critical-difference diagram"
    about = (*comparison.reading, *comparison.left_out)
    ranks = _by_dataset(comparison, own).cut(most)
    return CurveView(own, sort, comparison.title, about, picture, (ranks,))


def _by_dataset(comparison: Comparison, own: str) -> Table:
    def on(at: int) -> Callable[[Entrant], Cell]:
        def cell(entrant: Entrant) -> Cell:
            rank = entrant.ranks[at]
            return Cell(f"{rank:g}", f"{entrant.scores[at]:.3f}", rank)

        return cell

    columns: Sequence[Column[Entrant]] = [
        Column("row", lambda entrant: Cell(entrant.name), names=True),
        Column("average rank", _average, number=True, rising=True),
        *(
            Column(name, on(at), number=True, rising=True)
            for at, name in enumerate(comparison.datasets)
        ),
    ]
    caption = f"Ranks by {title(comparison.headline)}, below each the score"
    return table(f"{own}-table", caption, columns, [("run", comparison.entrants)])[0]


def _average(entrant: Entrant) -> Cell:
    return Cell(f"{entrant.average:.2f}", order=entrant.average)


def _shared(values: dict[str, str]) -> list[str]:
    told = ", ".join(f"{name} {value}" for name, value in values.items())
    return [f"The same in every row: {told}."] if told else []


def _about(curve: Curve) -> tuple[str, ...]:
    return (
        f"{title(curve.headline)} with its 95 % interval at each ratio asked for, highest mean over"
        " the ratios first; rows that lack a ratio come last.",
        f"Test images {curve.test[:8]}." if curve.test else UNKNOWN,
        *([OTHERS] if curve.others else []),
        *_shared(curve.shared),
        *curve.left_out,
    )


def _by_ratio(curve: Curve, own: str) -> Table:
    def told(name: str) -> Callable[[Line], Cell]:
        return lambda line: Cell(line.told.get(name, ""))

    def at(profile: str) -> Callable[[Line], Cell]:
        def cell(line: Line) -> Cell:
            point = line.points.get(profile)
            if point is None:
                return Cell("-")
            found = score(*point[:3])
            seeds = counted(point.seeds, "seed")
            return Cell(found.text, ", ".join(filter(None, [found.note, seeds])), found.order)

        return cell

    names = list(dict.fromkeys(name for line in curve.lines for name in line.told))
    columns = [
        *(Column(name, told(name), names=name == names[0]) for name in names),
        *(
            Column(called, at(profile), number=True, rising=False)
            for profile, called in curve.profiles.items()
        ),
    ]
    return table(f"{own}-table", title(curve.headline), columns, [("run", curve.lines)])[0]


def _about_labels(curve: LabelCurve) -> tuple[str, ...]:
    without = sum(line.reference is None for line in curve.lines)
    whose = "" if without == len(curve.lines) else f" for {counted(without, 'row')}"
    return (
        f"{title(curve.metric)} with its 95 % interval at each labelled share of the training"
        " images. The area, by which rows rank, is the mean height of the curve over the logarithm"
        " of the share.",
        "Intervals: bootstrap over groups of the test images, the same resamples at every share; of"
        " several seeds also the spread over seeds, which differ in the images that are labelled;"
        " of one seed they do not hold it.",
        *(
            [
                f"There is no reference line{whose}: no record of method supervised with all"
                " labels, of the same network trained in the same way."
            ]
            if without
            else []
        ),
        *(
            ["Rows differ in their seeds, so in part in the images that are labelled."]
            if len({line.seeds for line in curve.lines}) > 1
            else []
        ),
        *_shared(curve.shared),
    )


def _by_fraction(curve: LabelCurve, own: str) -> tuple[Table, ...]:
    def network(name: str) -> Callable[[LabelLine], Cell]:
        return lambda line: Cell(line.network.get(name, ""))

    def at(fraction: str) -> Callable[[LabelLine], Cell]:
        return lambda line: score(*line.points[fraction][:3])

    def kept(fraction: str) -> Callable[[LabelLine], Cell]:
        return lambda line: _share(line.kept(fraction))

    names = list(dict.fromkeys(name for line in curve.lines for name in line.network))
    heads: list[Column[LabelLine]] = [
        Column("method", lambda line: Cell(line.method), names=True),
        *(Column(name, network(name)) for name in names),
    ]
    scores: Sequence[Column[LabelLine]] = [
        *heads,
        *(Column(f"{f} %", at(f), number=True, rising=False) for f in curve.fractions),
        Column("area", lambda line: score(*line.area[:3]), number=True, rising=False),
        Column("seeds", lambda line: Cell(", ".join(line.seeds))),
    ]
    lines = [("run", curve.lines)]
    found = [table(f"{own}-scores", f"{title(curve.metric)} by labelled share", scores, lines)[0]]
    if any(line.reference for line in curve.lines):
        shares: Sequence[Column[LabelLine]] = [
            *heads,
            *(Column(f"kept at {f} %", kept(f), True, rising=False) for f in curve.fractions),
            Column("supervised, all labels", lambda line: _full(line.reference), number=True),
        ]
        caption = (
            f"Kept: mean {title(curve.metric)} as a share of that of supervised with all labels, a"
            " share of two means without an interval"
        )
        found.append(table(f"{own}-kept", caption, shares, lines)[0])
    return tuple(found)


def _share(kept: float) -> Cell:
    return Cell("-") if math.isnan(kept) else Cell(f"{100 * kept:.0f} %", order=kept)


def _full(reference: Reference | None) -> Cell:
    if reference is None:
        return Cell("-")
    found = score(*reference[:3])
    return Cell(found.text, ", ".join(filter(None, [found.note, reference.whose])), found.order)
