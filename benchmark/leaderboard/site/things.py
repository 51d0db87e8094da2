"""The pages of architectures, methods, tasks and data sets: what each is, and where it stands."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from benchmark.errors import UserError
from benchmark.leaderboard.columns import COLUMNS, metric_columns
from benchmark.leaderboard.marks import mark
from benchmark.leaderboard.site.grid import Cell, Column, Table, score, table
from benchmark.leaderboard.site.names import KNOWN, Pages, things
from benchmark.leaderboard.site.runs import Place
from benchmark.leaderboard.site.sections import anchor, seeds
from benchmark.metrics.names import title
from benchmark.records.record import Record
from benchmark.show.things import facts

# Rows that a page shows (ours); the others are in the table.
MOST_ROWS = 1000

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


class Gathered:
    """What the parts of the board say of one thing."""

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.count = 0
        self.versions: set[str] = set()
        # By fingerprint, what is told of the data and the first record that does.
        self.data: dict[str, dict[str, str]] = defaultdict(dict)

    def add_place(self, place: Place) -> None:
        """One more row of the board."""
        self.count += 1
        if len(self.places) < MOST_ROWS:
            self.places.append(place)

    def add_record(self, record: Record) -> None:
        """One more record."""
        self.versions.add(record.task_version)
        told = ", ".join(record.data.classes)
        told = "; ".join(filter(None, [f"classes {told}" if told else "", *record.data.notes]))
        known = self.data[record.data.fingerprint]
        known[told] = min(record.run_id, known.get(told, record.run_id))


Found = defaultdict[tuple[str, str], Gathered]


def gather(found: Found, records: Iterable[Record], places: Iterable[Place]) -> None:
    """Add the records of a part and its rows, in their order, by kind and name of each thing."""
    for record in records:
        for kind, name in things(record).items():
            found[kind, name].add_record(record)
    for place in places:
        for kind, column in _OF_COLUMN.items():
            found[kind, place.row[column]].add_place(place)


def view(kind: str, name: str, gathered: Gathered, pages: Pages) -> Thing:
    """A thing as its page shows it."""
    about, unknown = _about(kind, name)
    rows = [("run", gathered.places)]
    grid, _ = table("rows", f"Rows of the board with {name}", _columns(pages), rows)
    grid = replace(grid, left_out=gathered.count - len(gathered.places))
    return Thing(kind, name, tuple(about.items()), unknown, tuple(_seen(kind, gathered)), grid)


def _about(kind: str, name: str) -> tuple[dict[str, str], str]:
    # A record's name finds what is called exactly so: no alias, no other kind, no record.
    if name not in KNOWN[kind]():
        what = "one of the eleven" if kind == "architecture" else "part of this DermBench"
        return {}, f"Not {what}, so nothing is known of it but its records."
    try:
        return facts(kind, name), ""
    except UserError as error:
        return {}, str(error)


def _seen(kind: str, gathered: Gathered) -> list[tuple[str, str]]:
    if kind == "task":
        return [("versions in the records", ", ".join(sorted(gathered.versions)))]
    if kind != "dataset":
        return []
    return [
        (f"data {fingerprint[:16]}", " ".join(sorted(told, key=lambda text: told[text])))
        for fingerprint, told in sorted(gathered.data.items())
    ]


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
