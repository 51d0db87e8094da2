"""`data stats` and `data check`: the tables count rightly, every broken file is found."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import benchmark.data
from benchmark.data.dataset import MASK_COLUMNS, UNLABELLED, Dataset, Disease
from benchmark.data.summary import check, summarise


@pytest.fixture
def dataset(tmp_path):
    """Six images, a to f, with a mask each; c and f are larger, f is unlabelled."""
    rng = np.random.default_rng(1)
    rows, masks = [], []
    for number, name in enumerate("abcdef"):
        size = (9, 7) if name in "cf" else (6, 5)
        path, mask = tmp_path / f"{name}.png", tmp_path / f"{name}_mask.png"
        Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)).save(path)
        marked = np.zeros((size[1], size[0]), np.uint8)
        marked[0, : number % 3 + 1] = 255
        Image.fromarray(marked).save(mask)
        label = UNLABELLED if name == "f" else number % 2
        rows.append((str(path), label, f"g{number // 2}", "", number * 10.0, "left"))
        masks.append((name, f"r{number % 2}", "Scale", str(mask)))
    table = pd.DataFrame(
        rows,
        columns=["path", "label", "group", "split", "age", "side"],
        index=pd.Index(list("abcdef"), name="id"),
    )
    return Dataset(
        "test",
        tmp_path,
        table,
        ("even", "odd"),
        pd.DataFrame(masks, columns=list(MASK_COLUMNS)),
        ("something odd",),
    )


def test_sound_data_have_no_problems(dataset):
    assert check(dataset) == []


def test_every_broken_image_and_mask_is_found(dataset, tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:60])
    (tmp_path / "c_mask.png").write_text("no mask")
    problems = check(dataset)
    assert len(problems) == 3
    for name, problem in zip(("a.png", "b.png", "c_mask.png"), problems, strict=True):
        assert name in problem


def test_mask_of_another_size_and_empty_mask_are_found(dataset, tmp_path):
    Image.new("L", (4, 4), 255).save(tmp_path / "a_mask.png")
    Image.new("L", (6, 5), 0).save(tmp_path / "b_mask.png")
    wrong, empty = check(dataset)
    assert "a_mask.png is 4 x 4 (width x height), but" in wrong
    assert "a.png is 6 x 5" in wrong
    assert "b_mask.png is empty: it counts as 'nothing marked'" in empty


def test_masks_without_photographs_are_compared_with_each_other(dataset, tmp_path):
    dataset.table["path"] = ""
    assert check(dataset) == []
    dataset.masks.loc[1, "id"] = "c"  # 6 x 5 beside 9 x 7
    (problem,) = check(dataset)
    assert "9 x 7" in problem
    assert "6 x 5" in problem


def test_identical_images_are_found_where_a_split_could_part_them(dataset, tmp_path):
    same = (tmp_path / "a.png").read_bytes()
    (tmp_path / "b.png").write_bytes(same)  # same group, other class
    (tmp_path / "e.png").write_bytes(same)  # same class, other group
    label, group = check(dataset)
    assert label == "images a and b are byte-identical, but differ in label"
    assert group == "images a and e are byte-identical, but differ in group"


def test_identical_images_may_be_graded_for_two_diseases_but_not_twice_for_one(dataset, tmp_path):
    same = (tmp_path / "a.png").read_bytes()
    for name in "bc":
        (tmp_path / f"{name}.png").write_bytes(same)
    table = dataset.table.assign(group="one")
    table["grade:DR"] = [1, UNLABELLED, 0, 0, 1, 1]
    table["grade:AMD"] = [UNLABELLED, 0, 0, 1, 1, 0]
    table["label"] = table["grade:DR"]
    graded = tuple(Disease(name, ("0", "1"), 1) for name in ("DR", "AMD"))
    told = check(dataclasses.replace(dataset, table=table, diseases=graded))
    assert [one for one in told if "byte" in one] == [
        "images a and c are byte-identical, but differ in grade:DR"
    ]


def test_leaks_and_empty_classes_are_found(dataset):
    dataset.table["split"] = ["train", "test", "", "", "", ""]
    dataset.table["label"] = 0
    leak, empty = check(dataset)
    assert "1 of 1 test images show a lesion or patient that is also in train" in leak
    assert empty == "class odd has no image"


def test_check_reports_its_progress(dataset):
    seen = []

    def watch(items, description, total):
        seen.append((description, total))
        return items

    check(dataset, watch)
    assert seen == [("checking images", 6), ("checking masks", 6)]


def test_tables_count_images_groups_sizes_and_masks(dataset):
    tables = summarise(dataset)
    images = tables["images"].set_index("class")
    assert images["all"].to_dict() == {"even": 3, "odd": 2, "(unlabelled)": 1, "all": 6}
    assert tables["groups"].set_index("class")["groups"].to_dict() == {"even": 3, "odd": 2}
    assert tables["images per group"].to_numpy().tolist() == [[2, 3]]
    assert tables["sizes"].to_numpy().tolist() == [["5", "6", 4], ["7", "9", 2]]
    masks = tables["masks"].set_index("characteristic")
    assert masks.loc["Scale"].to_dict() == {"r0": 3, "r1": 3, "masks": 6, "images": 6}
    assert tables["notes"]["note"].tolist() == ["something odd"]


def test_metadata_lists_texts_and_numbers(dataset):
    rows = summarise(dataset)["metadata"].to_numpy().tolist()
    assert rows[0] == ["age", "0", 1]
    assert ["side", "left", 6] in rows


def test_grades_of_each_disease_are_counted_by_part_and_are_no_metadata(dataset):
    table = dataset.table.assign(
        split=["train", "train", "train", "test", "test", "train"],
        **{"grade:DR": [0, 0, 2, 2, -1, -1], "grade:wet AMD": [1, 0, 1, 0, 1, 0]},
    )
    diseases = (Disease("DR", ("none", "mild", "severe"), 2), Disease("wet AMD", ("no", "yes"), 1))
    graded = dataclasses.replace(dataset, table=table, diseases=diseases)
    tables = summarise(graded)
    assert list(tables["grades"]) == ["disease", "grade", "name", "train", "test", "all"]
    assert tables["grades"].to_numpy().tolist() == [
        ["DR", "0", "none", 2, 0, 2],
        ["DR", "1", "mild", 0, 0, 0],
        ["DR", "2", "severe", 1, 1, 2],
        ["DR", "", "(not graded)", 1, 1, 2],
        ["wet AMD", "0", "no", 2, 1, 3],
        ["wet AMD", "1", "yes", 2, 1, 3],
        ["wet AMD", "", "(not graded)", 0, 0, 0],
    ]
    assert set(tables["metadata"]["column"]) == {"age", "side"}
    assert "grades" not in summarise(dataset)


def test_many_numbers_are_given_by_their_range_and_missing_ones_counted(dataset):
    table = pd.concat([dataset.table] * 3).assign(age=np.arange(18.0))
    table.index = [f"i{n}" for n in range(18)]
    table.iloc[0, table.columns.get_loc("age")] = np.nan
    rows = summarise(Dataset("test", dataset.root, table, dataset.classes))["metadata"]
    ages = rows[rows["column"] == "age"].to_numpy().tolist()
    assert ages == [["age", "1 to 17, median 9", 17], ["age", "(missing)", 1]]


def test_areas_are_shares_of_the_image(dataset):
    assert "areas" not in summarise(dataset)
    (row,) = summarise(dataset, areas=True)["areas"].to_dict("records")
    shares = [1 / 30, 2 / 30, 3 / 63, 1 / 30, 2 / 30, 3 / 63]
    assert row["median"] == pytest.approx(np.median(shares))
    assert (row["masks"], row["empty"]) == (6, 0)


def test_tables_of_an_unmasked_set_leave_out_the_masks(dataset):
    bare = Dataset("test", dataset.root, dataset.table, dataset.classes)
    assert "masks" not in summarise(bare, areas=True)
    assert "notes" not in summarise(bare)


def test_real_masks_are_sound_and_counted(real_data):
    dataset = benchmark.data.load("isic2018", real_data / "ham10000-lesion-masks")
    assert check(dataset) == []
    tables = summarise(dataset, areas=True)
    assert tables["sizes"].to_numpy().tolist() == [["224", "224", 300]]
    # The folder's own figures: 1.3 % to 88.9 %, median 34.9 %.
    assert tables["areas"]["median"].item() == pytest.approx(0.349, abs=0.0005)
