"""`data check`: broken files and contradictions are found, and what there is is counted."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import benchmark.data
from benchmark.cli import main
from benchmark.data.check import check
from benchmark.data.dataset import UNLABELLED, Disease


@pytest.fixture
def dataset(dataset):
    """The six images, f labelled too: three groups of each class, so a run can draw its parts."""
    dataset.table.loc["f", "label"] = 1
    return dataset


def test_sound_data_have_no_problems(dataset):
    assert check(dataset).problems == ()


def test_every_broken_image_and_mask_is_found(dataset, tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:60])
    (tmp_path / "c_mask.png").write_text("no mask")
    problems = check(dataset).problems
    assert len(problems) == 3
    for name, problem in zip(("a.png", "b.png", "c_mask.png"), problems, strict=True):
        assert name in problem


def test_mask_of_another_size_and_empty_mask_are_found(dataset, tmp_path):
    Image.new("L", (4, 4), 255).save(tmp_path / "a_mask.png")
    Image.new("L", (6, 5), 0).save(tmp_path / "b_mask.png")
    found = check(dataset)
    (wrong,) = found.problems
    assert "a_mask.png is 4 x 4 (width x height), but" in wrong
    assert "a.png is 6 x 5" in wrong
    # An empty mask is a reader's answer: it costs nothing.
    assert any("b_mask.png is empty: it counts as 'nothing marked'" in r for r in found.remarks)


def test_masks_without_photographs_are_compared_with_each_other(dataset, tmp_path):
    dataset.table["path"] = ""
    assert check(dataset).problems == ()
    dataset.masks.loc[1, "id"] = "c"  # 6 x 5 beside 9 x 7
    (problem,) = check(dataset).problems
    assert "9 x 7" in problem
    assert "6 x 5" in problem


def test_identical_images_are_found_where_a_split_could_part_them(dataset, tmp_path):
    same = (tmp_path / "a.png").read_bytes()
    (tmp_path / "b.png").write_bytes(same)  # same group, other class
    (tmp_path / "e.png").write_bytes(same)  # same class, other group
    label, group = check(dataset).problems
    assert (
        label
        == "images a and b are byte-identical, but differ in label: correct one, or remove one"
    )
    assert (
        group
        == "images a and e are byte-identical, but differ in group: correct one, or remove one"
    )


def test_identical_images_may_be_graded_for_two_diseases_but_not_twice_for_one(dataset, tmp_path):
    same = (tmp_path / "a.png").read_bytes()
    for name in "bc":
        (tmp_path / f"{name}.png").write_bytes(same)
    table = dataset.table.assign(group="one")
    table["grade:DR"] = [1, UNLABELLED, 0, 0, 1, 1]
    table["grade:AMD"] = [UNLABELLED, 0, 0, 1, 1, 0]
    table["label"] = table["grade:DR"]
    graded = tuple(Disease(name, ("0", "1"), 1) for name in ("DR", "AMD"))
    told = check(dataclasses.replace(dataset, table=table, diseases=graded)).problems
    assert [one for one in told if "byte" in one] == [
        "images a and c are byte-identical, but differ in grade:DR: correct one, or remove one"
    ]


def test_leaks_and_empty_classes_are_found(dataset):
    dataset.table["split"] = ["train", "test", "", "", "", ""]
    dataset.table["label"] = 0
    empty, one_class, leak = check(dataset).problems
    assert "of 1 class: a diagnosis needs at least two" in one_class
    assert "1 of 1 test images show a lesion or patient that is also in train" in leak
    assert empty == "class odd has no image: add some, or take it out of the table"


def test_what_a_run_could_not_divide_is_a_problem(dataset):
    dataset.table["group"] = [*"abcbed"]
    (problem,) = check(dataset).problems
    assert "class odd has 2 groups (lesions or patients), too few to be in each" in problem


def test_check_reports_its_progress(dataset):
    seen = []

    def watch(items, description, total):
        seen.append((description, total))
        return items

    check(dataset, watch)
    assert seen[0] == ("checking images", 6)
    assert ("making thumbnails", 6) in seen
    assert seen[-1] == ("checking masks", 6)


def _photograph(path, seed, shift=0):
    """A picture with structure at every scale, a little darker by `shift`."""
    rng = np.random.default_rng(seed)
    pixels = sum(
        np.kron(rng.integers(0, 60, (side, side, 3)), np.ones((64 // side, 64 // side, 1)))
        for side in (4, 8, 16)
    )
    Image.fromarray((pixels - shift).clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture
def photographs(dataset):
    """The same six samples as pictures that can be told from one another; no masks."""
    for number, path in enumerate(dataset.table["path"]):
        _photograph(path, number)
    return dataclasses.replace(dataset, masks=dataset.masks.iloc[:0])


def test_near_identical_images_of_two_classes_are_a_problem(photographs):
    assert check(photographs).problems == ()
    # a is even of the first group, b odd of the first, e even of the third.
    _photograph(photographs.table.at["b", "path"], 0, shift=3)
    (problem,) = check(photographs).problems
    assert problem.startswith("a and b are near-identical and of different classes")


def test_near_identical_images_of_two_groups_are_told(photographs):
    _photograph(photographs.table.at["e", "path"], 0, shift=3)
    found = check(photographs)
    assert found.problems == ()
    assert any(
        each.startswith("a and e are near-identical and of different groups")
        for each in found.remarks
    )
    # Where the data's own parts tear them apart it is a leak.
    photographs.table["split"] = ["train", "train", "train", "train", "test", "test"]
    (leak,) = check(photographs).problems
    assert "1 of 2 test images are near-identical to an image of train" in leak
    assert "--allow-leaks" in leak


def test_what_there_is_is_counted(dataset):
    dataset.table.loc["f", "label"] = UNLABELLED
    facts = check(dataset).facts
    assert facts == {
        "images": "6",
        "classes": "2: even 3, odd 2",
        "groups": "3 lesions or patients, 2 images each",
        "parts": "none given: a run draws them, whole groups at a time",
        "unlabelled": "1",
        "height x width": "5 x 6 to 7 x 9",
        "masks": "6, of 6 of 6 images, by 2 annotators",
    }
    dataset.table["split"] = ["train"] * 4 + ["test", ""]
    dataset.table.loc[["a", "b"], "group"] = "g1"
    dataset.table.loc["f", "path"] = ""
    found = check(dataset)
    assert found.facts["parts"] == "train 4, test 1, without a part 1"
    assert found.facts["groups"] == "2 lesions or patients, 2 to 4 images each"
    assert found.facts["images"] == "6, 5 of them here"
    assert any("1 photograph is not here" in each for each in found.remarks)


def test_few_and_rare_are_remarked(dataset):
    table = pd.concat([dataset.table.loc[["a"]]] * 23 + [dataset.table.loc[["b"]]] * 2)
    table.index = pd.Index([f"i{number:02d}" for number in range(25)], name="id")
    table["group"] = table.index
    lone = dataclasses.replace(dataset, table=table.assign(path=""), masks=dataset.masks.iloc[:0])
    rare, few, alone, _ = check(lone).remarks
    assert rare.startswith("even has 11.5 times the images of odd (2)")
    assert few.startswith("fewer than 10 images: odd (2).")
    assert alone.startswith("no lesions or patients are given: each image is a group of its own")


def test_classes_of_one_name_in_two_spellings_are_named(dataset):
    spelled = dataclasses.replace(dataset, classes=("Nevus ", "nevus"))
    (problem,) = check(spelled).problems
    assert problem.startswith("classes 'Nevus ' and 'nevus' differ in case or spaces only")


def test_groups_of_several_classes_are_told_and_cost_nothing(dataset):
    found = check(dataset)
    assert found.problems == ()
    (told,) = (each for each in found.remarks if "of several classes" in each)
    assert "3 groups: g0 (even, odd), g1 (even, odd), g2 (even, odd): patients may" in told
    dataset.table["label"] = [0, 0, 1, 1, 0, UNLABELLED]
    assert not any("of several classes" in each for each in check(dataset).remarks)


def _ungrouped(dataset):
    """Two byte-identical and two near-identical images, and no group given, as in class folders."""
    paths = dataset.table["path"]
    with open(paths["a"], "rb") as source, open(paths["c"], "wb") as copy:
        copy.write(source.read())
    _photograph(paths["d"], 1, shift=3)
    table = dataset.table.assign(group=dataset.table.index)
    return dataclasses.replace(dataset, table=table)


def test_copies_do_not_contradict_each_other_in_groups_that_nobody_gave(photographs):
    found = check(_ungrouped(photographs))
    assert found.problems == ()
    assert found.facts["groups"] == "none given: each image is taken as a group of its own"
    copies = [each for each in found.remarks if "identical" in each]
    assert copies == [
        "a and c are byte-identical: the picture counts twice, remove one",
        "b and d are near-identical: parts drawn here keep them together; if one is a copy of the"
        " other, remove it",
    ]


def test_where_all_parts_are_given_nothing_is_said_of_drawn_ones(photographs):
    alone = _ungrouped(photographs)
    alone.table["split"] = ["train"] * 4 + ["validation", "test"]
    found = check(alone)
    (problem,) = found.problems
    assert "class odd (3 groups in all) has no image in the part validation" in problem
    assert not any("drawn here keep" in each or "may part" in each for each in found.remarks)
    assert any("b and d are near-identical: no part is drawn here" in r for r in found.remarks)
    assert any("whether one lies in two parts cannot be told" in r for r in found.remarks)


def test_near_copies_are_looked_for_among_the_readable_images(photographs):
    paths = photographs.table["path"]
    _photograph(paths["b"], 0, shift=3)
    for name in "cf":
        with open(paths[name], "wb") as broken:
            broken.write(b"nothing")
    found = check(photographs)
    assert [each for each in found.problems if "near-identical" in each] == [
        "a and b are near-identical and of different classes: correct one, or remove both"
    ]
    assert any(
        each.startswith("2 photographs are not here or cannot be read: near-identical images were")
        and each.endswith("among the other 4 only")
        for each in found.remarks
    )


def test_the_command_says_what_to_mend_and_fails(tmp_path, capsys):
    for label in ("mole", "wart"):
        (tmp_path / label).mkdir()
        for number in range(3):
            _photograph(tmp_path / label / f"{number}.png", len(label) * number + (label == "mole"))
    assert main(["data", "check", "--dataset", "folder", "--data-dir", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "2: mole 3, wart 3" in told
    assert f"{tmp_path} is sound" in told
    (tmp_path / "wart" / "1.png").write_bytes(b"nothing")
    assert main(["data", "check", "--dataset", "folder", "--data-dir", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert "mend: " in told.out
    assert "1.png" in told.out
    assert "1 problem in" in told.err


def test_one_of_a_kind_is_counted_in_the_singular_and_masks_among_all_images(dataset):
    dataset.table["group"] = list("uvwxyz")
    facts = check(dataclasses.replace(dataset, masks=dataset.masks.iloc[:1])).facts
    assert facts["groups"] == "6 lesions or patients, 1 image each"
    assert facts["masks"] == "1, of 1 of 6 images, by 1 annotator"


def test_real_masks_are_sound(real_data):
    dataset = benchmark.data.load("isic2018", real_data / "ham10000-lesion-masks")
    assert check(dataset).problems == ()
