"""What a table of predictions must have, in any format: the id, the classes in order, rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.submissions.faults import BundleError, shown

ID = "id"
MOST_ROWS = 1_000_000
# Characters of an id: the split files have none nearly as long.
MOST_ID = 1000
# Unpacked, of an archive or a Parquet file.
MOST_BYTES = 1 << 28


@dataclass(frozen=True)
class Table:
    """What a file says, row by row, in its own order.

    Attributes:
        where: the file, for sentences.
        unit, first: what its rows are called and the number of the first: "line" 2 in CSV.
        ids: N.
        probabilities: (N, K) float64, in the order of the classes; anything may stand there.
    """

    where: str
    unit: str
    first: int
    ids: tuple[str, ...]
    probabilities: np.ndarray

    def place(self, row: int) -> str:
        """Where row `row`, counted from 0, is found."""
        return f"{self.where}, {self.unit} {row + self.first}"


def check_classes(where: str, found: Sequence[str], classes: Sequence[str]) -> None:
    """That the classes are the expected ones in the expected order.

    Raises:
        BundleError: one is missing, unknown or there twice, or the order is another.
    """
    remedy = f"the classes are, in order, {', '.join(map(shown, classes))}"
    for name in found:
        if name not in classes:
            raise BundleError(where, f"{shown(name)} is none of the classes", remedy)
    for name in classes:
        if found.count(name) != 1:
            told = f"class {shown(name)} is {'there twice' if name in found else 'missing'}"
            raise BundleError(where, told, remedy)
    if list(found) != list(classes):
        raise BundleError(where, "the classes are in another order", remedy)


def check_columns(where: str, columns: Sequence[str], classes: Sequence[str]) -> None:
    """That the columns are the id and the classes, in order.

    Raises:
        BundleError: as `check_classes`, or the first column is another.
    """
    if not columns or columns[0] != ID:
        told = shown(columns[0]) if columns else "nothing"
        raise BundleError(
            where,
            f"the first column is {told}, not {ID!r}",
            f"the columns are {', '.join(map(shown, (ID, *classes)))}",
        )
    check_classes(where, list(columns[1:]), classes)


def check_rows(where: str, count: int) -> None:
    """That there are rows, and not too many.

    Raises:
        BundleError: there are none or too many.
    """
    if count < 1:
        raise BundleError(where, "there is no prediction", "add a row for each test image")
    if count > MOST_ROWS:
        raise BundleError(where, f"over {MOST_ROWS:,} rows", "give a row for each test image alone")
