"""CSV files and image folders read with every fault named by file and line; shared by the layouts.

What the columns mean is the business of the layout that reads them.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.common.wording import counted
from benchmark.data import images
from benchmark.errors import DataError

MISSING = frozenset({"", "nan", "na", "n/a", "null"})  # compared in lower case
FILL, KEEP_ONE = "fill it in or remove the row", "keep one row for each"  # remedies
ADD_ROW = "add a row or move the file away"
# Faults that one error names.
MOST_FAULTS = 10

Fault = tuple[int | None, str]
"""The line in the file, None where it has none, and what is wrong."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """A CSV file as text.

    Attributes:
        path: the file.
        rows: stripped str cells, "" where missing; the index holds line numbers, from 1.
    """

    path: Path
    rows: pd.DataFrame

    def refuse(self, faults: Sequence[tuple[int, str]], remedy: str) -> None:
        """Raise the `DataError` of the first fault, (line, what), and count the others."""
        if faults:
            line, what = faults[0]
            rest = len(faults) - 1
            others = f" (and {rest} more such {'row' if rest == 1 else 'rows'})" if rest else ""
            raise DataError(f"{self.path}, line {line}: {what}{others}: {remedy}")

    def items(self, column: str) -> Iterable[tuple[int, str]]:
        """(line, cell) of one column."""
        return zip(self.rows.index, self.rows[column], strict=True)

    def empty(self, column: str) -> list[tuple[int, str]]:
        """A fault for each empty cell or NaN in `column`."""
        return [
            (line, f"column {column} is empty") for line, cell in self.items(column) if not cell
        ]

    def require_filled(self, column: str) -> None:
        """Refuse an empty cell or a NaN in `column`."""
        self.refuse(self.empty(column), FILL)

    def require_unique(self, column: str) -> None:
        """Refuse a value of `column` that occurs twice."""
        first: dict[str, int] = {}
        faults = [
            (line, f"{cell!r} is listed twice, first on line {first[cell]}")
            for line, cell in self.items(column)
            if first.setdefault(cell, line) != line
        ]
        self.refuse(faults, KEEP_ONE)

    def numbers(self, column: str) -> pd.Series:
        """`column` as float64, NaN where the cell is empty; indexed by line.

        Raises:
            DataError: a cell is neither empty nor a finite number.
        """
        values = pd.to_numeric(self.rows[column].replace("", "nan"), errors="coerce")
        wrong = (values.isna() | np.isinf(values)) & (self.rows[column] != "")
        self.refuse(
            [
                (line, f"{cell!r} in column {column} is not a number")
                for line, cell in self.items(column)
                if wrong[line]
            ],
            "correct it or leave it empty",
        )
        return values.astype(np.float64)


def refuse_all(source: Path, kinds: Sequence[tuple[Sequence[Fault], str]]) -> None:
    """Refuse a file or folder for all its faults at once; nothing where there are none.

    Args:
        source: the file or folder.
        kinds: faults of one kind and their remedy.

    Raises:
        DataError: the first faults, some of each kind, their remedies, and how many more there are.
    """
    ranked = [
        (rank, kind, fault)
        for kind, (faults, _) in enumerate(kinds)
        for rank, fault in enumerate(faults)
    ]
    if not ranked:
        return
    # The first of each kind before more of the same.
    named = sorted(ranked, key=lambda each: each[:2])[:MOST_FAULTS]
    told = []
    for kind, (_, remedy) in enumerate(kinds):
        own = [_fault_told(fault) for _, of, fault in named if of == kind]
        if own:
            told.append(f"{', '.join(own)}: {remedy}")
    if len(ranked) == 1:
        line, _ = ranked[0][2]
        raise DataError(f"{source}{':' if line is None else ','} {told[0]}")
    rest = len(ranked) - len(named)
    more = f"; and {rest:,} more" if rest else ""
    raise DataError(f"{source} has {len(ranked):,} faults: {'; '.join(told)}{more}")


def _fault_told(fault: Fault) -> str:
    line, what = fault
    return what if line is None else f"line {line}: {what}"


def read_sheet(path: Path, required: Iterable[str] = ()) -> Sheet:
    """Read a CSV file with a header line; the separator is the header's: comma, semicolon or tab.

    Blank lines and columns without a name and content are dropped; cells that say "nan", "NA",
    "N/A" or "null" count as empty.

    Raises:
        DataError: missing, unreadable, not UTF-8, no header, a repeated or missing column, a row
            of another length than the header.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}): check the path and its permissions"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: save it as a CSV file in UTF-8") from error
    header_line, *_ = text.split("\n")
    separator = max(",;\t", key=header_line.count)
    # A stream: `splitlines` ends a line at signs that a cell may hold, such as U+2028. strict: an
    # unclosed quote would otherwise swallow the rest of the file.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        lines: dict[int, list[str]] = {}
        for row in reader:
            if any(row):
                lines[reader.line_num] = [cell.strip() for cell in row]
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: {error}: check the quotes in this line"
        ) from error
    if not any(header):
        raise DataError(f"{path} is empty: it needs a header line and one row per image")
    sheet = Sheet(path, _frame(path, header, lines))
    for column in required:
        if column not in sheet.rows:
            raise DataError(
                f"{path}, line 1: column {column} is missing; the columns are"
                f" {', '.join(sheet.rows.columns)}: add it"
            )
    if sheet.rows.empty:
        raise DataError(f"{path} has a header and no rows: add one row per image")
    return sheet


def _frame(path: Path, header: list[str], lines: dict[int, list[str]]) -> pd.DataFrame:
    width = len(header)
    for line, cells in lines.items():
        if len(cells) != width:
            raise DataError(
                f"{path}, line {line}: {len(cells)} cells where the header has {width}: complete"
                " the row, or quote cells that contain the separator"
            )
    rows = [["" if cell.lower() in MISSING else cell for cell in row] for row in lines.values()]
    cells_of = [[row[position] for row in rows] for position in range(width)]
    # Spreadsheets append nameless empty columns.
    kept = [p for p in range(width) if header[p] or any(cells_of[p])]
    names = [header[p] or f"unnamed {p + 1}" for p in kept]
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{path}, line 1: column {name} occurs twice: rename or remove one")
    frame = pd.DataFrame({name: cells_of[p] for name, p in zip(names, kept, strict=True)})
    return frame.set_axis(pd.Index(list(lines), name="line", dtype=int))


def image_files(folder: Path) -> dict[str, Path]:
    """The image files directly in `folder` by name without suffix, sorted; other files are passed.

    Raises:
        DataError: the folder is missing, or two images differ in their suffix only.
    """
    found: dict[str, Path] = {}
    for path in sorted(listing(folder)):
        if path.suffix.lower() not in images.SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in found:
            raise DataError(
                f"{folder} holds both {found[path.stem].name} and {path.name}: keep one of them"
            )
        found[path.stem] = path
    return found


def files_below(folder: Path) -> dict[str, Path]:
    """The images in `folder` and its folders, by id: the relative path without suffix.

    Raises:
        DataError: the folder is missing, or two images differ in their suffix only.
    """
    listing(folder)
    files: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in images.SUFFIXES and not path.name.startswith("."):
            stem = path.relative_to(folder).with_suffix("").as_posix()
            if stem in files:
                raise DataError(f"{files[stem]} and {path} differ in suffix only: keep one of them")
            files[stem] = path
    return files


def image_id(cell: str) -> str:
    """The id, as `files_below` has it, of the image that a cell names with or without suffix."""
    name = Path(cell)
    # A dot may be part of a name that is written without its suffix.
    has_suffix = name.suffix.lower() in images.SUFFIXES
    return (name.with_suffix("") if has_suffix else name).as_posix()


def listing(folder: Path) -> list[Path]:
    """What lies in `folder`.

    Raises:
        DataError: the folder is missing or may not be read.
    """
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise DataError(
            f"folder {folder} cannot be read ({error.strerror}): check the path and its permissions"
        ) from error


def match_images(sheet: Sheet, column: str, files: dict[str, Path], folder: Path) -> list[Path]:
    """The file of every row, by the id in `column`.

    Raises:
        DataError: an id without an image.
    """
    faults = [
        (line, f"image {cell!r} is not in {folder}")
        for line, cell in sheet.items(column)
        if cell not in files
    ]
    sheet.refuse(faults, "add the file or remove the row")
    return [files[cell] for _, cell in sheet.items(column)]


def refuse_unlabelled(files: dict[str, Path], known: Iterable[str], source: Path) -> None:
    """Refuse images that no row speaks of.

    Raises:
        DataError: naming the first such file and counting the others.
    """
    strays = sorted(set(files) - set(known))
    if strays:
        more = f" (and {counted(len(strays) - 1, 'more image')})" if len(strays) > 1 else ""
        raise DataError(f"{files[strays[0]]} has no label in {source}{more}: {ADD_ROW}")


def maskless(ids: Iterable[str], masked: Iterable[str]) -> list[str]:
    """The note on images that have no mask, if there are such."""
    bare = len(set(ids) - set(masked))
    return [f"{counted(bare, 'image has', 'images have')} no mask."] if bare else []


def refuse_empty_classes(labels: Iterable[int], classes: Sequence[str], source: Path) -> None:
    """Refuse a data set in which a class has no sample.

    Raises:
        DataError: naming the classes.
    """
    empty = [name for index, name in enumerate(classes) if index not in set(labels)]
    if empty:
        raise DataError(
            f"{source} has no image of {', '.join(empty)}: add images of every class, or read the"
            " images of the other classes with the layout 'folder'"
        )
