"""ISIC 2018: the real folders with their published counts, and every fault of a small one."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import benchmark.data
from benchmark.data.layouts.isic2018 import CLASSES
from benchmark.errors import DataError

HEADER = "image," + ",".join(CLASSES)


def _one_hot(sample_id, label):
    return f"{sample_id}," + ",".join(str(float(label == c)) for c in range(7))


def _picture(path, size=(12, 8), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, 255 if mode == "L" else (90, 80, 70)).save(path)


@pytest.fixture
def folder(tmp_path):
    """Seven training images, one of each class, in the flat arrangement."""
    rows = [HEADER]
    for label in range(7):
        _picture(tmp_path / "images" / f"ISIC_{label}.jpg")
        rows.append(_one_hot(f"ISIC_{label}", label))
    (tmp_path / "ISIC2018_Task3_Training_GroundTruth.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def _load(folder):
    return benchmark.data.load("isic2018", folder)


def _edit(folder, line, text):
    path = folder / "ISIC2018_Task3_Training_GroundTruth.csv"
    lines = path.read_text().splitlines()
    lines[line - 1] = text
    path.write_text("\n".join(lines) + "\n")


def test_flat_folder_is_read_with_nothing_fixed(folder):
    dataset = _load(folder)
    assert dataset.classes == CLASSES
    assert list(dataset.table["label"]) == list(range(7))
    assert set(dataset.table["split"]) == {""}
    assert dataset.image("ISIC_3").shape == (8, 12, 3)


def test_images_without_lesion_ids_are_lesions_of_their_own_and_noted(folder):
    dataset = _load(folder)
    assert list(dataset.table["group"]) == list(dataset.table.index)
    assert any("7 images have no lesion id" in note for note in dataset.notes)


def test_challenge_folders_fix_the_parts(folder):
    for part, count in (("Validation", 1), ("Test", 2)):
        name = f"ISIC2018_Task3_{part}_GroundTruth"
        rows = [HEADER]
        for number in range(count):
            _picture(folder / f"ISIC2018_Task3_{part}_Input" / f"{part}_{number}.jpg")
            rows.append(_one_hot(f"{part}_{number}", 1))
        (folder / name).mkdir()
        (folder / name / f"{name}.csv").write_text("\n".join(rows))
    counts = _load(folder).table["split"].value_counts()
    assert dict(counts) == {"train": 7, "test": 2, "validation": 1}


def test_test_images_without_labels_are_left_out_and_noted(folder):
    _picture(folder / "ISIC2018_Task3_Test_Input" / "x.jpg")
    dataset = _load(folder)
    assert len(dataset.table) == 7
    assert any("Test_Input has no ground truth" in note for note in dataset.notes)


def test_groupings_come_before_the_metadata_and_both_are_joined(folder):
    (folder / "HAM10000_metadata.csv").write_text(
        "lesion_id,image_id,dx,dx_type,age,sex,localization\n"
        "L0,ISIC_0,mel,histo,45.0,male,back\nL1,ISIC_1,bkl,,,female,\n"
    )
    (folder / "ISIC2018_Task3_Training_LesionGroupings.csv").write_text(
        "image,lesion_id,diagnosis_confirm_type\nISIC_1,G1,consensus\nISIC_2,G1,confocal\n"
    )
    dataset = _load(folder)
    table = dataset.table
    assert list(table["group"])[:4] == ["L0", "G1", "G1", "ISIC_3"]
    assert table.at["ISIC_0", "age"] == 45
    assert np.isnan(table.at["ISIC_1", "age"])
    assert list(table["dx_type"])[:4] == ["histo", "", "confocal", ""]
    assert any("1 image has another diagnosis" in note for note in dataset.notes)


def test_masks_are_read_and_strays_noted(folder):
    _picture(folder / "masks" / "ISIC_2_segmentation.png", mode="L")
    _picture(folder / "masks" / "ISIC_99_segmentation.png", mode="L")
    dataset = _load(folder)
    assert dataset.masks.iloc[0][["id", "annotator", "characteristic"]].tolist() == [
        "ISIC_2",
        "expert",
        "",
    ]
    assert dataset.mask_stack("ISIC_2").shape == (1, 8, 12)
    assert any("1 mask file is left out" in note for note in dataset.notes)
    assert any("6 images have no mask" in note for note in dataset.notes)


def test_images_without_a_mask_are_noted_though_others_have_two(folder):
    for where in ("masks", "ISIC2018_Task1_Training_GroundTruth"):
        for number in (1, 2, 3, 4):
            _picture(folder / where / f"ISIC_{number}_segmentation.png", mode="L")
    assert any("3 images have no mask" in note for note in _load(folder).notes)


def test_mask_of_another_size_names_both_sizes(folder):
    _picture(folder / "masks" / "ISIC_2_segmentation.png", size=(5, 4), mode="L")
    with pytest.raises(
        DataError, match=r"is 5 x 4 \(width x height\), but .*ISIC_2\.jpg is 12 x 8"
    ):
        _load(folder).mask_stack("ISIC_2")


def test_image_without_a_mask_says_so(folder):
    with pytest.raises(DataError, match="ISIC_1 has no mask"):
        _load(folder).mask_stack("ISIC_1")


@pytest.mark.parametrize(
    ("line", "text", "fault"),
    [
        (1, HEADER.replace("image", "id"), "line 1: column image is missing"),
        (3, _one_hot("ISIC_0", 1), "line 3: 'ISIC_0' is listed twice, first on line 2"),
        (3, "ISIC_1,1,1,0,0,0,0,0", "line 3: image ISIC_1 is marked as MEL and NV"),
        (3, "ISIC_1,0,0,0,0,0,0,0", "line 3: image ISIC_1 is marked as no class"),
        (3, "ISIC_1,0,nan,0,0,0,0,0", "line 3: column NV is empty"),
        (3, "ISIC_1,0,yes,0,0,0,0,0", "line 3: 'yes' in column NV is not a number"),
        (3, "ISIC_1,0,0.7,0.3,0,0,0,0", "line 3: 0.7 in column NV of image ISIC_1 is neither"),
        (3, ",0,1,0,0,0,0,0", "line 3: column image is empty"),
        (3, _one_hot("ISIC_77", 1), "line 3: image 'ISIC_77' is not in .*images"),
        (8, _one_hot("ISIC_6", 5), "no image of VASC"),
    ],
)
def test_fault_in_the_table_is_named_with_its_line(folder, line, text, fault):
    _edit(folder, line, text)
    with pytest.raises(DataError, match=fault) as caught:
        _load(folder)
    assert "ISIC2018_Task3_Training_GroundTruth.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_class_column_is_named(folder):
    path = folder / "ISIC2018_Task3_Training_GroundTruth.csv"
    pd.read_csv(path).drop(columns="DF").to_csv(path, index=False)
    with pytest.raises(DataError, match=r"GroundTruth\.csv, line 1: column DF is missing"):
        _load(folder)


def test_unknown_class_is_named_with_the_known_ones(folder):
    path = folder / "ISIC2018_Task3_Training_GroundTruth.csv"
    pd.read_csv(path).assign(SCC=0.0).to_csv(path, index=False)
    with pytest.raises(DataError, match="unknown class SCC; the classes of Task 3 are MEL, NV"):
        _load(folder)


def test_weights_of_the_challenges_truth_are_not_classes(folder):
    path = folder / "ISIC2018_Task3_Training_GroundTruth.csv"
    pd.read_csv(path).assign(score_weight=1.0, validation_weight=0.0).to_csv(path, index=False)
    assert _load(folder).classes == CLASSES


def test_image_without_label_is_named(folder):
    _picture(folder / "images" / "ISIC_8.jpg")
    _picture(folder / "images" / "ISIC_9.jpg")
    with pytest.raises(DataError, match=r"ISIC_8\.jpg has no label .* \(and 1 more image\)"):
        _load(folder)


def test_image_in_two_parts_is_named(folder):
    (folder / "ISIC2018_Task3_Test_GroundTruth.csv").write_text(
        f"{HEADER}\n{_one_hot('ISIC_4', 4)}\n"
    )
    with pytest.raises(DataError, match="ISIC_4 is listed in two parts"):
        _load(folder)


def test_folder_without_tables_or_images_is_refused(folder, tmp_path):
    (folder / "images").rename(folder / "pictures")
    with pytest.raises(DataError, match="no image folder for the Training table"):
        _load(folder)
    (folder / "ISIC2018_Task3_Training_GroundTruth.csv").unlink()
    with pytest.raises(DataError, match=r"holds no ISIC2018_Task3_Training_GroundTruth\.csv"):
        _load(folder)


def test_fingerprint_is_of_the_content_and_not_of_the_place(folder):
    before = _load(folder).fingerprint
    moved = folder.rename(folder.with_name("elsewhere"))
    assert _load(moved).fingerprint == before
    _edit(moved, 2, _one_hot("ISIC_0", 1))
    _edit(moved, 3, _one_hot("ISIC_1", 0))
    relabelled = _load(moved).fingerprint
    assert relabelled != before
    _picture(moved / "images" / "ISIC_5.jpg", size=(9, 9))
    assert _load(moved).fingerprint != relabelled


def test_real_task3_has_the_published_counts(real_data):
    dataset = _load(real_data / "isic2018-task3")
    counts = dataset.table.groupby("split")["label"].value_counts().unstack()
    assert counts.loc["train"].tolist() == [211, 1272, 98, 62, 208, 22, 27]
    assert counts.loc["test"].tolist() == [68, 361, 37, 17, 86, 17, 14]
    assert dataset.table["group"].nunique() == 2500
    assert dataset.notes == ()
    first = dataset.table.loc["ISIC_0024309"]
    assert (first["group"], first["age"], first["sex"]) == ("HAM_0000484", 40, "male")


def test_real_lesion_masks_fit_their_images(real_data):
    dataset = _load(real_data / "ham10000-lesion-masks")
    counts = dataset.table["label"].value_counts().sort_index()
    assert counts.tolist() == [60, 60, 45, 40, 55, 20, 20]
    assert set(dataset.table["split"]) == {""}
    assert len(dataset.masks) == 300
    share = np.median([dataset.mask_stack(i).mean() for i in dataset.table.index])
    assert share == pytest.approx(0.349, abs=0.0005)


def test_real_multi_image_lesions_are_grouped(real_data):
    dataset = _load(real_data / "ham10000-multi-image-lesions")
    sizes = dataset.table.groupby("group").size().value_counts()
    assert dict(sizes) == {2: 364, 3: 127, 4: 7, 5: 1, 6: 1}
    assert len(dataset.masks) == 1148
