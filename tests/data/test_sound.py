"""What a layout of anybody's gives is refused where the suite could not read it, by row."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.data import load
from benchmark.data.dataset import MASK_COLUMNS, Dataset, Disease
from benchmark.data.layouts import Layout
from benchmark.data.sound import require_sound
from benchmark.errors import UserError
from benchmark.registry import DATASETS


@pytest.fixture
def sound():
    table = pd.DataFrame(
        {
            "path": ["a.png", "b.png", ""],
            "label": [0, 1, -1],
            "group": ["p", "p", "q"],
            "split": ["train", "", "test"],
        },
        index=["a", "b", "c"],
    )
    masks = pd.DataFrame([("a", "expert", "", "m.png")], columns=list(MASK_COLUMNS))
    return Dataset("zoo", Path("here"), table, ("x", "y"), masks)


def test_what_is_sound_passes(sound):
    require_sound("zoo", sound)
    require_sound("zoo", replace(sound, masks=sound.masks[:0]))


@pytest.mark.parametrize(
    ("column", "values", "told"),
    [
        ("path", [Path("a.png"), "b.png", ""], r"'a': column path .*PosixPath\), expected str"),
        ("label", ["x", "y", "x"], r"'a': column label holds 'x' \(str\), expected a whole number"),
        ("label", [0, 2, 1], r"'b': column label holds 2 .* from 0 to 1, or -1 for none"),
        ("label", [0.0, 1.0, 1.0], "'a': column label holds 0.0"),
        ("group", ["p", np.nan, "q"], r"'b': column group holds nan \(float\)"),
        ("group", [1, 2, 3], "'a': column group holds 1"),
        ("split", ["training", "", ""], r"'a': column split holds 'training'.*\"train\", \"valida"),
        ("split", [None, "", ""], "'a': column split holds (None|nan)"),
    ],
)
def test_a_cell_that_is_not_what_it_should_be_is_named_with_its_image(sound, column, values, told):
    table = sound.table.assign(**{column: values})
    with pytest.raises(UserError, match=f"layout of dataset 'zoo', image {told}"):
        require_sound("zoo", replace(sound, table=table))


def test_ids_are_text_and_unique(sound):
    for ids, told in (([1, 2, 3], "image 1: column id holds 1"), (["a", "b", "a"], "'a' is there")):
        with pytest.raises(UserError, match=told):
            require_sound("zoo", replace(sound, table=sound.table.set_axis(ids)))


def test_masks_are_of_images_that_there_are(sound):
    for cell, told in (("a.png", "'a.png'.*expected the id of an image"), (0, r"holds 0 \(int")):
        with pytest.raises(UserError, match=told):
            require_sound("zoo", replace(sound, masks=sound.masks.assign(id=[cell])))
    with pytest.raises(UserError, match="masks lacks the column annotator: add it"):
        require_sound("zoo", replace(sound, masks=sound.masks.drop(columns="annotator")))


def test_grades_are_indices_of_their_disease(sound):
    graded = replace(sound, diseases=(Disease("DR", ("none", "some"), 1),))
    with pytest.raises(UserError, match="table lacks the column grade:DR"):
        require_sound("zoo", graded)
    table = sound.table.assign(**{"grade:DR": [0, 1, 2]})
    with pytest.raises(UserError, match="'c': column grade:DR holds 2"):
        require_sound("zoo", replace(graded, table=table))


def test_no_image_no_dataset_and_another_name_are_told(sound):
    with pytest.raises(UserError, match="found no image in here"):
        require_sound("zoo", replace(sound, table=sound.table[:0]))
    with pytest.raises(UserError, match="read gave NoneType, expected a Dataset"):
        require_sound("zoo", None)
    with pytest.raises(UserError, match="dataset 'ape' calls its data 'zoo': use one name"):
        require_sound("ape", sound)


def test_load_refuses_what_a_layout_gives(sound, monkeypatch, tmp_path):
    wrong = replace(sound, table=sound.table.assign(label="x"))
    zoo = Layout(lambda root: wrong, "animals", "nothing", "none", "none")
    monkeypatch.setitem(DATASETS._loaded, "zoo", zoo)
    with pytest.raises(UserError, match="column label holds 'x'"):
        load("zoo", tmp_path)
