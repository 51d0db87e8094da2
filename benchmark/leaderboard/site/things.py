"""The pages of architectures, methods, tasks and data sets: what each is, and where it stands."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmark.errors import UserError
from benchmark.leaderboard.columns import COLUMNS, metric_columns
from benchmark.leaderboard.marks import mark
from benchmark.leaderboard.site.grid import Cell, Column, Table, score, table
from benchmark.leaderboard.site.names import KNOWN, Pages
from benchmark.leaderboard.site.runs import Place
from benchmark.leaderboard.site.sections import anchor, seeds
from benchmark.leaderboard.table import title
from benchmark.records.record import Record
from benchmark.show import facts

_OF_COLUMN = {
    "architecture": COLUMNS.arch,
    "method": COLUMNS.method,
    "task": COLUMNS.task,
    "dataset": COLUMNS.dataset,
}


@dataclass(frozen=True)
class Thing:
    """One architecture, method, task or data set as its page shows it.

    Attributes:
        kind: as `names.FOLDERS` has it.
        name: its own.
        facts: what `describe` says; empty where it is not installed here.
        unknown: why there are none, or "".
        seen: what the records say of a data set or a task, a name and a text each.
        table: the rows of the board it is in.
    """

    kind: str
    name: str
    facts: tuple[tuple[str, str], ...]
    unknown: str
    seen: tuple[tuple[str, str], ...]
    table: Table


def places_of(places: Iterable[Place]) -> dict[tuple[str, str], list[Place]]:
    """By kind and name the rows of the board that are of a thing, in the order they come in."""
    found: dict[tuple[str, str], list[Place]] = defaultdict(list)
    for place in places:
        for kind, column in _OF_COLUMN.items():
            found[kind, place.row[column]].append(place)
    return found


def view(
    kind: str, name: str, records: Iterable[Record], places: Sequence[Place], pages: Pages
) -> Thing:
    """A thing as its page shows it.

    Args:
        kind: of it.
        name: of it.
        records: those that are of it.
        places: the rows of the board that are of it, in their order.
        pages: for links.
    """
    about, unknown = _about(kind, name)
    grid, _ = table("rows", f"Rows of the board with {name}", _columns(pages), [("run", places)])
    return Thing(kind, name, tuple(about.items()), unknown, tuple(_seen(kind, records)), grid)


def _about(kind: str, name: str) -> tuple[dict[str, str], str]:
    # A record's name finds what is called exactly so: no alias, no other kind, no record.
    if name not in KNOWN[kind]():
        return {}, "Not part of this DermBench, so nothing is known of it but its records."
    try:
        return facts(kind, name), ""
    except UserError as error:
        return {}, str(error)


def _seen(kind: str, records: Iterable[Record]) -> list[tuple[str, str]]:
    if kind == "task":
        versions = sorted({record.task_version for record in records})
        return [("versions in the records", ", ".join(versions))]
    if kind != "dataset":
        return []
    found: dict[str, dict[str, None]] = {}
    for record in records:
        told = ", ".join(record.data.classes)
        told = "; ".join(filter(None, [f"classes {told}" if told else "", *record.data.notes]))
        found.setdefault(record.data.fingerprint, {})[told] = None
    return [(f"data {print_[:16]}", " ".join(told)) for print_, told in sorted(found.items())]


def _columns(pages: Pages) -> list[Column[Place]]:
    of_place = seeds(pages)
    return [
        Column("section", _section, names=True),
        Column("rank", _rank, number=True),
        Column("architecture", _of("architecture", pages)),
        Column("framework", lambda place: Cell(place.row[COLUMNS.framework])),
        Column("method", _of("method", pages)),
        Column("ranked by", lambda place: Cell(title(place.row[COLUMNS.headline]))),
        Column("score", _headline, number=True, rising=False),
        Column("seeds", lambda place: of_place(place.row), number=True, rising=False),
    ]


def _section(place: Place) -> Cell:
    return Cell(place.title, page=f"index.html#{anchor(place.row[COLUMNS.section])}")


def _rank(place: Place) -> Cell:
    rank = place.row[COLUMNS.rank]
    if pd.isna(rank):
        return Cell("-")
    return Cell(f"{int(rank)} of {place.ranked}", order=float(rank))


def _of(kind: str, pages: Pages) -> Callable[[Place], Cell]:
    def cell(place: Place) -> Cell:
        name = place.row[_OF_COLUMN[kind]]
        marked = mark(place.row) if kind == "architecture" else ""
        return Cell(name, marked, page=pages.thing(kind, name))

    return cell


def _headline(place: Place) -> Cell:
    row: Mapping[str, Any] = place.row
    value, low, high = (float(row[column]) for column in metric_columns(row[COLUMNS.headline]))
    return score(value, low, high)
