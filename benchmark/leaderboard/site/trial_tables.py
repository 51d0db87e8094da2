"""The tables by class of a trial, from its folder or as they are: hostile text as everywhere."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.leaderboard.site.grid import Cell, Column, Table, count, score, table
from benchmark.metrics.names import title

# Of a trial, by name.
Tables = Mapping[str, pd.DataFrame]
# The tables of a trial that fit on a page; the others are as long as there are images.
_TABLES = {"per_class": "Scores by class", "per_grade": "Scores by grade"}
_LONGEST_TABLE = 200


def read(folder: Path) -> Tables:
    """The tables of a trial's folder that can be shown."""
    found = {}
    for name in _TABLES:
        file = folder / f"{name}.csv"
        if file.is_symlink() or not file.is_file():
            continue
        # What is not such a table, whoever wrote it, is not shown.
        with suppress(OSError, ValueError):
            rows = pd.read_csv(file, nrows=_LONGEST_TABLE, dtype={0: str}, keep_default_na=False)
            found[name] = rows
    return found


def grids(tables: Tables, at: int) -> Iterator[Table]:
    """Those that fit on a page, as the page shows them; `at` is the trial's number."""
    for name, caption in _TABLES.items():
        if name not in tables:
            continue
        rows = tables[name].head(_LONGEST_TABLE)
        columns = [
            Column(title(str(head)), _column(place), number=place > 0, names=place == 0)
            for place, head in enumerate(rows.columns)
        ]
        groups = [("run", list(rows.itertuples(index=False, name=None)))]
        yield table(f"{name}-{at}", caption, columns, groups)[0]


def _column(place: int) -> Callable[[tuple[Any, ...]], Cell]:
    return lambda row: _value(row[place])


def _value(value: Any) -> Cell:
    """A number of a CSV file as the other tables have it; what is no number as it stands."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return Cell(str(value) or "-")
    return count(number) if number.is_integer() and str(value).isdigit() else score(number, *_NONE)


_NONE = (float("nan"), float("nan"))
