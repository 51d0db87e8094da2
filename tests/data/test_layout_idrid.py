"""IDRiD part B: the real folder with its published counts, and every fault of a small one."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from benchmark.data import load
from benchmark.data.dataset import Dataset, Disease
from benchmark.data.layouts.idrid import FOLDERS, IMAGES, TABLES, TOP, TRUTHS
from benchmark.errors import DataError, UserError

# As published: a stray space in the header, and nameless columns at the end.
HEADER = "Image name,Retinopathy grade,Risk of macular edema ,,,"
ROWS = {
    "train": ["IDRiD_001,3,2,,,", "IDRiD_002,0,0,,,", "IDRiD_003,4,1,,,"],
    "test": ["IDRiD_001,1,0,,,", "IDRiD_002,2,2,,,"],
}


@pytest.fixture
def folder(tmp_path):
    """Three training images and two test images, whose numbers start again."""
    (tmp_path / TOP / TABLES).mkdir(parents=True)
    for part, rows in ROWS.items():
        images = tmp_path / TOP / IMAGES / FOLDERS[part]
        images.mkdir(parents=True)
        for row in rows:
            Image.new("RGB", (6, 4), (90, 40, 20)).save(images / f"{row.partition(',')[0]}.jpg")
        _write(tmp_path, part, rows)
    return tmp_path


def _write(folder, part, rows, header=HEADER):
    (folder / TOP / TABLES / TRUTHS[part]).write_text("\n".join([header, *rows]) + "\n")


def test_ids_are_unique_though_numbers_start_again(folder):
    table = load("idrid", folder).table
    assert list(table.index) == [
        "train-IDRiD_001",
        "train-IDRiD_002",
        "train-IDRiD_003",
        "test-IDRiD_001",
        "test-IDRiD_002",
    ]
    assert list(table["group"]) == list(table.index)
    assert list(table["split"]) == ["train"] * 3 + ["test"] * 2
    assert "a. Training Set" in table.at["train-IDRiD_001", "path"]
    assert "b. Testing Set" in table.at["test-IDRiD_001", "path"]


def test_both_diseases_are_columns_and_the_chosen_one_is_the_label(folder):
    for name, count in (("DR", 5), ("DME", 3)):
        dataset = load("idrid", folder, disease=name)
        assert list(dataset.table["grade:DR"]) == [3, 0, 4, 1, 2]
        assert list(dataset.table["grade:DME"]) == [2, 0, 1, 0, 2]
        assert list(dataset.table["label"]) == list(dataset.table[f"grade:{name}"])
        assert len(dataset.classes) == count
        assert dataset.table.dtypes[["label", "grade:DR", "grade:DME"]].eq(np.int64).all()
    assert [(d.name, d.referable) for d in dataset.diseases] == [("DR", 2), ("DME", 2)]


def test_data_folder_itself_and_the_one_above_are_the_same_data(folder):
    assert load("idrid", folder / TOP).fingerprint == load("idrid", folder).fingerprint


def test_missing_patients_are_noted(folder):
    assert any("names no patients" in note for note in load("idrid", folder).notes)


def test_training_set_alone_fixes_no_split(folder):
    (folder / TOP / TABLES / TRUTHS["test"]).unlink()
    for path in (folder / TOP / IMAGES / FOLDERS["test"]).iterdir():
        path.unlink()
    (folder / TOP / IMAGES / FOLDERS["test"]).rmdir()
    table = load("idrid", folder).table
    assert len(table) == 3
    assert set(table["split"]) == {""}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("IDRiD_002,5,0,,,", r"Training Labels\.csv, line 3: grade '5' of image IDRiD_002.*0 to 4"),
        ("IDRiD_002,-1,0,,,", r"line 3: grade '-1' of image IDRiD_002 .* not from 0 to 4"),
        ("IDRiD_002,0,3,,,", r"line 3: grade '3'.*Risk of macular edema is not from 0 to 2"),
        ("IDRiD_002,1.5,0,,,", r"line 3: grade '1\.5' .* not a whole number"),
        ("IDRiD_002,mild,0,,,", r"line 3: grade 'mild' .* not a whole number"),
        ("IDRiD_002,,0,,,", r"line 3: column Retinopathy grade is empty"),
        (",1,0,,,", r"line 3: column Image name is empty"),
        ("IDRiD_001,1,0,,,", r"line 3: 'IDRiD_001' is listed twice, first on line 2"),
        ("IDRiD_009,1,0,,,", r"line 3: image 'IDRiD_009' is not in .*Training Set: add"),
    ],
)
def test_a_faulty_row_is_named_by_file_and_line(folder, row, message):
    _write(folder, "train", [ROWS["train"][0], row, ROWS["train"][2]])
    with pytest.raises(DataError, match=message) as caught:
        load("idrid", folder)
    assert "\n" not in str(caught.value)


def test_whole_grades_written_with_a_point_are_read(folder):
    _write(folder, "test", ["IDRiD_001,1.0,0,,,", "IDRiD_002,2.,2,,,"])
    assert list(load("idrid", folder).table["grade:DR"])[3:] == [1, 2]


def test_an_image_without_a_row_is_named(folder):
    _write(folder, "test", ROWS["test"][:1])
    with pytest.raises(DataError, match=r"IDRiD_002\.jpg has no label in .*Testing Labels\.csv"):
        load("idrid", folder)


def test_a_missing_column_is_named(folder):
    _write(folder, "train", ["IDRiD_001,1"], header="Image name,Retinopathy grade")
    with pytest.raises(DataError, match="line 1: column Risk of macular edema is missing"):
        load("idrid", folder)


def test_half_a_testing_set_is_an_error(folder):
    (folder / TOP / TABLES / TRUTHS["test"]).unlink()
    with pytest.raises(DataError, match=r"Testing Labels\.csv cannot be read"):
        load("idrid", folder)


def test_another_folder_is_refused_with_the_one_expected(tmp_path):
    with pytest.raises(DataError, match=r"holds no folder B\. Disease Grading/2\. Groundtruths"):
        load("idrid", tmp_path)


def test_an_unknown_disease_is_refused(folder):
    with pytest.raises(UserError, match="unknown disease 'AMD': known: DME, DR"):
        load("idrid", folder, disease="AMD")


def _graded(folder, **changes) -> Dataset:
    return dataclasses.replace(load("idrid", folder), **changes)


def test_fingerprint_tells_grades_and_diseases(folder):
    dataset = load("idrid", folder)
    table = dataset.table.copy()
    table.loc["test-IDRiD_002", "grade:DME"] = 1
    dr, dme = dataset.diseases
    others = [
        _graded(folder, table=table),
        _graded(folder, diseases=()),
        _graded(folder, diseases=(dme, dr)),
        _graded(folder, diseases=(dr, dataclasses.replace(dme, referable=1))),
    ]
    prints = {dataset.fingerprint, *(other.fingerprint for other in others)}
    assert len(prints) == 5
    assert _graded(folder, table=dataset.table.iloc[::-1]).fingerprint == dataset.fingerprint


def test_fingerprint_without_diseases_is_the_one_of_before(folder):
    # Of this table before data sets had diseases: records name their data by it.
    table = load("idrid", folder).table.assign(path="")
    dataset = Dataset("folder", folder, table, ("a", "b", "c", "d", "e"))
    assert dataset.fingerprint == (
        "ec8f8b03bc5d5044af6295f12a74c28e9adfe23240af025a1d1dabbe073b3908"
    )


def test_disease_names_its_column():
    assert Disease("DR", ("no", "yes"), 1).column == "grade:DR"


def test_real_folder_has_its_counts(real_data):
    if not (real_data / "idrid-grading").is_dir():
        pytest.skip("DERMBENCH_DATA holds no idrid-grading")
    dataset = load("idrid", real_data / "idrid-grading")
    table = dataset.table
    assert dict(table["split"].value_counts()) == {"train": 368, "test": 79}
    by_part = {
        (part, name): list(np.bincount(table.loc[table["split"] == part, f"grade:{name}"]))
        for part in ("train", "test")
        for name in ("DR", "DME")
    }
    assert by_part == {
        ("train", "DR"): [103, 17, 130, 70, 48],
        ("test", "DR"): [14, 5, 31, 18, 11],
        ("train", "DME"): [141, 38, 189],
        ("test", "DME"): [23, 8, 48],
    }
    assert dataset.image("test-IDRiD_001").shape == (224, 337, 3)
