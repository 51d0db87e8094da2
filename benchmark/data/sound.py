"""What every layout must give, whoever wrote it: a `Dataset` that the rest of the suite can read.

What the files hold is the business of the layouts and of `check`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from benchmark.data.dataset import MASK_COLUMNS, SAMPLE_COLUMNS, SPLITS, UNLABELLED, Dataset
from benchmark.errors import UserError

# Files of an npz archive are text, too, so a path is not a Path.
_TEXT = {
    "path": "str(path)",
    "group": "str(...), and the sample's own id where nothing else is known",
    "id": "the id of its image, str",
    "annotator": "a name, str",
    "characteristic": 'str, "" for a whole lesion',
}


def require_sound(name: str, found: Any) -> None:
    """Refuse what a layout gives where its columns do not hold what `Dataset` says.

    Args:
        name: under which the layout is registered.
        found: what its `read` gave.

    Raises:
        UserError: naming the first such column, a row, and what belongs there.
    """
    where = f"the layout of dataset {name!r}"
    if not isinstance(found, Dataset):
        raise UserError(f"{where}: read gave {type(found).__name__}, expected a Dataset")
    if found.name != name:
        raise UserError(f"{where} calls its data {found.name!r}: use one name")
    table, masks = found.table, found.masks
    if table.empty:
        raise UserError(f"{where} found no image in {found.root}")
    grades = [disease.column for disease in found.diseases]
    _require_columns(where, "table", table, [*SAMPLE_COLUMNS, *grades])
    _require_columns(where, "masks", masks, MASK_COLUMNS)
    _refuse(where, "id", table.index, table.index, _text, "str in the index of the table")
    if not table.index.is_unique:
        twice = table.index[table.index.duplicated()][0]
        raise UserError(f"{where}: id {twice!r} is there twice: give each image one of its own")
    for column in ("path", "group"):
        _refuse(where, column, table.index, table[column], _text, _TEXT[column])
    for column in MASK_COLUMNS:
        _refuse(where, f"masks.{column}", masks["id"], masks[column], _text, _TEXT[column])
    parts = ", ".join(f'"{part}"' for part in SPLITS)
    _refuse(where, "split", table.index, table["split"], _part, f'{parts}, or "" for no part')
    of_each = {"label": found.classes} | {d.column: d.grades for d in found.diseases}
    for column, names in of_each.items():
        told = f"a whole number from 0 to {len(names) - 1}, or {UNLABELLED} for none"
        _refuse(where, column, table.index, table[column], _index_below(len(names)), told)
    known = set(table.index)
    _refuse(where, "masks.id", masks["id"], masks["id"], known.__contains__, "the id of an image")


def _require_columns(where: str, what: str, frame: pd.DataFrame, columns: Any) -> None:
    lacking = [column for column in columns if column not in frame]
    if lacking:
        raise UserError(f"{where}: {what} lacks the column {', '.join(lacking)}: add it")


def _refuse(
    where: str, column: str, ids: Any, values: Any, fits: Callable[[Any], bool], wanted: str
) -> None:
    for sample, value in zip(ids, values, strict=True):
        if not fits(value):
            raise UserError(
                f"{where}, image {sample!r}: column {column} holds {value!r}"
                f" ({type(value).__name__}), expected {wanted}"
            )


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _part(value: Any) -> bool:
    return isinstance(value, str) and value in ("", *SPLITS)


def _index_below(count: int) -> Callable[[Any], bool]:
    def fits(value: Any) -> bool:
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        return whole and UNLABELLED <= int(value) < count

    return fits
