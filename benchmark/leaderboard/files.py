"""The whole table as files: CSV for spreadsheets, Parquet for programs.

The table comes part by part and memory holds one part; which columns there are is known only after
the last one, so parts wait on the disk until then.
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.common.files import atomic_path
from benchmark.common.spreadsheet import no_formulas
from benchmark.leaderboard.columns import COUNTS, ordered, texts

CSV, PARQUET = "table.csv", "table.parquet"


class Parts:
    """Parts of the table, put aside in a folder until all of its columns are known."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[Path] = []
        self._columns: set[str] = set()

    def add(self, part: pd.DataFrame) -> None:
        """Put aside the rows that come next; a table of `columns.frame`."""
        file = self._folder / f"{len(self._files)}.parquet"
        pq.write_table(_typed(part, list(part.columns)), file)
        self._files.append(file)
        self._columns |= set(part.columns)

    def write(self, folder: Path) -> list[Path]:
        """Write `table.csv` and `table.parquet`, atomically. The same parts give the same bytes.

        In the Parquet file names are as the records have them, scores are not rounded and what is
        missing is null; in the CSV file no text is a formula.

        Returns:
            The files.
        """
        schema = pa.schema([(column, _type(column)) for column in ordered(self._columns)])
        with (
            atomic_path(folder / CSV) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as csv,
        ):
            for at, part in enumerate(self._read(schema)):
                rows = no_formulas(_frame(part))
                rows.to_csv(
                    csv, index=False, header=at == 0, float_format="%.6f", lineterminator="\n"
                )
        with (
            atomic_path(folder / PARQUET) as temporary,
            pq.ParquetWriter(temporary, schema, compression="zstd") as parquet,
        ):
            for part in self._read(schema):
                parquet.write_table(part)
        return [folder / CSV, folder / PARQUET]

    def _read(self, schema: pa.Schema) -> Iterator[pa.Table]:
        for file in self._files:
            found = pq.read_table(file)
            yield pa.table(
                [
                    found[name] if name in found.schema.names else pa.nulls(len(found), kind)
                    for name, kind in zip(schema.names, schema.types, strict=True)
                ],
                schema=schema,
            )


def _type(column: str) -> pa.DataType:
    if column in texts():
        return pa.string()
    return pa.int64() if column in COUNTS else pa.float64()


def _typed(part: pd.DataFrame, columns: list[str]) -> pa.Table:
    # Not `Table.from_pandas`: it notes pandas' version in the file.
    return pa.table(
        {name: pa.array(part[name], type=_type(name), from_pandas=True) for name in columns}
    )


def _frame(part: pa.Table) -> pd.DataFrame:
    # Whole numbers stay whole beside missing ones.
    return part.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
