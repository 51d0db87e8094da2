"""The times as files: one table of ratios for people and one for programs."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import pandas as pd

from benchmark.common.files import atomic_path, write_text
from benchmark.leaderboard.markdown import escape, grid
from benchmark.speed import growth, growth_plot
from benchmark.speed.growth import CURVES
from benchmark.speed.measured import (
    FOLDER,
    Grown,
    Measured,
    Priced,
    load,
    load_costs,
    load_curve,
    ratio,
)
from benchmark.speed.pairing import Timed
from benchmark.speed.works import GROUPS, Target, Work

COLUMNS = (
    "work",
    "ours",
    "against",
    "seconds, ours",
    "seconds, other",
    "times as fast",
    "CPU seconds, other / ours",
    "target",
    "met",
)
_TITLES = {
    "gradcam": "Grad-CAM",
    "training": "Training",
    "pipeline": "Input pipeline",
    "inference": "Inference",
    "bootstrap": "Bootstrap",
    "raters": "Agreement of annotators",
    "allocator": "Memory that is kept",
    "compiled": "Networks that are compiled",
    "startup": "Start of a command",
}
_READING = """\
Every side of a work runs in a process of its own, on the same data and threads, and they take
turns: each does the work once to warm up, then all of them do it once a round. Seconds are medians
over the rounds, in brackets the shortest and the longest; *times as fast* is the ratio of the
medians, other over ours, in brackets the least and the largest ratio of a round; targets are of the
medians. Where the sides compute the same thing, their results were compared before the times were.
A machine that does other things at the same time, or whose host gives its cores to others, widens
the brackets; the ratio of CPU seconds, of all threads and processes of a side, is moved by that far
less, but does not know who waits. Seconds of different machines are not comparable, ratios are,
roughly."""

_GROWING = """\
Each size is measured in a process of its own. *time* and *memory* are power laws of the size n,
with the exponent's standard error, fitted to the larger sizes; memory is the process's own,
libraries included, without the mapped pages of files."""
_PRICING = """\
What `sweep plan --calibrate` says of a run, told from shorter runs of other combinations, beside
the seconds that the run then took, start and all."""
# The larger over the smaller, at most.
MOST_WRONG = 1.5


def rows(work: Work, found: Measured) -> pd.DataFrame:
    """What a work came to: a row for each target, and for each other side without one."""
    return pd.DataFrame(list(_rows(work, found)), columns=list(COLUMNS))


def write(out: Path) -> list[Path]:
    """Write speed.md, table.csv and, of the curves, growth.png and growth.csv.

    They are of all that was measured so far.

    Raises:
        UserError: a file of measurements is damaged, or the folder cannot be written.
    """
    every = [(work, load(out, work)) for works in GROUPS.values() for work in works]
    known = [(work, found) for work, found in every if found is not None]
    folder = out / FOLDER
    grown = [found for curve in CURVES if (found := load_curve(out, curve)) is not None]
    write_text(folder / "speed.md", _page(known, grown, load_costs(out)))
    written = [folder / "speed.md"]
    if known:
        written.append(folder / "table.csv")
        _write_table(pd.concat([rows(*each) for each in known]), written[-1])
    if grown:
        points = [point for found in grown for point in found.points]
        written += [folder / "growth.csv", folder / "growth.png"]
        _write_table(growth.table(points), written[-2])
        growth_plot.draw(points, written[-1])
    return written


def growth_rows(found: Grown) -> pd.DataFrame:
    """The exponents of a curve: columns curve, sizes, time, memory, largest (what that took)."""
    (curve,) = [curve for curve in CURVES if curve.name == found.curve]
    kept = growth.fitted(curve, found.points)
    sizes = [point.size for point in kept]
    time = growth.exponent(sizes, [point.seconds for point in kept])
    memory = growth.exponent(sizes, [point.anonymous_bytes for point in kept])
    last = kept[-1]
    row = {
        "curve": f"{curve.title}, by {curve.varies}",
        "sizes": f"{sizes[0]:,} to {sizes[-1]:,}",
        "time": str(time),
        "memory": str(memory),
        "largest": f"{last.seconds:.3g} s, {last.anonymous_bytes / 1e6:.0f} MB",
    }
    return pd.DataFrame([row])


def cost_rows(found: Priced) -> pd.DataFrame:
    """A row for each run: columns run, epochs, estimated, taken, factor, at most 1.5."""
    rows = [
        {
            "run": each.run,
            "epochs": str(each.epochs),
            "estimated": f"{each.estimated:.0f} s",
            "taken": f"{each.taken:.0f} s",
            "factor": f"{each.factor:.2f}",
            "at most 1.5": _yes(each.factor <= MOST_WRONG),
        }
        for each in found.runs
    ]
    return pd.DataFrame(rows)


def _write_table(table: pd.DataFrame, target: Path) -> None:
    with atomic_path(target) as temporary:
        table.to_csv(temporary, index=False)


def _markdown(table: pd.DataFrame) -> str:
    return grid({name: [escape(cell) for cell in table[name]] for name in table})


def _page(
    known: Sequence[tuple[Work, Measured]], grown: Sequence[Grown], priced: Priced | None
) -> str:
    parts = ["# Speed", _READING]
    for group in GROUPS:
        some = [(work, found) for work, found in known if work.what == group]
        if some:
            parts += [f"## {_TITLES[group]}", *_section(some)]
    if grown:
        parts += ["## How cost grows", _GROWING, "![time and memory against size](growth.png)"]
        parts.append(_markdown(pd.concat([growth_rows(found) for found in grown])))
        parts += dict.fromkeys(str(found.made) for found in grown)
    if priced is not None:
        parts += ["## What a run will cost", _PRICING, _markdown(cost_rows(priced))]
        parts.append(str(priced.made))
    return "\n\n".join(parts) + "\n"


def _section(some: Sequence[tuple[Work, Measured]]) -> Iterator[str]:
    yield _markdown(pd.concat([rows(work, found) for work, found in some]))
    for note in dict.fromkeys(work.note for work, _ in some if work.note):
        yield f"Note: {note}."
    faults = [
        f"- {work.title}: {side.side} {side.fault}"
        for work, found in some
        for side in found.sides
        if side.fault
    ]
    if faults:
        yield "\n".join(faults)
    for work, found in some:
        facts = _facts(found)
        if facts:
            yield f"{work.title}: {facts}."
    stolen = [found.stolen for _, found in some if found.stolen is not None]
    if stolen:
        least, most = min(stolen), max(stolen)
        yield f"Of the cores' time the host gave {least:.0f} to {most:.0f} % to others."
    yield from dict.fromkeys(f"{found.rounds} rounds. {found.made}" for _, found in some)


def _facts(found: Measured) -> str:
    told = [
        f"{side.side} ({', '.join(f'{name} {value}' for name, value in side.facts.items())})"
        for side in found.sides
        if side.facts
    ]
    return "; ".join(told)


def _rows(work: Work, found: Measured) -> Iterator[tuple[str, ...]]:
    promised = {(target.side, target.against) for target in work.targets}
    ours = work.sides[0].name
    further = [
        Target(ours, side.name)
        for side in work.sides[1:]
        if not any(side.name in pair for pair in promised)
    ]
    for target in (*work.targets, *further):
        side = found.side(target.side)
        if side is not None:
            yield _row(work, target, side, found.side(target.against))


def _row(work: Work, target: Target, ours: Timed, other: Timed | None) -> tuple[str, ...]:
    seconds = _seconds(ours)
    if not target.against:
        bound, kept = _bound(target, ours)
        return work.title, ours.side, "-", seconds, "-", "-", "-", bound, kept
    if other is None:
        unknown = ("-", "-", "-", _at_least(target), "-")
        return work.title, ours.side, target.against, seconds, *unknown
    times = ratio(ours.seconds, other.seconds)
    return (
        work.title,
        ours.side,
        target.against,
        seconds,
        _seconds(other),
        _in_brackets(*times),
        _in_brackets(*ratio(ours.cpu_seconds, other.cpu_seconds)),
        _at_least(target),
        "-" if target.times is None else _yes(times[0] >= target.times),
    )


def _bound(target: Target, ours: Timed) -> tuple[str, str]:
    """A bound that ours stays below, and whether it does."""
    if target.memory is not None:
        held = ours.memory / 2**20
        bound = target.memory / 2**20
        return f"at most {bound:.0f} MiB", f"{_yes(held <= bound)}: {held:.0f} MiB"
    assert target.seconds is not None
    return f"at most {target.seconds:g} s", _yes(median(ours.seconds) <= target.seconds)


def _at_least(target: Target) -> str:
    return "-" if target.times is None else f"at least {_number(target.times, 2)}"


def _yes(met: bool) -> str:
    return "yes" if met else "no"


def _seconds(timed: Timed) -> str:
    return _in_brackets(median(timed.seconds), min(timed.seconds), max(timed.seconds))


def _in_brackets(middle: float, least: float, most: float) -> str:
    return f"{_number(middle)} [{_number(least)}, {_number(most)}]"


def _number(value: float, digits: int = 3) -> str:
    return f"{value:,.0f}" if value >= 10**digits / 10 else f"{value:.{digits}g}"
