"""Leaks between parts: every kind is found, counted, named; a sound split has none."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import benchmark.data
from benchmark.data import leaks, splits
from benchmark.data.dataset import SPLITS, Dataset
from benchmark.data.pixels import open_pixels
from benchmark.errors import DataError

HAM = "ham10000-multi-image-lesions"


@pytest.fixture
def dataset(tmp_path):
    """Twelve images of twelve lesions, four in each part: train-0, ..., test-3."""
    rng = np.random.default_rng(0)
    rows = {}
    for number in range(12):
        sample, part = f"{SPLITS[number // 4]}-{number % 4}", SPLITS[number // 4]
        rough = Image.fromarray(rng.integers(0, 256, (9, 9, 3)).astype(np.uint8))
        path = tmp_path / f"{sample}.png"
        rough.resize((56, 56), Image.Resampling.BICUBIC).save(path)
        rows[sample] = (str(path), number % 2, f"lesion {number}", part)
    table = pd.DataFrame.from_dict(
        rows, orient="index", columns=["path", "label", "group", "split"]
    ).rename_axis("id")
    return Dataset("folder", tmp_path, table, ("a", "b"))


def _parts(dataset):
    return leaks.fixed_parts(dataset)


def _find(dataset, parts=None):
    return leaks.find(dataset, parts or _parts(dataset), open_pixels(dataset, 28))


def _pairs(found):
    """(kind, earlier id, later id) of every row."""
    return set(zip(found["kind"], found["id_a"], found["id_b"], strict=True))


def _copy(dataset, source, target, turn=None):
    """The photograph of `target` becomes that of `source`, turned or byte for byte."""
    image = Image.open(dataset.table.at[source, "path"])
    (image.transpose(turn) if turn is not None else image).save(dataset.table.at[target, "path"])


def test_sound_split_has_no_leak(dataset):
    found = _find(dataset)
    assert found.empty
    assert list(found.columns) == list(leaks.COLUMNS)
    assert leaks.summary(found, _parts(dataset)) == ""
    leaks.refuse(found, dataset, _parts(dataset))


@pytest.mark.parametrize(("earlier", "later"), [(0, 1), (0, 2), (1, 2)])
def test_group_in_two_parts_is_found(dataset, earlier, later):
    one, other = f"{SPLITS[earlier]}-1", f"{SPLITS[later]}-2"
    dataset.table.at[other, "group"] = dataset.table.at[one, "group"]
    (row,) = _find(dataset).to_dict("records")
    assert np.isnan(row.pop("similarity"))
    assert row == {
        "kind": "group",
        "part_a": SPLITS[earlier],
        "id_a": one,
        "part_b": SPLITS[later],
        "id_b": other,
        "shared": dataset.table.at[one, "group"],
    }


def test_rows_count_the_later_images_each_with_the_first_earlier_one(dataset):
    dataset.table.loc[["train-2", "train-3", "test-1", "test-0"], "group"] = "one"
    expected = {("group", "train-2", "test-0"), ("group", "train-2", "test-1")}
    assert _pairs(_find(dataset)) == expected


def test_rows_follow_the_order_of_the_parts(dataset):
    dataset.table.loc[["train-2", "train-3", "test-1", "test-0"], "group"] = "one"
    for source, target in (("train-0", "test-0"), ("train-1", "test-1")):
        image = Image.open(dataset.table.at[source, "path"])
        quality = 95 if target == "test-0" else 60  # the first is the more similar
        image.save(dataset.table.at[target, "path"], format="JPEG", quality=quality)
    train, test = (sorted(_parts(dataset)[part], reverse=True) for part in ("train", "test"))
    found = _find(dataset, {"train": train, "test": test})
    assert list(zip(found["kind"], found["id_a"], found["id_b"], strict=True)) == [
        ("group", "train-3", "test-1"),
        ("group", "train-3", "test-0"),
        ("pixels", "train-1", "test-1"),
        ("pixels", "train-0", "test-0"),
    ]


def test_byte_identical_images_are_told_once(dataset):
    _copy(dataset, "train-1", "test-2")
    assert _pairs(_find(dataset)) == {("bytes", "train-1", "test-2")}


@pytest.mark.parametrize("turn", [None, *Image.Transpose])
def test_near_identical_pixels_are_found_with_their_groups(dataset, turn):
    # Saved as JPEG, whatever the name: other bytes, nearly the same pixels.
    image = Image.open(dataset.table.at["train-1", "path"])
    image = image if turn is None else image.transpose(turn)
    image.save(dataset.table.at["test-2", "path"], format="JPEG", quality=80)
    found = _find(dataset)
    assert _pairs(found) == {("pixels", "train-1", "test-2")}
    assert found["shared"][0] == "lesion 1 / lesion 10"
    assert 0.965 <= found["similarity"][0] <= 1.000001


def test_without_pixels_only_names_and_bytes_are_compared(dataset):
    _copy(dataset, "train-1", "test-2", Image.Transpose.ROTATE_90)
    assert leaks.find(dataset, _parts(dataset)).empty
    assert len(_find(dataset)) == 1


def test_image_in_two_parts_is_told_once(dataset):
    parts = _parts(dataset)
    parts["test"].append("train-3")
    assert _pairs(_find(dataset, parts)) == {("image", "train-3", "train-3")}


def test_image_of_two_rows_is_found_by_its_archive_name(dataset):
    dataset.table["image_id"] = ""
    dataset.table.loc[["validation-0", "test-0"], "image_id"] = "ISIC_0024306"
    assert _pairs(_find(dataset)) == {("image", "validation-0", "test-0")}


def test_patient_in_a_further_column_is_found(dataset):
    dataset.table["Patient_ID"] = ""
    dataset.table.loc[["train-0", "train-1", "test-0"], "Patient_ID"] = ["7", "8", "8"]
    found = _find(dataset)
    assert _pairs(found) == {("group", "train-1", "test-0")}
    assert found["shared"][0] == "Patient_ID 8"


def test_image_of_a_shared_lesion_and_a_shared_patient_counts_once(dataset):
    dataset.table["patient_id"] = ""
    dataset.table.loc[["train-1", "test-0"], "patient_id"] = "8"
    dataset.table.loc[["train-1", "test-0"], "group"] = "one"
    assert len(_find(dataset)) == 1


def test_number_of_a_lesion_within_its_patient_is_no_leak(dataset):
    # Every patient has a lesion 1.
    dataset.table["lesion_id"] = "1"
    assert _find(dataset).empty


def test_lesion_of_a_patient_is_found_where_the_other_row_names_no_patient(dataset):
    dataset.table.at["test-0", "group"] = "test-0"
    dataset.table["lesion_id"] = ""
    dataset.table.loc[["train-1", "test-0"], "lesion_id"] = "PAT_9_1"
    assert _pairs(_find(dataset)) == {("group", "train-1", "test-0")}


def test_missing_photographs_are_not_alike(dataset):
    dataset.table["path"] = ""
    assert leaks.find(dataset, _parts(dataset)).empty
    found, told = leaks.leaks_command(dataset, _parts(dataset))
    assert found.empty
    assert told.endswith("Pixels were not compared: photographs are missing.")


def test_summary_counts_each_kind_and_pair_of_parts(dataset):
    dataset.table.loc[["train-2", "test-1", "test-0"], "group"] = "one"
    _copy(dataset, "validation-1", "test-2")
    parts = _parts(dataset)
    found = _find(dataset)
    counted = (
        "2 of 4 test images show a lesion or patient that is also in train; 1 of 4 test images are"
        " byte for byte in validation"
    )
    assert leaks.summary(found, parts) == f"{counted}."
    assert leaks.summary(found, parts, True) == f"{counted}: allowed by --allow-leaks."


def test_refusal_names_the_first_of_each_kind_and_counts_the_rest(dataset):
    dataset.table.loc[["train-2", "test-0", "test-1", "test-3"], "group"] = "one"
    _copy(dataset, "train-1", "test-2")
    parts = _parts(dataset)
    with pytest.raises(DataError) as caught:
        leaks.refuse(_find(dataset), dataset, parts)
    assert str(caught.value) == (
        f"{dataset.root}: 1 of 4 test images are byte for byte in train; 3 of 4 test images show a"
        " lesion or patient that is also in train; such as test-2 (test) and train-1 (train),"
        " test-0 (test) and train-2 (train) of one, test-1 (test) and train-2 (train) of one and 1"
        " more: move all images of a lesion or patient, and all copies of an image, into one part,"
        " or allow it with --allow-leaks, which the record will say"
    )


def test_refusal_names_every_kind_before_more_of_one(dataset):
    dataset.table.loc[[f"validation-{k}" for k in range(4)], "group"] = "lesion 0"
    _copy(dataset, "train-1", "test-2")
    with pytest.raises(
        DataError, match=r"validation-0 .* of lesion 0, test-2 \(test\) and train-1"
    ):
        leaks.refuse(_find(dataset), dataset, _parts(dataset))


def _renamed(dataset, name="folder", prefix="other "):
    """The same photographs in another data set, with ids and groups of their own."""
    table = dataset.table.rename(index=lambda sample: prefix + sample)
    return replace(dataset, name=name, table=table.assign(group=prefix + table["group"]))


def _between(earlier, dataset):
    test = _parts(dataset)["test"]
    return leaks.between(earlier, dataset, test, open_pixels(earlier, 64), open_pixels(dataset, 28))


def test_pretraining_data_are_compared_by_bytes_with_the_test_part_only(dataset):
    found = _between(_renamed(dataset), dataset)
    assert _pairs(found) == {("bytes", f"other test-{k}", f"test-{k}") for k in range(4)}
    assert set(found["part_a"]) == {leaks.PRETRAINING}
    with pytest.raises(DataError, match=r"--pretrain-on .*: 4 of 4 test images are byte for byte"):
        leaks.refuse(found, dataset, _parts(dataset), _renamed(dataset))


def test_pretraining_data_are_compared_by_pixels(dataset, tmp_path):
    table = _renamed(dataset).table.loc[["other test-1"]]
    path = tmp_path / "turned.png"
    Image.open(table["path"].iloc[0]).transpose(Image.Transpose.ROTATE_90).save(path)
    earlier = replace(dataset, table=table.assign(path=str(path)))
    assert _pairs(_between(earlier, dataset)) == {("pixels", "other test-1", "test-1")}


@pytest.mark.parametrize(
    ("name", "group", "image", "kinds"),
    [
        ("folder", "7", "x", set()),
        ("isic2018", "7", "x", {"group", "image"}),
        ("medmnist", "HAM_0000118", "ISIC_0024306", {"group", "image"}),
    ],
)
def test_names_count_where_they_mean_the_same(dataset, tmp_path, name, group, image, kinds):
    """In a layout with one name space, and where the ISIC archive gave them."""
    other = "isic2018" if name == "medmnist" else name
    rng = np.random.default_rng(9)
    Image.fromarray(rng.integers(0, 256, (40, 40, 3)).astype(np.uint8)).save(tmp_path / "n.png")
    rows = {"path": str(tmp_path / "n.png"), "label": 0, "group": group, "split": ""}
    earlier = replace(
        dataset, name=name, table=pd.DataFrame([rows], index=pd.Index([image], name="id"))
    )
    if name == "medmnist":
        earlier.table.index = pd.Index(["train-00000"], name="id")
        earlier.table["image_id"] = image
    named = dataset.table.rename(index={"test-1": image})
    named.at["test-0", "group"] = group
    dataset = replace(dataset, name=other, table=named)
    assert set(_between(earlier, dataset)["kind"]) == kinds


def test_patient_of_the_archive_is_known_in_whatever_column(dataset):
    earlier = _renamed(replace(dataset, table=dataset.table.iloc[:4]), "isic2018")
    earlier.table["patient_id"] = ["IP_1234567", "", "", ""]
    dataset.table.at["test-3", "group"] = "IP_1234567"
    assert _pairs(_between(earlier, dataset)) == {("group", "other train-0", "test-3")}


def _write(path, *rows, header="id,part,why"):
    path.write_text("\n".join([header, *rows]))
    return path


def test_split_file_gives_parts_and_further_columns_are_passed_over(dataset, tmp_path):
    path = _write(tmp_path / "s.csv", "test-1,train,x", "train-0,test,y", "test-0,train,")
    parts = leaks.read_parts(path, dataset)
    assert parts == {"train": ["test-1", "test-0"], "validation": [], "test": ["train-0"]}


def test_trials_of_a_frozen_file_repeat_what_they_share_and_unlabelled_images_train(
    dataset, tmp_path
):
    rows = ("a,train,test-1", "a,unlabelled,test-2", "a,test,test-0")
    again = ("b,train,test-2", "b,unlabelled,test-1", "b,test,test-0")
    path = _write(tmp_path / "s.csv", *rows, *again, header="trial,part,id")
    parts = leaks.read_parts(path, dataset)
    assert parts == {"train": ["test-1", "test-2"], "validation": [], "test": ["test-0"]}
    path = _write(tmp_path / "s.csv", *rows, "b,train,test-0", header="trial,part,id")
    with pytest.raises(DataError, match="line 5: 'test-0' is listed twice, first on line 4"):
        leaks.read_parts(path, dataset)


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        (("test-1,train,", "nobody,test,"), r"s\.csv, line 3: image 'nobody' is not in .*remove"),
        (("test-1,train,", "test-0,tset,"), r"line 3: 'tset' is no part: write train, validation"),
        (("test-1,train,", "test-1,test,"), r"line 3: 'test-1' is listed twice, first on line 2"),
        (("test-1,train,", "test-0,,"), r"line 3: column part is empty: fill it in"),
        ((",train,",), r"line 2: column id is empty"),
        (("test-1,train,",), r"s\.csv lists only the part train: add the images of another part"),
    ],
)
def test_fault_in_the_split_file_is_named(dataset, tmp_path, rows, fault):
    with pytest.raises(DataError, match=fault):
        leaks.read_parts(_write(tmp_path / "s.csv", *rows), dataset)


def test_split_file_without_parts_is_named(dataset, tmp_path):
    path = _write(tmp_path / "s.csv", "test-1,train", header="id,fold")
    with pytest.raises(DataError, match="line 1: column part is missing"):
        leaks.read_parts(path, dataset)


def test_command_says_what_was_looked_at_and_found(dataset, tmp_path):
    dataset.table.at["test-0", "group"] = dataset.table.at["train-0", "group"]
    found, told = leaks.leaks_command(dataset, _parts(dataset))
    assert _pairs(found) == {("group", "train-0", "test-0")}
    assert told == (
        "4 train, 4 validation, 4 test images. 1 of 4 test images show a lesion or patient that is"
        " also in train."
    )
    path = _write(tmp_path / "s.csv", "train-0,train,", "test-0,train,", "test-1,test,")
    found, told = leaks.leaks_command(dataset, leaks.read_parts(path, dataset))
    assert found.empty
    assert told.endswith("No image, lesion, patient or copy lies in two parts.")


def test_command_shows_the_first_digits_of_a_hash(dataset):
    _copy(dataset, "train-1", "test-2")
    found, _ = leaks.leaks_command(dataset, _parts(dataset))
    whole = _find(dataset)["shared"][0]
    assert len(whole) == 64
    assert list(found["shared"]) == [whole[:12]]


def test_a_data_set_that_fixes_less_than_two_parts_fixes_no_split(dataset):
    dataset.table["split"] = ""
    assert leaks.fixed_parts(dataset) is None
    dataset.table["split"] = "train"
    assert leaks.fixed_parts(dataset) is None


@pytest.mark.slow
def test_published_split_of_dermamnist_shows_693_and_348_images_of_training_lesions(real_data):
    file = "dermamnist.npz"
    dataset = benchmark.data.load("medmnist", real_data / "dermamnist-rebuilt", file=file)
    found, told = leaks.leaks_command(dataset, _parts(dataset))
    counts = found.groupby(["part_a", "part_b", "kind"]).size()
    assert counts["train", "test", "group"] == 693
    assert counts["train", "validation", "group"] == 348
    assert "693 of 2,005 test images show a lesion or patient that is also in train" in told
    assert "348 of 1,003 validation images show" in told


def test_split_by_image_is_refused_and_by_lesion_is_not(real_data):
    dataset = benchmark.data.load("isic2018", real_data / HAM)
    pixels = open_pixels(dataset, 64)
    ids = np.random.default_rng(0).permutation(dataset.table.index)
    by_image = dict(zip(SPLITS, np.split(ids, [700, 900]), strict=True))
    with pytest.raises(DataError, match=r"of 248 test images show a lesion.* of HAM_\d{7}"):
        leaks.refuse(leaks.find(dataset, by_image, pixels), dataset, by_image)
    by_lesion = splits.split(dataset.table, dict.fromkeys(SPLITS, 1 / 3), seed=0)
    assert leaks.find(dataset, by_lesion, pixels).empty
