"""`data stats`: the tables count rightly."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import benchmark.data
from benchmark.data.dataset import Dataset, Disease
from benchmark.data.summary import summarise


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


def test_real_masks_are_counted(real_data):
    dataset = benchmark.data.load("isic2018", real_data / "ham10000-lesion-masks")
    tables = summarise(dataset, areas=True)
    assert tables["sizes"].to_numpy().tolist() == [["224", "224", 300]]
    # The folder's own figures: 1.3 % to 88.9 %, median 34.9 %.
    assert tables["areas"]["median"].item() == pytest.approx(0.349, abs=0.0005)
