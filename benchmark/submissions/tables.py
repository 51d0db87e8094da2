"""Predictions from CSV, Parquet or npz as one table: what a file says, not whether it is right."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

import numpy as np

from benchmark.common.archives import arrays_in
from benchmark.errors import DataError
from benchmark.submissions.bundle import check_plain_zip
from benchmark.submissions.columns import (
    ID,
    MOST_BYTES,
    Table,
    check_classes,
    check_columns,
    check_rows,
)
from benchmark.submissions.faults import BundleError, shown

# Characters of a line: the split files have none nearly as long.
_MOST_LINE = 1 << 16
# Every sign can match in one way only, so that a long field takes no longer than its length.
_NUMBER = re.compile(
    r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?|[+-]?(?:nan|inf|infinity)",
    re.ASCII | re.IGNORECASE,
)
# What spreadsheets separate by where the comma is for decimals, or when asked to.
_NOT_COMMAS = (";", "\t", "|")
_ARRAYS = ("ids", "classes", "probabilities")


def read(where: str, name: str, content: bytes, classes: Sequence[str]) -> Table:
    """The predictions of a file, in the format that the ending of its name says.

    Args:
        where: the file, for sentences.
        name: its name.
        content: its bytes.
        classes: K names that the columns must have, in order.

    Raises:
        BundleError: the file cannot be read, or its columns are not the id and the classes in
            order.
    """
    reader = _READERS.get(PurePosixPath(name).suffix.lower())
    if reader is None:
        raise BundleError(where, "unknown format", f"give one of {', '.join(_READERS)}")
    if not content:
        raise BundleError(where, "the file is empty", f"give the columns id,{','.join(classes)}")
    return reader(where, content, classes)


def _from_csv(where: str, content: bytes, classes: Sequence[str]) -> Table:
    lines = _lines(where, content)
    for sign in _NOT_COMMAS:
        if lines[0].replace('"', "").startswith(f"{ID}{sign}"):
            raise BundleError(
                f"{where}, line 1",
                f"the columns are separated by {sign!r}",
                "separate by commas, decimals behind a point",
            )
    check_columns(f"{where}, line 1", _fields(where, 1, lines[0]), classes)
    check_rows(where, len(lines) - 1)
    ids, rows = [], np.empty((len(lines) - 1, len(classes)))
    for row, line in enumerate(lines[1:]):
        sample, *numbers = _fields(where, row + 2, line) or [""]
        if len(numbers) != len(classes):
            raise BundleError(
                f"{where}, line {row + 2}",
                f"{len(numbers) + 1} fields for {len(classes) + 1} columns",
                "give an id and a number for each class, decimals behind a point",
            )
        for name, number in zip(classes, numbers, strict=True):
            if not _NUMBER.fullmatch(number):
                raise BundleError(
                    f"{where}, line {row + 2}",
                    f"class {shown(name)} has {shown(number)}",
                    "give a number such as 0.25",
                )
        ids.append(sample)
        rows[row] = [float(number) for number in numbers]
    return Table(where, "line", 2, tuple(ids), rows)


def _lines(where: str, content: bytes) -> list[str]:
    try:
        # A mark of byte order, which Excel writes, is left out.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BundleError(
            f"{where}, line {line}", "it is not UTF-8 text", "save it in UTF-8"
        ) from None
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    for number, each in enumerate(lines, 1):
        if len(each) > _MOST_LINE:
            raise BundleError(
                f"{where}, line {number}",
                f"{len(each):,} characters, {_MOST_LINE:,} are allowed",
                "give an id and a number for each class",
            )
    return lines


def _fields(where: str, number: int, line: str) -> list[str]:
    # Line by line, so that a quote which is left open ends with its line.
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error:
        raise BundleError(
            f"{where}, line {number}",
            "a quote is not closed, or something stands behind it",
            "no field may hold a line break, and a quote within quotes is written twice",
        ) from None


def _from_npz(where: str, content: bytes, classes: Sequence[str]) -> Table:
    check_plain_zip(where, content, len(_ARRAYS))
    try:
        arrays = arrays_in(io.BytesIO(content), where, MOST_BYTES)
    except DataError as error:
        raise BundleError(where, shown(error), "write it with numpy.savez_compressed") from None
    except (ValueError, OSError) as error:
        raise BundleError(where, shown(error), "write it with numpy.savez_compressed") from None
    if set(arrays) != set(_ARRAYS):
        raise BundleError(
            where,
            f"the arrays are {', '.join(map(shown, sorted(arrays)))}",
            f"give {', '.join(_ARRAYS)} and no other",
        )
    ids, names, said = (arrays[name] for name in _ARRAYS)
    for name, array in (("ids", ids), ("classes", names)):
        if array.ndim != 1 or array.dtype.kind != "U":
            raise BundleError(
                where, f"{name} is {array.dtype} of shape {array.shape}", "give text of shape (N,)"
            )
    check_classes(where, names.tolist(), classes)
    if said.dtype.kind != "f" or said.shape != (len(ids), len(classes)):
        raise BundleError(
            where,
            f"probabilities is {said.dtype} of shape {said.shape}",
            f"give floats of shape ({len(ids)}, {len(classes)})",
        )
    check_rows(where, len(ids))
    return Table(where, "row", 1, tuple(ids.tolist()), said.astype(np.float64))


def _from_parquet(where: str, content: bytes, classes: Sequence[str]) -> Table:
    from benchmark.submissions.parquet import read_columns

    ids, said = read_columns(where, content, classes)
    return Table(where, "row", 1, ids, said)


_READERS: dict[str, Callable[[str, bytes, Sequence[str]], Table]] = {
    ".csv": _from_csv,
    ".parquet": _from_parquet,
    ".npz": _from_npz,
}
