"""CSV files and folders of images: each fault has one line that names file, line and remedy."""

import numpy as np
import pytest

from benchmark.data.layouts import tables
from benchmark.errors import DataError


@pytest.fixture
def write(tmp_path):
    def write(text, **options):
        path = tmp_path / "t.csv"
        path.write_bytes(text.encode(options.get("encoding", "utf-8")))
        return path

    return write


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_separator_and_line_ends_are_recognised(write, separator, end):
    text = end.join(separator.join(row) for row in (["a", "b"], [" 1 ", "x y"], ["2", ""]))
    sheet = tables.read_sheet(write(text))
    assert sheet.rows.to_dict("list") == {"a": ["1", "2"], "b": ["x y", ""]}
    assert list(sheet.rows.index) == [2, 3]


def test_byte_order_mark_blank_lines_and_quotes_are_read(write):
    sheet = tables.read_sheet(write('\ufeffa,b\n\n"1,5",x\n\n2,"y ""z"""\n'), ("a", "b"))
    assert sheet.rows.to_dict("list") == {"a": ["1,5", "2"], "b": ["x", 'y "z"']}
    assert list(sheet.rows.index) == [3, 5]


@pytest.mark.parametrize("sign", ["\u2028", "\x0b", "\x85", "\x1c"])
def test_a_cell_may_hold_signs_that_end_lines_elsewhere(write, sign):
    sheet = tables.read_sheet(write(f"a,b\n1,x{sign}y\n2,z\n"))
    assert sheet.rows["b"].to_list() == [f"x{sign}y", "z"]
    assert list(sheet.rows.index) == [2, 3]


def test_nameless_empty_columns_of_spreadsheets_are_dropped(write):
    sheet = tables.read_sheet(write("a,b,,\n1,2,,\n"))
    assert list(sheet.rows.columns) == ["a", "b"]


@pytest.mark.parametrize("cell", ["", "nan", "NaN", "NA", "n/a", "null"])
def test_every_spelling_of_missing_is_empty(write, cell):
    sheet = tables.read_sheet(write(f"a,b\n{cell},1\n"))
    with pytest.raises(DataError, match=r"t\.csv, line 2: column a is empty"):
        sheet.require_filled("a")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is empty"),
        ("c,d\n", "has a header and no rows"),
        ("a,b\n1,2\n", "line 1: column c is missing; the columns are a, b"),
        ("c,c\n1,2\n", "line 1: column c occurs twice"),
        ("c,d\n1,2\n1,2,3\n", "line 3: 3 cells where the header has 2"),
        ("c,d\n1\n", "line 2: 1 cells where the header has 2"),
        ('c,d\n"1,2\n3,4\n', r"line \d: unexpected end of data"),
    ],
)
def test_malformed_file_is_refused_with_its_line(write, text, fault):
    with pytest.raises(DataError, match=fault) as caught:
        tables.read_sheet(write(text), ("c",))
    assert "t.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_file_that_is_missing_or_no_text_is_refused(tmp_path, write):
    with pytest.raises(DataError, match="cannot be read"):
        tables.read_sheet(tmp_path / "none.csv")
    with pytest.raises(DataError, match="not UTF-8"):
        tables.read_sheet(write("a\nä\n", encoding="latin-1"))


def test_first_fault_is_named_and_the_others_counted(write):
    sheet = tables.read_sheet(write("a\nx\ny\nx\ny\nx\n"))
    with pytest.raises(
        DataError, match=r"line 4: 'x' is listed twice, first on line 2 \(and 2 more such rows\)"
    ):
        sheet.require_unique("a")


def test_all_faults_are_refused_at_once_some_of_each_kind(tmp_path):
    path = tmp_path / "t.csv"
    tables.refuse_all(path, [([], "do this")])
    with pytest.raises(DataError) as one:
        tables.refuse_all(path, [([], "do this"), ([(3, "odd")], "do that")])
    assert str(one.value) == f"{path}, line 3: odd: do that"
    many = [(line, "odd") for line in range(2, 22)]
    with pytest.raises(DataError) as caught:
        tables.refuse_all(path, [(many, "do this"), ([(None, "a file is bad")], "do that")])
    told = str(caught.value)
    assert told.startswith(f"{path} has 21 faults: line 2: odd, line 3: odd, ")
    assert told.endswith("line 10: odd: do this; a file is bad: do that; and 11 more")


def test_numbers_are_floats_with_nan_where_empty(write):
    values = tables.read_sheet(write("a,b\n1.5,x\n,y\n-2,z\n")).numbers("a")
    np.testing.assert_array_equal(values, [1.5, np.nan, -2.0])


@pytest.mark.parametrize("cell", ["abc", "inf", "1,5"])
def test_text_among_numbers_is_refused(write, cell):
    sheet = tables.read_sheet(write(f'a,b\n1,1\n"{cell}",2\n'))
    with pytest.raises(DataError, match=f"line 3: '{cell}' in column a is not a number"):
        sheet.numbers("a")


def test_images_are_found_whatever_the_case_and_other_files_passed(tmp_path):
    for name in ("b.JPG", "a.png", "LICENSE.txt", ".a.jpg"):
        (tmp_path / name).touch()
    assert list(tables.image_files(tmp_path)) == ["a", "b"]


def test_two_images_of_one_name_are_refused(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "a.jpg").touch()
    with pytest.raises(DataError, match=r"both a\.jpg and a\.png"):
        tables.image_files(tmp_path)
