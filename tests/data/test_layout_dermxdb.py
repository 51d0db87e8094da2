"""DermXDB: the traps of both releases on small checkouts, and the real masks."""

import dataclasses
import os

import pandas as pd
import pytest
from PIL import Image

import benchmark.data
from benchmark.cli import main
from benchmark.data import summary
from benchmark.data.layouts.dermxdb import CHARACTERISTICS, CLASSES
from benchmark.errors import DataError, UserError

HEADER = "original_filename;dataset;diagnosis;current_filename;skin_tone;age"


def _mask(folder, name, size=(10, 6)):
    path = folder / "masks" / "masks" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, 255).save(path)


def _items(folder, *rows):
    text = "image_id,mask_id,class_name\r\n" + "".join(f"{row}\r\n" for row in rows)
    (folder / "masks" / "instance_mask_annotations.csv").write_text(text)


def _metadata(folder, rows):
    (folder / "metadata.csv").write_text("\r\n".join([HEADER, *rows]) + "\r\n")


ROWS = [
    f"img__{n} a.jpg;SD-260;{name};img--{n}-a.jpeg;light;adult" for n, name in enumerate(CLASSES)
]
ROWS[0] = "acne__x (1).jpeg;DermNetNZ;Acne;acne--x (1).jpeg;dark;young"


@pytest.fixture
def newer(tmp_path):
    """A checkout in the form of 2023: a union per characteristic, and parts of it."""
    _metadata(tmp_path, ROWS)
    _mask(tmp_path, "labeller1_acne--x (1)_Open comedo")
    _mask(tmp_path, "labeller1_acne--x (1)_00001")
    _mask(tmp_path, "labeller2_acne--x (1)_Papule")
    _mask(tmp_path, "labeller12_acne--x (1)_Papule")
    _mask(tmp_path, "labeller3_stranger_Plaque")
    _mask(tmp_path, "labeller3_img--1-a_Scale")
    _items(
        tmp_path,
        "labeller1_acne--x (1),labeller1_acne--x (1)_00000,Open comedo",
        "labeller1_acne--x (1),labeller1_acne--x (1)_00001,Open comedo",
        "labeller1_016968HB_2,labeller1_016968HB_2_00000,Scale",
    )
    return tmp_path


@pytest.fixture
def older(tmp_path):
    """A checkout in the form of 2021: a numbered mask per item, named by the table."""
    _metadata(tmp_path, ROWS)
    _mask(tmp_path, "derm4_img--1-a_00000")
    _mask(tmp_path, "derm4_img--1-a_00001")
    _items(
        tmp_path,
        "derm4_img--1-a,derm4_img--1-a_00000,Scale",
        "derm4_img--1-a,derm4_img--1-a_00001,Scale",
    )
    return tmp_path


def _load(folder, **options):
    return benchmark.data.load("dermxdb", folder, **options)


def _masks(dataset):
    return sorted(
        map(tuple, dataset.masks[["id", "annotator", "characteristic", "session"]].to_numpy())
    )


def test_unions_are_read_and_their_parts_left_out(newer):
    dataset = _load(newer)
    assert _masks(dataset) == [
        ("acne--x (1)", "labeller1", "Open comedo", 1),
        ("acne--x (1)", "labeller2", "Papule", 1),
        ("img--1-a", "labeller3", "Scale", 1),
    ]
    assert "1 mask left out, with a number" in " ".join(dataset.notes)


def test_second_readings_are_read_only_when_asked_for(newer):
    assert "1 mask left out, of second readings" in " ".join(_load(newer).notes)
    assert ("acne--x (1)", "labeller1", "Papule", 2) in _masks(_load(newer, sessions="both"))
    with pytest.raises(UserError, match="sessions is 'first' or 'both', not 'all'"):
        _load(newer, sessions="all")


def test_images_missing_from_the_metadata_are_left_out_and_counted(newer):
    dataset = _load(newer)
    assert "stranger" not in dataset.table.index
    said = "1 mask left out, of 1 image that metadata.csv does not list"
    assert f"{said}: stranger." in dataset.notes


def test_orphan_rows_of_the_item_table_are_counted(newer):
    assert "1 row has no mask file, in instance_mask_annotations.csv" in " ".join(
        _load(newer).notes
    )


def test_newer_release_needs_no_item_table(newer):
    expected = _masks(_load(newer))
    (newer / "masks" / "instance_mask_annotations.csv").unlink()
    assert _masks(_load(newer)) == expected


def test_items_of_the_older_release_are_named_by_the_table(older):
    dataset = _load(older)
    assert _masks(dataset) == [("img--1-a", "derm4", "Scale", 1)] * 2
    assert dataset.mask_stack("img--1-a").shape == (2, 6, 10)


def test_fingerprint_does_not_depend_on_the_order_of_the_items(older):
    _mask(older, "derm4_img--1-a_00001", size=(4, 4))
    dataset = _load(older)
    turned = dataclasses.replace(dataset, masks=dataset.masks.iloc[::-1])
    assert turned.fingerprint == dataset.fingerprint
    _mask(older, "derm4_img--1-a_00001", size=(5, 4))
    assert _load(older).fingerprint != dataset.fingerprint


def test_every_annotator_of_the_newer_release_read_every_image(newer):
    (newer / "annotations").mkdir()
    for reading in ("labeller7_img--1-a", "labeller82_img--1-a", "labeller9_acne--x (1)"):
        (newer / "annotations" / f"{reading}.json").write_text("{}")
    every = "labeller1;labeller2;labeller3;labeller7;labeller9"
    assert set(_load(newer).table["readers"]) == {every}


def test_readers_of_the_older_release_are_those_with_a_mask_or_an_annotation(older):
    # Without the annotations nobody can tell who saw an image and drew nothing.
    assert "readers" not in _load(older).table
    (older / "annotations").mkdir()
    (older / "annotations" / "derm2_acne--x (1).json").write_text("{}")
    (older / "annotations" / "derm2_stranger.json").write_text("{}")
    assert _load(older).table["readers"].tolist() == ["derm2", "derm4", "", "", "", ""]


def test_item_without_a_row_is_named(older):
    _mask(older, "derm5_img--1-a_00000")
    with pytest.raises(DataError, match=r"derm5_img--1-a_00000\.png has no row in .*annotations"):
        _load(older)


def test_labels_are_the_six_in_alphabetical_order(newer):
    table = _load(newer).table
    assert list(table["label"]) == list(range(6))
    assert table.at["acne--x (1)", "skin_tone"] == "dark"
    assert sorted(CLASSES) == list(CLASSES)
    assert len(CHARACTERISTICS) == 16


def test_characteristic_outside_the_sixteen_is_kept_and_noted(newer):
    _mask(newer, "labeller2_img--2-a_Hyperkeratosis")
    dataset = _load(newer)
    assert "Hyperkeratosis" in set(dataset.masks["characteristic"])
    notes = " ".join(dataset.notes)
    assert "1 mask of a characteristic outside the 16 of the paper (Hyperkeratosis)" in notes


def test_patients_and_folds_come_from_the_published_folds(newer):
    (newer / "folds").mkdir()
    header = ",original_filename,dataset,diagnosis,current_filename,patient_id\n"
    for fold, images in ((0, ["img--1-a.jpeg", "img--2-a.jpeg"]), (3, ["img--3-a.jpeg"])):
        rows = "".join(f"{fold},x,SD,Acne,{name},7{fold}\n" for name in images)
        (newer / "folds" / f"metadata_fold_{fold}_test.csv").write_text(header + rows)
        (newer / "folds" / f"metadata_fold_{fold}_train.csv").write_text("not read")
    dataset = _load(newer)
    groups = dataset.table["group"]
    assert groups["img--1-a"] == groups["img--2-a"] != groups["img--3-a"]
    assert groups["img--4-a"] == "img--4-a"
    assert dataset.table["fold"].tolist() == [-1, 0, 0, 3, -1, -1]
    assert "3 images are in no fold" in " ".join(dataset.notes)


def test_image_in_two_test_folds_is_named_with_its_line(newer):
    (newer / "folds").mkdir()
    for fold in (0, 1):
        (newer / "folds" / f"metadata_fold_{fold}_test.csv").write_text(
            "current_filename,patient_id\nimg--1-a.jpeg,4\n"
        )
    with pytest.raises(DataError, match=r"fold_1_test\.csv, line 2: 'img--1-a' is in test fold 0"):
        _load(newer)


def test_masks_alone_can_be_used(newer):
    dataset = _load(newer)
    assert set(dataset.table["path"]) == {""}
    assert len(dataset.fingerprint) == 64
    assert dataset.mask_stack("acne--x (1)").all()
    with pytest.raises(DataError, match=r"photograph img--1-a is not .*\(6 of 6 are missing\)"):
        dataset.image("img--1-a")


@pytest.mark.parametrize(
    "name", ["img--1-a.jpeg", "img__1 a.jpg", "IMG--1-A.PNG", "sub/img--1-a.JPG"]
)
def test_photographs_are_found_by_either_name_in_any_case(newer, tmp_path_factory, name):
    photographs = tmp_path_factory.mktemp("photographs")
    path = photographs / name
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (10, 6)).save(path, format="PNG")
    dataset = _load(newer, images=photographs)
    assert dataset.image("img--1-a").shape == (6, 10, 3)
    assert "5 of 6 photographs" in " ".join(dataset.notes)
    path.parent.rename(newer / "images")
    assert _load(newer).table.at["img--1-a", "path"]


def test_photographs_may_lie_in_several_folders(newer, tmp_path_factory):
    folders = [tmp_path_factory.mktemp("photographs") for _ in range(2)]
    for number, folder in enumerate(folders, start=1):
        Image.new("RGB", (10, 6)).save(folder / f"img--{number}-a.jpeg")
    dataset = _load(newer, images=os.pathsep.join(map(str, folders)))
    assert (dataset.table["path"] != "").tolist() == [False, True, True, False, False, False]
    with pytest.raises(DataError, match="nowhere cannot be read"):
        _load(newer, images=os.pathsep.join([str(folders[0]), "nowhere"]))


@pytest.fixture
def renamed(newer):
    """Two of six photographs are there: one by its original name, one by its new one."""
    (newer / "images" / "sub").mkdir(parents=True)
    for name in ("sub/IMG__2 A.JPG", "img--3-a.png", "holiday.jpg"):
        Image.new("RGB", (10, 6)).save(newer / "images" / name)
    return newer


def test_photographs_are_listed_with_the_name_they_were_found_by(renamed):
    table = summary.photographs(_load(renamed))
    assert table["found by"].tolist() == ["", "", "original name", "new name", "", ""]
    assert table.at["img--2-a", "path"].endswith("IMG__2 A.JPG")
    assert table.at["acne--x (1)", "original"] == "acne__x (1).jpeg"
    assert table["source"].tolist() == ["DermNetNZ"] + ["SD-260"] * 5


def test_missing_photographs_are_counted_named_and_their_owners_given(renamed):
    found, missing, *owners = summary.tell_photographs(_load(renamed))
    assert found == "photographs: 2 of 6 found, 1 of them under their original names"
    assert missing.startswith("missing: acne--x (1) (original acne__x (1).jpeg), img--1-a (")
    assert missing.count("original") == 4
    assert [line.split(": ")[0] for line in owners] == [
        "ask the owners of DermNetNZ for 1",
        "ask the owners of SD-260 for 3",
    ]
    assert "https://dermnetnz.org" in owners[0]


def test_check_tells_missing_photographs_and_passes(renamed, capsys, monkeypatch):
    # Six images are too few to be divided, which is not asked here.
    monkeypatch.setattr("benchmark.data.check.partition", lambda dataset, seed: {})
    asked = ["data", "check", "--dataset", "dermxdb", "--data-dir", str(renamed)]
    assert main(asked) == 0
    shown = capsys.readouterr().out
    assert "photographs: 2 of 6 found" in shown
    assert "6, 2 of them here" in shown
    assert "note: 4 photographs are not here" in shown
    assert f"{renamed} is sound" in shown
    assert not list(renamed.glob("*.txt"))
    target = renamed / "photographs.csv"
    assert main([*asked, "--photographs", str(target)]) == 0
    table = pd.read_csv(target, index_col="id", keep_default_na=False)
    assert (table["path"] == "").sum() == 4
    assert list(table.index) == list(_load(renamed).table.index)


def test_first_ten_missing_photographs_are_named_on_the_screen(newer):
    rows = [f"p{n}.jpg;SD-260;Acne;p{n}.jpg;light;adult" for n in range(20)]
    _metadata(newer, [*ROWS, *rows])
    _, missing, *_ = summary.tell_photographs(_load(newer))
    assert missing.endswith("-a (original img__5 a.jpg), p0, p1, p2, p3 and 16 more")


def test_two_photographs_of_one_image_are_refused(newer):
    for name in ("a/img--1-a.jpeg", "b/img--1-a.jpeg"):
        path = newer / "images" / name
        path.parent.mkdir(parents=True)
        Image.new("RGB", (10, 6)).save(path)
    with pytest.raises(DataError, match=r"are both called 'img--1-a\.jpeg'"):
        _load(newer)


def test_folder_of_photographs_that_does_not_exist_is_refused(newer):
    with pytest.raises(DataError, match="nowhere cannot be read"):
        _load(newer, images=newer / "nowhere")


def test_mask_of_another_size_than_its_photograph_names_both(newer):
    (newer / "images").mkdir()
    Image.new("RGB", (20, 12)).save(newer / "images" / "img--1-a.jpeg")
    with pytest.raises(DataError, match=r"10 x 6 \(width x height\), but .* is 20 x 12"):
        _load(newer).mask_stack("img--1-a")


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([*ROWS, ROWS[2]], "line 8: 'img--2-a.jpeg' is listed twice, first on line 4"),
        ([*ROWS, "y;SD-260;Eczema;y.jpeg;light;adult"], "line 8: unknown diagnosis 'Eczema'"),
        ([*ROWS, "y;SD-260;;y.jpeg;light;adult"], "line 8: column diagnosis is empty"),
        ([*ROWS, "y;SD-260;Acne;img--2-a.png;light;adult"], "line 8: .* suffix only"),
        (ROWS[:-1], "no image of Vitiligo"),
    ],
)
def test_fault_in_the_metadata_is_named_with_its_line(newer, rows, fault):
    _metadata(newer, rows)
    with pytest.raises(DataError, match=fault) as caught:
        _load(newer)
    assert "metadata.csv" in str(caught.value)


def test_mask_with_another_name_is_refused(newer):
    _mask(newer, "copy of something")
    with pytest.raises(DataError, match="is not named <rater>_<image>_<characteristic>"):
        _load(newer)


def test_checkout_without_masks_is_refused(newer):
    for path in (newer / "masks" / "masks").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="holds no mask of an image in metadata"):
        _load(newer)


def test_real_release_has_the_published_counts(real_data):
    dataset = _load(real_data / "dermxdb")
    table = dataset.table
    assert dict(table["label"].map(dataset.classes.__getitem__).value_counts()) == {
        "Acne": 100,
        "Actinic keratosis": 100,
        "Psoriasis": 100,
        "Seborrheic dermatitis": 100,
        "Viral warts": 78,
        "Vitiligo": 88,
    }
    assert dict(table["skin_tone"].value_counts()) == {"light": 368, "medium": 182, "dark": 16}
    assert table["group"].nunique() == 518
    assert table.groupby("group")["fold"].nunique().max() == 1
    eight = [f"labeller{n}" for n in range(1, 9)]
    assert sorted(dataset.masks["annotator"].unique()) == eight
    assert set(table["readers"]) == {";".join(eight)}
    assert set(dataset.masks["characteristic"]) == set(CHARACTERISTICS)
    assert not dataset.masks.duplicated(["id", "annotator", "characteristic"]).any()


def test_real_masks_are_all_accounted_for(real_data):
    first, both = (_load(real_data / "dermxdb", sessions=s) for s in ("first", "both"))
    # 10060 files = read + parts of unions + images without metadata + second readings.
    assert len(first.masks) == 7942
    assert len(first.masks) + 697 + 555 + 866 == 10060
    assert len(both.masks) == 7942 + 866
    assert both.masks["id"].nunique() == 565
    text = " ".join(first.notes)
    for count in (
        "61 rows",
        "555 masks",
        "of 41 images",
        "697 masks",
        "866 masks",
        "2 images have no mask",
    ):
        assert count in text
