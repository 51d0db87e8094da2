"""Parquet that nobody vouches for: what its footer promises is checked before a page is read.

Only the format's own types are looked at. What pandas or Arrow noted beside them decides nothing.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.common.archives import MOST_RATIO
from benchmark.submissions.columns import ID, MOST_BYTES, MOST_ID, check_columns, check_rows
from benchmark.submissions.faults import BundleError, shown

# Of the footer: of one text in it, and of one list. A file that pandas writes is far below both.
_MOST_TEXT, _MOST_LIST = 1 << 20, 1 << 16
_BATCH = 1 << 14
_SMALL = 1 << 20
_REMEDY = "write plain columns, such as with pandas' to_parquet(..., index=False)"


def read_columns(
    where: str, content: bytes, classes: Sequence[str]
) -> tuple[tuple[str, ...], np.ndarray]:
    """The column `id` and the columns of the classes.

    Returns:
        N ids and (N, K) float64; NaN where a number is missing.

    Raises:
        BundleError: it is no Parquet file, too large, or its columns are of other names or types.
    """
    try:
        file = pq.ParquetFile(
            pa.BufferReader(content),
            # Each text once, however often it occurs: a few bytes could stand for a terabyte.
            read_dictionary=[ID],
            thrift_string_size_limit=_MOST_TEXT,
            thrift_container_size_limit=_MOST_LIST,
            page_checksum_verification=True,
        )
        _check(where, file.metadata, classes, len(content))
        batches = list(file.iter_batches(_BATCH, use_threads=False))
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError) as error:
        raise BundleError(where, f"no sound Parquet file ({shown(error)})", _REMEDY) from None
    ids = [sample for batch in batches for sample in _ids(where, batch.column(0))]
    said = [
        np.column_stack([_numbers(batch.column(at + 1)) for at in range(len(classes))])
        for batch in batches
    ]
    check_rows(where, len(ids))
    return tuple(ids), np.concatenate(said)


def _check(where: str, footer: Any, classes: Sequence[str], length: int) -> None:
    columns = [footer.schema.column(at) for at in range(footer.num_columns)]
    check_columns(where, [column.path for column in columns], classes)
    for column in columns:
        nested = column.max_repetition_level or column.max_definition_level > 1
        kind = column.physical_type
        if nested or not _expected(kind, column.logical_type.type, column.name == ID):
            told = "nested" if nested else f"{column.logical_type.type} in {kind}"
            needed = "text" if column.name == ID else "float32 or float64"
            raise BundleError(
                where, f"column {shown(column.name)} is {told}", f"{needed} is needed, {_REMEDY}"
            )
    check_rows(where, footer.num_rows)
    # Of a damaged footer Arrow aborts when it is asked for more than the sums of its parts.
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    if sum(group.num_rows for group in groups) != footer.num_rows:
        raise BundleError(where, "its parts have other numbers of rows than the whole", _REMEDY)
    sizes = [group.total_byte_size for group in groups]
    whole = sum(sizes)
    if min(sizes, default=0) < 0 or whole > max(_SMALL, MOST_RATIO * length):
        raise BundleError(where, f"it unpacks to over {MOST_RATIO} times its size", _REMEDY)
    if whole > MOST_BYTES:
        raise BundleError(where, f"it unpacks to {whole:,} bytes, over {MOST_BYTES:,}", _REMEDY)


def _expected(physical: str, logical: str, of_id: bool) -> bool:
    if of_id:
        return physical == "BYTE_ARRAY" and logical == "STRING"
    return physical in ("FLOAT", "DOUBLE") and logical == "NONE"


def _ids(where: str, column: Any) -> list[str]:
    known = column.dictionary
    longest = max((value.as_buffer().size for value in known if value.is_valid), default=0)
    if longest > MOST_ID:
        raise BundleError(where, f"an id has {longest:,} bytes", f"{MOST_ID:,} are allowed")
    try:
        names = known.to_pylist()
    except UnicodeDecodeError:
        raise BundleError(where, "an id is not UTF-8 text", "save the ids in UTF-8") from None
    places = column.indices.to_pylist()
    # Arrow does not look whether a damaged file points beyond its dictionary.
    if any(at is not None and not 0 <= at < len(names) for at in places):
        raise BundleError(where, "an id is not in the file's own list of ids", _REMEDY)
    # An id that is missing is told as one that is no test image.
    return ["" if at is None else names[at] or "" for at in places]


def _numbers(column: Any) -> np.ndarray:
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)
