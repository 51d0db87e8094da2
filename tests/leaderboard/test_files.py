"""The table as CSV and Parquet: the same rows in both, whatever the parts it comes in."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.leaderboard.columns import COLUMNS, frame
from benchmark.leaderboard.files import Parts

ROWS = [
    {COLUMNS.method: "=1+1", COLUMNS.rank: 1, "auc": 1 / 3, "auc_low": 0.1, "auc_high": 0.9},
    {COLUMNS.method: "plain", COLUMNS.rank: None, "auc": float("nan"), "z\u200bz": 2.0},
    {COLUMNS.method: "", COLUMNS.rank: 2, "f1": 0.25},
]


def written(folder, waiting, *parts):
    waiting.mkdir()
    table = Parts(waiting)
    for rows in parts:
        table.add(frame(rows))
    return [file.read_bytes() for file in table.write(folder)]


@pytest.fixture
def csv_and_parquet(tmp_path):
    written(tmp_path, tmp_path / "waiting", ROWS)
    parquet = pq.read_table(tmp_path / "table.parquet")
    return pd.read_csv(tmp_path / "table.csv", keep_default_na=False), parquet


def test_the_parts_a_table_comes_in_do_not_show(tmp_path):
    whole, _ = written(tmp_path, tmp_path / "whole", ROWS)
    cut, parquet = written(tmp_path, tmp_path / "cut", ROWS[:1], ROWS[1:2], ROWS[2:])
    assert cut == whole
    assert written(tmp_path, tmp_path / "again", ROWS[:1], ROWS[1:2], ROWS[2:])[1] == parquet


def test_parquet_has_types_and_null_where_something_is_missing(csv_and_parquet):
    _, table = csv_and_parquet
    kinds = {name: table.schema.field(name).type for name in ("method", "rank", "auc")}
    assert kinds == {"method": pa.string(), "rank": pa.int64(), "auc": pa.float64()}
    assert table["rank"].to_pylist() == [1, None, 2]
    assert table["auc"].to_pylist() == [1 / 3, None, None]
    assert not table.schema.metadata


def test_text_that_looks_like_a_formula_is_harmless_in_csv_and_itself_in_parquet(csv_and_parquet):
    csv, table = csv_and_parquet
    assert csv["method"].tolist() == ["'=1+1", "plain", ""]
    assert table["method"].to_pylist() == ["=1+1", "plain", ""]


def test_both_have_the_same_columns_in_the_same_order(csv_and_parquet):
    csv, table = csv_and_parquet
    assert list(csv.columns) == table.schema.names
    assert table.schema.names[-5:] == ["auc", "auc_low", "auc_high", "f1", "z\u200bz"]
