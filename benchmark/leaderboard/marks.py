"""What must be seen at a row's name before its scores are believed: submitted, contested."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from benchmark.leaderboard.columns import COLUMNS
from benchmark.leaderboard.contested import Contested, Note


def add_contested(table: pd.DataFrame, contested: Contested) -> pd.DataFrame:
    """The table of `build_table` with each row's notes as text, " | " between two."""
    told = [
        " | ".join(" ".join(filter(None, [note.told, note.link])) for note in contested.of(ids))
        for ids in table[COLUMNS.run_ids]
    ]
    return table.assign(**{COLUMNS.contested: told})


def mark(row: Mapping[str, Any] | pd.Series, number: int | None = None) -> str:
    """The mark of a row, such as "submitted, contested: note 1"; "" where there is nothing.

    Args:
        row: of the table.
        number: of its footnote, where there are any.
    """
    note = "" if number is None else f": note {number}"
    marks = (("submitted", row[COLUMNS.submitted]), (f"contested{note}", row[COLUMNS.contested]))
    return ", ".join(name for name, given in marks if given)


def numbers(rows: pd.DataFrame) -> dict[Any, int]:
    """The footnote of each contested row of a section, by the row's index, from 1."""
    at = rows.index[rows[COLUMNS.contested] != ""]
    return {place: number for number, place in enumerate(at, 1)}


def footnotes(rows: pd.DataFrame, contested: Contested) -> list[tuple[int, Note]]:
    """The notes of a section's rows, each with the number of its row."""
    return [
        (number, note)
        for place, number in numbers(rows).items()
        for note in contested.of(rows.at[place, COLUMNS.run_ids])
    ]
