"""What a table of the site is made of, and columns as data: a heading and what a cell shows."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from benchmark.leaderboard.table import heading

Row = TypeVar("Row")


@dataclass(frozen=True)
class Whisker:
    """A score and its interval on the scale of its column, in percent of the scale."""

    low: float
    value: float
    high: float


@dataclass(frozen=True)
class Cell:
    """What one cell shows.

    Attributes:
        text: the main line.
        note: a smaller second line, such as an interval.
        order: what it is sorted by where that is a number, else None: by its text.
        page: where the text links to, relative to the site, or "".
        more: further links below the text: what each says, what it is called aloud, its page.
        whisker: drawn beside the text.
    """

    text: str
    note: str = ""
    order: float | None = None
    page: str = ""
    more: tuple[tuple[str, str, str], ...] = ()
    whisker: Whisker | None = None


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column of a table.

    Attributes:
        head: its heading.
        cell: what it shows of a row.
        number: whether it is set and sorted as numbers.
        rising: whether the smallest comes first when it is first sorted by.
        always: shown even where it is the same in every row.
        names: heads its row: the one column that says what the row is.
    """

    head: str
    cell: Callable[[Row], Cell]
    number: bool = False
    rising: bool = True
    always: bool = True
    names: bool = False


@dataclass(frozen=True)
class Group:
    """Rows that are sorted among themselves; `kind` is one of `columns.KINDS`."""

    kind: str
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Table:
    """A table as the templates take it; `left_out` counts the rows that it does not show."""

    id: str
    caption: str
    columns: tuple[Column[Any], ...]
    groups: tuple[Group, ...]
    left_out: int = 0

    @property
    def count(self) -> int:
        """Rows of all groups."""
        return sum(len(group.rows) for group in self.groups)

    def cut(self, most: int) -> "Table":
        """The table with the first rows of each group alone."""
        kept = tuple(Group(group.kind, group.rows[:most]) for group in self.groups)
        left_out = self.left_out + sum(max(len(group.rows) - most, 0) for group in self.groups)
        return replace(self, groups=kept, left_out=left_out)


def table(
    id: str,
    caption: str,
    columns: Sequence[Column[Row]],
    groups: Iterable[tuple[str, Sequence[Row]]],
) -> tuple[Table, dict[str, str]]:
    """The table, and what is the same in every row of it instead of a column.

    A column with nothing in it is left out. Rows that are no runs leave open what they do not
    have, which makes no column differ.

    Args:
        id: unique on its page.
        caption: says what the table shows.
        columns: in order.
        groups: kind and rows of each, in order; empty ones are left out.
    """
    made = [(kind, [[c.cell(row) for c in columns] for row in rows]) for kind, rows in groups]
    made = [(kind, rows) for kind, rows in made if rows]
    kept, shared = [], {}
    for place, column in enumerate(columns):
        texts = {r[place].text for kind, rows in made for r in rows if kind == "run"}
        texts |= {r[place].text for _, rows in made for r in rows} - {""}
        if column.always or len(texts) > 1:
            kept.append(place)
        elif texts - {"", "-"}:
            shared[column.head] = texts.pop()
    shown = [
        Group(kind, tuple(tuple(row[place] for place in kept) for row in rows))
        for kind, rows in made
    ]
    return Table(id, caption, tuple(columns[p] for p in kept), tuple(shown)), shared


def score(value: float, low: float, high: float, scale: tuple[float, float] | None = None) -> Cell:
    """A score with its interval, "-" where it is missing; with a scale, also drawn.

    Args:
        value: NaN where it is missing.
        low: of the interval, NaN where there is none.
        high: as `low`.
        scale: the numbers at the left and the right end of the drawing.
    """
    if value != value:
        return Cell("-")
    if low != low or high != high:
        return Cell(f"{value:.3f}", order=value)
    cell = Cell(f"{value:.3f}", f"{low:.3f} to {high:.3f}", value)
    if scale is None or not scale[1] > scale[0]:
        return cell
    places = (100 * (each - scale[0]) / (scale[1] - scale[0]) for each in (low, value, high))
    return replace(cell, whisker=Whisker(*(round(min(max(p, 0.0), 100.0), 1) for p in places)))


def count(number: object) -> Cell:
    """A whole number, "-" where it is missing."""
    try:
        whole = int(number)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        return Cell("-")
    return Cell(f"{whole:,}", order=float(whole))


def metric_head(metric: str) -> tuple[str, bool]:
    """A metric's heading, and whether smaller is better."""
    told = heading(metric)
    return told, told.endswith("↓")
