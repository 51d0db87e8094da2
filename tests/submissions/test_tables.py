"""CSV, Parquet and npz: the same table from each, and a sentence for each fault."""

import io
import zipfile

import bundles_made
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.submissions import columns, parquet, tables
from benchmark.submissions.faults import BundleError

CLASSES = ("a", "b")
TABLE = pd.DataFrame({"id": ["x", "ü,1"], "a": [0.25, 1.0], "b": [0.75, 0.0]})


def _csv(content, classes=CLASSES):
    return tables.read("p.csv", "p.csv", content, classes)


def _refused(name, content, told):
    with pytest.raises(BundleError, match=told) as caught:
        tables.read(name, name, content, CLASSES)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".npz"])
def test_every_format_says_the_same(tmp_path, ending):
    path = bundles_made.write(TABLE, tmp_path / f"p{ending}")
    found = tables.read("p", path.name, path.read_bytes(), CLASSES)
    assert found.ids == ("x", "ü,1")
    np.testing.assert_array_equal(found.probabilities, [[0.25, 0.75], [1, 0]])
    assert found.place(0) == ("p, line 2" if ending == ".csv" else "p, row 1")


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfid,a,b\nx,.25,7.5e-1\n",
        b"id,a,b\r\nx,0.25,0.75\r\n",
        b"id,a,b\nx,0.25,0.75",
        b'"id","a","b"\n"x","0.25",+0.75\n',
    ],
)
def test_a_byte_order_mark_line_ends_and_quotes_are_read(content):
    found = _csv(content)
    assert found.ids == ("x",)
    assert found.probabilities.tolist() == [[0.25, 0.75]]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the file is empty: give the columns id,a,b"),
        (b"\xef\xbb\xbf", "the first column"),
        (b"\n", "the first column is nothing"),
        (b"id,a,b\n", "there is no prediction"),
        (b"image,a,b\nx,1,0\n", "line 1: the first column is 'image', not 'id'"),
        (b"id,b,a\nx,1,0\n", "line 1: the classes are in another order: .* 'a', 'b'"),
        (b"id,a\nx,1\n", "class 'b' is missing"),
        (b"id,a,b,true\nx,1,0,a\n", "'true' is none of the classes"),
        (b"id,a,b,b\nx,1,0,0\n", "class 'b' is there twice"),
        (b"id,a, b\nx,1,0\n", "' b' is none of the classes"),
        (b"id,a,b\nx,0,5,0,5\n", "line 2: 5 fields for 3 columns"),
        (b"id,a,b\nx,1,0\n\ny,1,0\n", "line 3: 1 fields for 3 columns"),
        (b"id;a;b\nx;1;0\n", "line 1: the columns are separated by ';': separate by commas"),
        (b'"id"\t"a"\t"b"\nx\t1\t0\n', r"separated by '\\t': separate by commas"),
        (b"id,a,b\nx,1,\n", "line 2: class 'b' has ''"),
        (b"id,a,b\nx,1,null\n", "class 'b' has 'null'"),
        (b"id,a,b\nx,1_0,0\n", "class 'a' has '1_0'"),
        (b"id,a,b\nx,0x1,0\n", "class 'a' has '0x1'"),
        ("id,a,b\nx,\u0660,1\n".encode(), "class 'a' has '\u0660'"),
        (b"id,a,b\nx,=1+1,0\n", r"class 'a' has '=1\+1'"),
        (b'id,a,b\n"x\ny",1,0\n', "line 2: a quote is not closed"),
        (b'id,a,b\n"x"y,1,0\n', "line 2: a quote is not closed, or something stands"),
        (b"id,a,b\rx,1,0\r", "line 1: a quote is not closed|line 1"),
        (b"id,a,b\nx,1,0\n\xff\xfe,1,0\n", "line 3: it is not UTF-8"),
        ("id,a,b\nx,1,0\n".encode("utf-16"), "line 1: it is not UTF-8"),
        ("id,ä,b\n".encode("latin-1"), "it is not UTF-8"),
        (b"id,a,b\n" + b"x" * 70_000 + b",1,0\n", "line 2: 70,004 characters, 65,536 are"),
        (b"id,a,b\nx,1," + b"9" * 60_000 + b"z\n", "class 'b' has '999"),
        (b"\x80\x04\x95", "not UTF-8"),
        (b"PK\x03\x04nested", "the first column"),
    ],
)
def test_a_faulty_csv_file_is_refused_by_line(content, told):
    _refused("p.csv", content, told)


def test_rows_are_bounded(monkeypatch, tmp_path):
    monkeypatch.setattr(columns, "MOST_ROWS", 1)
    for ending in (".csv", ".parquet", ".npz"):
        path = bundles_made.write(TABLE, tmp_path / f"p{ending}")
        _refused(path.name, path.read_bytes(), "over 1 rows")


def test_unknown_formats_are_refused():
    for name in ("p.pkl", "p.txt", "p", "p.json"):
        _refused(name, b"x", "unknown format: give one of .csv, .parquet, .npz")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_refused(content):
    for name in ("p.csv", "p.parquet", "p.npz"):
        try:
            found = tables.read(name, name, b"id,a,b\n" * (name == "p.csv") + content, CLASSES)
        except BundleError as error:
            bundles_made.check_plain(error)
        else:
            assert found.probabilities.shape == (len(found.ids), 2)


class Bomb:
    """Fails the test when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("it was unpickled",))


def _npz(**arrays):
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


SAID = {
    "ids": np.array(["x", "y"]),
    "classes": np.array(CLASSES),
    "probabilities": np.array([[1.0, 0.0], [0.5, 0.5]]),
}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"ids": np.array([Bomb(), Bomb()], object)}, "only numbers and text"),
        ({"ids": np.array([1, 2])}, "ids is int64"),
        ({"ids": np.array([["x", "y"]])}, "ids is .* give text"),
        ({"classes": np.array(["b", "a"])}, "in another order"),
        ({"classes": np.array(["a", "c"])}, "'c' is none"),
        ({"probabilities": np.array([[1, 0], [0, 1]])}, "probabilities is int64"),
        (
            {"probabilities": np.array([[1.0, 0.0]])},
            r"shape \(1, 2\): give floats of shape \(2, 2\)",
        ),
        ({"probabilities": np.zeros((2, 2), "V8")}, "only numbers and text"),
        ({"maps": np.zeros(3)}, "more than 3 files"),
        ({"maps": np.zeros(3), "classes": None}, "the arrays are 'ids', 'maps', 'probabilities'"),
        ({"ids": np.array([], str), "probabilities": np.zeros((0, 2))}, "there is no prediction"),
        ({"probabilities": np.zeros((1 << 18, 2))}, "more than 200 times its size"),
    ],
)
def test_a_faulty_archive_is_refused(change, told):
    arrays = {name: array for name, array in (SAID | change).items() if array is not None}
    _refused("p.npz", _npz(**arrays), told)


def test_a_pickle_in_an_archive_is_not_loaded():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in ("ids", "classes", "probabilities.pkl"):
            archive.writestr(name, b"\x80\x04cos\nsystem\n(S'id'\ntR.")
    _refused("p.npz", stream.getvalue(), "is no array")


def _parquet(table, **options):
    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    return stream.getvalue()


def _arrow(**columns):
    return pa.table({"id": ["x", "y"], "a": [1.0, 0.5], "b": [0.0, 0.5]} | columns)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"id": [1, 2]}, "column 'id' is NONE in INT64: text is needed"),
        ({"id": [b"x", b"y"]}, "column 'id' is NONE in BYTE_ARRAY"),
        ({"a": ["1", "0"]}, "column 'a' is STRING in BYTE_ARRAY: float32 or float64"),
        ({"a": [1, 0]}, "column 'a' is NONE in INT64"),
        ({"a": pa.array(np.array([1.0, 0.0], np.float16))}, "column 'a' is FLOAT16"),
        ({"a": [[1.0], [0.5]]}, "is none of the classes"),
        ({"a": [{"x": 1.0}, {"x": 1.0}]}, "is none of the classes"),
        ({"c": [1.0, 0.0]}, "'c' is none of the classes"),
        ({"__index_level_0__": [0, 1]}, "'__index_level_0__' is none of the classes"),
    ],
)
def test_a_parquet_file_of_other_columns_is_refused(columns, told):
    _refused("p.parquet", _parquet(_arrow(**columns)), told)


def test_the_order_of_parquet_columns_counts():
    table = _arrow().select(["id", "b", "a"])
    _refused("p.parquet", _parquet(table), "in another order")


def test_a_missing_number_is_nan_and_a_missing_id_is_empty():
    table = _arrow(id=["x", None], a=[None, 0.5])
    found = tables.read("p", "p.parquet", _parquet(table), CLASSES)
    assert found.ids == ("x", "")
    assert np.isnan(found.probabilities[0, 0])


def test_what_pandas_notes_in_the_file_decides_nothing():
    noted = {b"pandas": b'{"index_columns": ["id"], "columns": [{"name": "b", "pandas_type": '}
    content = _parquet(_arrow().replace_schema_metadata(noted))
    assert tables.read("p", "p.parquet", content, CLASSES).ids == ("x", "y")


def test_a_schema_of_arrows_own_that_is_damaged_is_refused():
    noted = {b"ARROW:schema": b"\xff not base64"}
    content = _parquet(_arrow().replace_schema_metadata(noted))
    _refused("p.parquet", content, "no sound Parquet file")


def test_a_type_that_brings_its_own_code_is_not_loaded():
    """Arrow once unpickled such types from the schema that it keeps in the file."""
    field = pa.field(
        "a",
        pa.float64(),
        metadata={
            b"ARROW:extension:name": b"arrow.py_extension_type",
            b"ARROW:extension:metadata": b"\x80\x04cos\nsystem\n(S'id'\ntR.",
        },
    )
    schema = pa.schema([pa.field("id", pa.string()), field, pa.field("b", pa.float64())])
    found = tables.read("p", "p.parquet", _parquet(_arrow().cast(schema)), CLASSES)
    assert found.probabilities.tolist() == [[1, 0], [0.5, 0.5]]


@pytest.mark.parametrize("compression", ["snappy", "gzip", "zstd", "brotli", "lz4", "none"])
def test_every_compression_of_parquet_is_read(compression):
    found = tables.read("p", "p.parquet", _parquet(_arrow(), compression=compression), CLASSES)
    assert found.ids == ("x", "y")


def test_a_parquet_file_that_swells_is_refused_by_its_footer():
    table = pa.table({"id": ["x" * (1 << 24)], "a": [1.0], "b": [0.0]})
    content = _parquet(table, compression="zstd", use_dictionary=False, write_statistics=False)
    _refused("p.parquet", content, "it unpacks to over 200 times its size")


def test_one_long_id_a_million_times_takes_no_room():
    ids = pa.DictionaryArray.from_arrays(np.zeros(200_000, np.int32), ["x" * 100_000])
    table = pa.table({"id": ids, "a": np.ones(200_000), "b": np.zeros(200_000)})
    _refused("p.parquet", _parquet(table), "an id has 100,000 bytes")


def test_a_large_parquet_file_is_refused_by_its_footer(monkeypatch):
    monkeypatch.setattr(parquet, "MOST_BYTES", 100)
    _refused("p.parquet", _parquet(_arrow()), r"it unpacks to \d+ bytes, over 100")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_damaged_parquet_file_is_refused_or_read(data):
    content = bytearray(_parquet(_arrow()))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = tables.read("p", "p.parquet", bytes(content), CLASSES)
    except BundleError as error:
        bundles_made.check_plain(error)
    else:
        assert found.probabilities.shape == (len(found.ids), 2)


@pytest.mark.parametrize("beyond", [2, -1])
def test_a_place_beyond_the_list_of_ids_is_refused(beyond):
    """Arrow reads it from a damaged file without a word."""
    places, names = pa.array([0, beyond], pa.int32()), pa.array(["x", "y"])
    column = pa.DictionaryArray.from_arrays(places, names, safe=False)
    with pytest.raises(BundleError, match="an id is not in the file's own list of ids"):
        parquet._ids("p.parquet", column)


def test_bytes_that_are_not_text_are_no_id():
    table = pa.table({"id": pa.array([b"\xff\xfe", b"y"]), "a": [1.0, 0.5], "b": [0.0, 0.5]})
    column = table["id"].combine_chunks().view(pa.string())
    _refused("p.parquet", _parquet(table.set_column(0, "id", column)), "an id is not UTF-8")
