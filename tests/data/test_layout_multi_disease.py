"""Sets of several diseases: both forms, what images without a grade become, and every fault."""

import numpy as np
import pytest
from PIL import Image

from benchmark.data import load
from benchmark.data.dataset import Disease
from benchmark.errors import DataError, UserError


def _picture(path, colour=90):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 4), (colour, 40, 20)).save(path)


def _table(folder, disease, *rows, header="image,grade"):
    (folder / f"{disease}.csv").write_text("\n".join([header, *rows]) + "\n")


@pytest.fixture
def tables(tmp_path):
    """Six images: DR of a to d, AMD of d to f."""
    for number, name in enumerate("abcdef"):
        _picture(tmp_path / "images" / f"{name}.jpg", number)
    _table(tmp_path, "DR", "a,0", "b.jpg,1", "c,2", "d,0")
    _table(tmp_path, "AMD", "d,1", "e,0", "f,1")
    return tmp_path


@pytest.fixture
def folders(tmp_path):
    """Two diseases as folders; the image x.jpg is in both, and is not the same."""
    for number, place in enumerate(
        ["DR/0/x", "DR/1-mild/y", "DR/2_severe/z", "AMD/0 normal/x", "AMD/1/w"]
    ):
        _picture(tmp_path / f"{place}.jpg", number)
    return tmp_path


def _load(folder, **options):
    return load("multi-disease", folder, **options)


def test_tables_are_joined_by_image(tables):
    dataset = _load(tables)
    table = dataset.table
    assert list(table.index) == list("abcdef")
    assert list(table["grade:DR"]) == [0, 1, 2, 0, -1, -1]
    assert list(table["grade:AMD"]) == [-1, -1, -1, 1, 0, 1]
    assert table.dtypes[["label", "grade:DR", "grade:AMD"]].eq(np.int64).all()
    assert dataset.diseases == (
        Disease("AMD", ("0", "1"), 1),
        Disease("DR", ("0", "1", "2"), 2),
    )
    assert dataset.image("f")[0, 0, 0] < 10


def test_first_disease_or_the_chosen_one_is_the_label(tables):
    assert list(_load(tables).table["label"]) == [-1, -1, -1, 1, 0, 1]
    dataset = _load(tables, disease="DR")
    assert list(dataset.table["label"]) == [0, 1, 2, 0, -1, -1]
    assert dataset.classes == ("0", "1", "2")


def test_option_diseases_gives_choice_and_order(tables):
    assert [d.name for d in _load(tables, diseases="DR, AMD").diseases] == ["DR", "AMD"]
    alone = _load(tables, diseases="DR")
    assert list(alone.table.index) == list("abcd")
    assert "grade:AMD" not in alone.table
    assert any("2 images are in no table" in note for note in alone.notes)


def test_option_diseases_passes_other_tables_over(tables):
    (tables / "camera.csv").write_text("model,year\nx,2001\n")
    with pytest.raises(DataError, match=r"camera\.csv, line 1: column image is missing"):
        _load(tables)
    assert len(_load(tables, diseases="DR,AMD").table) == 6


def test_referable_grades_are_told_by_the_option(tables):
    assert [d.referable for d in _load(tables, referable="DR=1").diseases] == [1, 1]


@pytest.mark.parametrize("value", ["DR=3", "DR=0", "DR=x", "DR"])
def test_a_referable_grade_that_is_none_is_refused(tables, value):
    with pytest.raises(UserError, match="from 1 to 2: write for example DR=2"):
        _load(tables, referable=value)


@pytest.mark.parametrize(
    "option", [{"diseases": "DR,XX"}, {"disease": "XX"}, {"referable": "XX=1"}]
)
def test_an_unknown_disease_is_named(tables, option):
    with pytest.raises(UserError, match="unknown disease 'XX': known: AMD, DR"):
        _load(tables, **option)


def test_a_disease_asked_for_twice_is_refused(tables):
    with pytest.raises(UserError, match="names DR twice"):
        _load(tables, diseases="DR,DR")


def test_group_and_split_come_from_any_table_that_has_them(tables):
    header = "grade,image,group,split,remark"
    _table(tables, "DR", "0,a,p1,train,x", "1,b,p1,train,", "2,c,p2,,", "0,d,,test,", header=header)
    dataset = _load(tables)
    assert list(dataset.table["group"]) == ["p1", "p1", "p2", "d", "e", "f"]
    assert list(dataset.table["split"]) == ["train", "train", "", "test", "", ""]
    assert any("3 images name no patient" in note for note in dataset.notes)
    assert "remark" not in dataset.table


def test_an_image_in_no_table_is_left_out_and_noted(tables):
    _picture(tables / "images" / "sub" / "g.png")
    dataset = _load(tables)
    assert list(dataset.table.index) == list("abcdef")
    assert "1 image is in no table and left out (the first: sub/g)." in dataset.notes


def test_an_image_with_an_empty_grade_stays_unlabelled(tables):
    _table(tables, "AMD", "d,1", "e,", "f,0")
    table = _load(tables).table
    assert list(table.loc["e", ["label", "grade:DR", "grade:AMD"]]) == [-1, -1, -1]


def test_images_beside_the_tables_are_found(tmp_path):
    for name in "ab":
        _picture(tmp_path / "photos" / f"{name}.jpg")
    _table(tmp_path, "DR", "photos/a.jpg,0", "photos/b,1")
    assert list(_load(tmp_path).table.index) == ["photos/a", "photos/b"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ["d,1", "e,0.5"],
            r"AMD\.csv, line 3: grade '0\.5' of image e .* whole number: give",
        ),
        (["d,1", "e,mild"], r"AMD\.csv, line 3: grade 'mild' of image e .* not a whole number"),
        (["d,1", "e,-1"], r"AMD\.csv, line 3: grade '-1' of image e .* not from 0"),
        (["d,0", "e,2"], r"AMD\.csv: line 3 has grade 2, and nothing has grade 1"),
        (["d,1", "e,2"], r"AMD\.csv: line 3 has grade 2, and nothing has grade 0"),
        (["d,", "e,"], r"AMD\.csv grades no image.*leave this disease out"),
        (["d,0", "e,0"], r"AMD\.csv has images of grade 0 only"),
        ([], r"AMD\.csv has a header and no rows"),
        (["d,0", "x,1"], r"AMD\.csv, line 3: image 'x' is not in .*images: add the file"),
        (["d,0", "d.jpg,1"], r"AMD\.csv, line 3: 'd\.jpg' is the image of line 2: keep one"),
        (["d,0", ",1"], r"AMD\.csv, line 3: column image is empty"),
    ],
)
def test_a_faulty_table_is_named_by_file_and_line(tables, rows, message):
    _table(tables, "AMD", *rows)
    with pytest.raises(DataError, match=message) as caught:
        _load(tables)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["image", "grade"])
def test_a_missing_column_is_named(tables, missing):
    _table(tables, "DR", "a,0", header="image,grade".replace(missing, "other"))
    with pytest.raises(DataError, match=rf"DR\.csv, line 1: column {missing} is missing"):
        _load(tables)


@pytest.mark.parametrize(("column", "cells"), [("group", ("p", "q")), ("split", ("train", "test"))])
def test_tables_that_disagree_about_an_image_are_refused(tables, column, cells):
    for disease, cell in zip(("AMD", "DR"), cells, strict=True):
        _table(tables, disease, f"d,0,{cell}", f"e,1,{cell}", header=f"image,grade,{column}")
    with pytest.raises(
        DataError,
        match=rf"DR\.csv, line 2: {column} of image d is {cells[1]}, elsewhere {cells[0]}",
    ):
        _load(tables)


def test_an_unknown_part_is_refused(tables):
    _table(tables, "DR", "a,0,training", "b,1,", header="image,grade,split")
    with pytest.raises(DataError, match="line 2: unknown part 'training'"):
        _load(tables)


def test_images_that_differ_in_suffix_only_are_refused(tables):
    _picture(tables / "images" / "a.png")
    with pytest.raises(DataError, match="differ in suffix only"):
        _load(tables)


def test_folders_name_diseases_and_grades(folders):
    dataset = _load(folders, disease="DR")
    assert dataset.diseases == (
        Disease("AMD", ("normal", "1"), 1),
        Disease("DR", ("0", "mild", "severe"), 2),
    )
    assert list(dataset.table["grade:DR"]) == [-1, -1, 0, 1, 2]
    assert list(dataset.table["grade:AMD"]) == [0, 1, -1, -1, -1]
    assert set(dataset.table["split"]) == {""}
    assert any("5 images name no patient" in note for note in dataset.notes)


def test_equal_names_in_two_disease_folders_are_two_images(folders):
    dataset = _load(folders)
    assert {"DR/0/x", "AMD/0 normal/x"} <= set(dataset.table.index)
    pixels = [dataset.image(i)[0, 0, 0] for i in ("DR/0/x", "AMD/0 normal/x")]
    assert pixels[0] != pixels[1]
    assert list(dataset.table["group"]) == list(dataset.table.index)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("DR/4/q", "DR: folder 4 has grade 4, and nothing has grade 3"),
        ("DR/severe/q", "severe is not named by a grade: call it"),
        ("DR/1.5/q", r"1\.5 is not named by a grade"),
        ("DR/1/q", "are one grade: unite them"),
        ("DR/3-mild/q", "DR has two grades called mild"),
        ("DR/q", r"q\.jpg lies in no folder of a grade"),
        ("GON/0/q", "GON has images of grade 0 only"),
    ],
)
def test_a_faulty_folder_is_named(folders, place, message):
    _picture(folders / f"{place}.jpg")
    with pytest.raises(DataError, match=message):
        _load(folders)


@pytest.mark.parametrize(
    ("place", "message"),
    [("DR/3", "3 holds no image"), ("GON", "GON grades no image: .*leave this disease out")],
)
def test_an_empty_folder_is_named(folders, place, message):
    (folders / place).mkdir()
    with pytest.raises(DataError, match=message):
        _load(folders)


def test_a_folder_without_tables_and_folders_says_what_is_expected(tmp_path):
    with pytest.raises(DataError, match=r"neither tables nor folders: add a table DISEASE\.csv"):
        _load(tmp_path)
