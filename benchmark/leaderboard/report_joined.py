"""What joins rows on the Markdown page: curves, plots of a plane, ranks over data sets."""

import pandas as pd

from benchmark.common.wording import counted
from benchmark.leaderboard.critical_difference import Comparison
from benchmark.leaderboard.curves import Curve, Point
from benchmark.leaderboard.fractions import LabelCurve, Reference
from benchmark.leaderboard.learning import Learning
from benchmark.leaderboard.markdown import cell, escape, grid, more, shared
from benchmark.leaderboard.tradeoffs import Tradeoff
from benchmark.metrics.names import title

OTHERS = (
    "The natural training set is no point of the curve, because its frequent classes too have"
    " other numbers of images."
)
UNKNOWN = (
    "The records are of an older DermBench, which did not note the test images: whether those of"
    " all ratios are the same is not known."
)


def curve_section(curve: Curve | LabelCurve, most: int) -> str:
    """The section of one curve, with its first `most` lines."""
    return _labels(curve, most) if isinstance(curve, LabelCurve) else _curve(curve, most)


def comparison_section(comparison: Comparison) -> str:
    """The section of rows compared over data sets: its diagram, and each row's ranks."""
    name = escape(comparison.title)
    columns = {
        "row": [escape(each.name) for each in comparison.entrants],
        "average rank": [f"{each.average:.2f}" for each in comparison.entrants],
    }
    for at, dataset in enumerate(comparison.datasets):
        columns[escape(dataset)] = [
            f"{each.ranks[at]:g} ({each.scores[at]:.3f})" for each in comparison.entrants
        ]
    about = " ".join(escape(each) for each in (*comparison.reading, *comparison.left_out))
    parts = [f"## {name}", about, f"![{escape(comparison.alt)}]({comparison.plot})"]
    return "\n\n".join([*parts, grid(columns)])


def below_section(plot: Tradeoff | Learning) -> str:
    """One plot below a section's table, with how to read it."""
    picture = f"![{escape(plot.alt)}]({plot.plot})"
    return "\n\n".join([f"### {escape(plot.title)}", escape(plot.reading), picture])


def _curve(curve: Curve, most: int) -> str:
    """The section of one curve: its plot, and a row for each line."""
    lines = curve.lines[:most]
    about = (
        f"**{escape(title(curve.headline))}** with its 95 % interval at each ratio asked for,"
        " highest mean over the ratios first; rows that lack a ratio come last."
        + f" {f'Test images `{curve.test[:8]}`.' if curve.test else UNKNOWN}"
        + (f" {OTHERS}" if curve.others else "")
        + shared({name: escape(value) for name, value in curve.shared.items()})
        + "".join(f" {escape(sentence)}" for sentence in curve.left_out)
    )
    told = list(dict.fromkeys(name for line in curve.lines for name in line.told))
    columns = {name: [escape(line.told.get(name, "")) for line in lines] for name in told}
    for profile, called in curve.profiles.items():
        columns[escape(called)] = [_point(line.points.get(profile)) for line in lines]
    name, rest = escape(curve.title), more(len(curve.lines) - len(lines))
    return "\n\n".join([f"## {name}", about, f"![{name}]({curve.plot})", grid(columns), *rest])


def _labels(curve: LabelCurve, most: int) -> str:
    """The section of one curve over label fractions: its plot, its scores, what each row keeps."""
    lines, metric = curve.lines[:most], escape(title(curve.metric))
    name = escape(curve.title)
    heads = {"method": [escape(line.method) for line in lines]}
    for told in dict.fromkeys(name for line in curve.lines for name in line.network):
        heads[told] = [escape(line.network.get(told, "")) for line in lines]
    seeds = {"seeds": [escape(", ".join(line.seeds)) for line in lines]}
    scores = {
        f"{fraction} %": [cell(*line.points[fraction][:3]) for line in lines]
        for fraction in curve.fractions
    }
    area = {"area": [cell(*line.area[:3]) for line in lines]}
    parts = [
        f"## {name}",
        _about_labels(curve),
        f"![{name}]({curve.plot})",
        grid(heads | scores | area | seeds),
    ]
    parts += more(len(curve.lines) - len(lines))
    full = [_full(line.reference) for line in lines]
    if any(line.reference for line in lines):
        kept = {
            f"kept at {fraction} %": [_share(line.kept(fraction)) for line in lines]
            for fraction in curve.fractions
        }
        one = len(set(full)) == 1
        parts += [
            f"**Kept**: the row's mean {metric} as a share of the mean of `supervised` with all"
            " labels, of the same network trained in the same way"
            f"{f': {full[0]}' if one else ''}. A share of two means, it has no interval.",
            grid(heads | kept | ({} if one else {"supervised, all labels": full})),
        ]
    return "\n\n".join(parts)


def _about_labels(curve: LabelCurve) -> str:
    """What a reader must know of a curve over label fractions."""
    parts = [
        f"**{escape(title(curve.metric))}** with its 95 % interval at each labelled share of the"
        " training images. The area, by which rows rank, is the mean height of the curve over the"
        " logarithm of the share. Brackets: bootstrap over groups of the test images, the same"
        " resamples at every share; of several seeds also the spread over seeds, which differ in"
        " the images that are labelled; of one seed they do not hold it.",
    ]
    without = sum(line.reference is None for line in curve.lines)
    if without:
        whose = "" if without == len(curve.lines) else f" for {counted(without, 'row')}"
        parts.append(
            f"There is no reference line{whose}: no record of method `supervised` with all labels,"
            " of the same network trained in the same way."
        )
    if len({line.seeds for line in curve.lines}) > 1:
        parts.append("**Rows differ in their seeds**, so in part in the images that are labelled.")
    return " ".join(parts) + shared({k: escape(v) for k, v in curve.shared.items()})


def _share(kept: float) -> str:
    return "-" if pd.isna(kept) else f"{kept:.0%}".replace("%", " %")


def _full(reference: Reference | None) -> str:
    if reference is None:
        return "-"
    return f"{cell(*reference[:3])}, {escape(reference.whose)}"


def _point(point: Point | None) -> str:
    if point is None:
        return "-"
    return f"{cell(point.value, point.low, point.high)}, {counted(point.seeds, 'seed')}"
