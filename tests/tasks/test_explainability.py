"""Explainability on maps made by hand: what is scored, on which images, against which map."""

import dataclasses

import cv2
import numpy as np
import pandas as pd
import pytest

from benchmark import pictures
from benchmark.errors import DataError
from benchmark.metrics import maps
from tasks.diagnosis import Diagnosis
from tasks.explainability import Explainability, exhibits
from tasks.explainability.image import heatmap, readings, share

SIDE = 32


@pytest.fixture
def score(dataset, trial, outputs_of):
    return Explainability().score(dataset, trial, outputs_of(trial.test))


def alone(dataset):
    """The same images with one annotator."""
    masks = dataset.masks[dataset.masks["annotator"] == "a"].reset_index(drop=True)
    return dataclasses.replace(dataset, masks=masks)


def test_the_headline_is_the_fuzzy_f1_against_the_share_of_annotators(
    dataset, trial, score, on_lesion
):
    expert = share(readings(dataset, trial.test[0]).first, 2)
    # Both annotators marked the inner square, one the rest of the outer.
    assert expert[0, 0] == 1
    assert expert[14, 14] == 0.5
    network = heatmap(on_lesion, (SIDE, SIDE))
    by_hand = 2 * np.minimum(expert, network).sum() / (expert.sum() + network.sum())
    assert score.metrics["explainability_f1"].value == pytest.approx(by_hand, rel=1e-6)
    assert by_hand > 0.75


def test_the_published_protocol_counts_masks_and_takes_8_bits(dataset, trial, score, on_lesion):
    stack = dataset.mask_stack(trial.test[0])
    reference = maps.published_reference(stack)
    assert reference[14, 14] == 128 / 255  # one of two masks, times 256
    network = maps.published_map(on_lesion, (SIDE, SIDE), "bicubic")
    by_hand = 2 * np.minimum(reference, network).sum() / (reference.sum() + network.sum())
    assert score.metrics["dermxdb_2023_f1"].value == pytest.approx(by_hand, rel=1e-6)
    assert score.metrics["dermxdb_2023_f1"].value != score.metrics["explainability_f1"].value


def test_all_images_enter_the_headline_and_correct_ones_the_published(dataset, trial, outputs_of):
    wrong = trial.test[:2]
    score = Explainability().score(dataset, trial, outputs_of(trial.test, wrong))
    assert score.metrics["explainability_f1"].n == 6
    for name in ("correct_only_f1", "dermxdb_2023_f1"):
        assert score.metrics[name].n == 4
    assert score.baselines["centred Gaussian"].metrics["explainability_f1"].n == 6
    assert score.baselines["centred Gaussian"].metrics["dermxdb_2023_f1"].n == 4
    assert list(score.tables["per_image"]["correct"]) == [i not in wrong for i in trial.test]


def test_the_predicted_class_may_be_explained_by_another_map(dataset, trial, outputs_of):
    right = Explainability().score(dataset, trial, outputs_of(trial.test)).metrics
    assert right["predicted_class_f1"].value == right["explainability_f1"].value
    wrong = Explainability().score(dataset, trial, outputs_of(trial.test, trial.test)).metrics
    assert wrong["predicted_class_f1"].value < wrong["explainability_f1"].value


def test_maps_that_do_not_depend_on_the_class_do_not_discriminate(
    dataset, trial, outputs_of, on_lesion
):
    task = Explainability()
    apart = task.score(dataset, trial, outputs_of(trial.test)).metrics
    assert apart["discrimination_f1"].value > 0.5
    same = task.score(dataset, trial, outputs_of(trial.test, other=on_lesion)).metrics
    assert same["discrimination_f1"].value == pytest.approx(0)
    few = task.score(dataset, trial, outputs_of(trial.test, every=False)).metrics
    assert few["discrimination_f1"].value is None
    assert "every class" in few["discrimination_f1"].note


def test_a_map_on_the_lesion_beats_the_floors_and_one_off_it_does_not(
    dataset, trial, outputs_of, on_lesion, score
):
    on = score.metrics["explainability_f1"].value
    off = (
        Explainability()
        .score(dataset, trial, outputs_of(trial.test, true=np.flip(on_lesion)))
        .metrics["explainability_f1"]
        .value
    )
    for name in ("centred Gaussian", "constant", "edge map", "untrained network"):
        floor = score.baselines[name]
        assert floor.kind == "floor"
        assert on > floor.metrics["explainability_f1"].value
    assert off < score.baselines["centred Gaussian"].metrics["explainability_f1"].value


def test_the_mean_mask_is_of_training_images_only(dataset, trial, outputs_of, tmp_path):
    task = Explainability()
    before = task.score(dataset, trial, outputs_of(trial.test)).tables["per_image"]
    for path in dataset.masks.loc[dataset.masks["id"].isin(trial.train), "path"]:
        cv2.imwrite(path, np.flip(cv2.imread(path, cv2.IMREAD_GRAYSCALE)))
    after = task.score(dataset, trial, outputs_of(trial.test)).tables["per_image"]
    changed = [c for c in before if not before[c].equals(after[c])]
    assert changed
    assert all(c.startswith("mean_mask_") for c in changed)
    unmarked = dataset.masks[~dataset.masks["id"].isin(trial.train)].reset_index(drop=True)
    bare = dataclasses.replace(dataset, masks=unmarked)
    assert "mean training mask" not in task.score(bare, trial, outputs_of(trial.test)).baselines


def test_the_ceiling_is_one_annotator_against_the_other(score):
    for name in ("annotator against the others", "annotator pairs"):
        ceiling = score.baselines[name]
        assert ceiling.kind == "ceiling"
        expected = 2 * 144 / (144 + 256)
        assert ceiling.metrics["explainability_f1"].value == pytest.approx(expected)
    assert "repeat readings" not in score.baselines


def test_repeat_readings_are_a_ceiling_and_no_part_of_the_reference(dataset, trial, outputs_of):
    masks = dataset.masks.assign(session=1)
    again = masks[masks["annotator"] == "b"].assign(annotator="a", session=2)
    both = dataclasses.replace(dataset, masks=pd.concat([masks, again], ignore_index=True))
    task = Explainability()
    score = task.score(both, trial, outputs_of(trial.test))
    once = task.score(dataset, trial, outputs_of(trial.test))
    assert score.metrics["explainability_f1"] == once.metrics["explainability_f1"]
    repeats = score.baselines["repeat readings"].metrics["explainability_f1"]
    assert repeats.value == pytest.approx(2 * 144 / (144 + 256))


def test_skill_places_the_network_between_the_best_floor_and_the_annotators(
    dataset, trial, outputs_of
):
    # All lesions lie alike here: with the training masks no network could beat their mean.
    masks = dataset.masks[~dataset.masks["id"].isin(trial.train)].reset_index(drop=True)
    bare = dataclasses.replace(dataset, masks=masks)
    score = Explainability().score(bare, trial, outputs_of(trial.test))
    floors = [
        each.metrics["explainability_f1"].value
        for name, each in score.baselines.items()
        if each.kind == "floor" and name != "untrained network"
    ]
    ceiling = score.baselines["annotator against the others"].metrics["explainability_f1"].value
    network = score.metrics["explainability_f1"].value
    by_hand = (network - max(floors)) / (ceiling - max(floors))
    assert score.metrics["explainability_skill"].value == pytest.approx(by_hand)
    assert score.metrics["explainability_skill"].note.startswith("floor: ")


def test_no_skill_where_a_floor_is_above_the_annotators(score):
    assert score.metrics["explainability_skill"].value is None
    assert score.metrics["explainability_skill"].note == "no room above the floor"


def test_one_annotator_gives_no_ceiling_and_no_skill(dataset, trial, outputs_of):
    score = Explainability().score(alone(dataset), trial, outputs_of(trial.test))
    assert {each.kind for each in score.baselines.values()} == {"floor"}
    assert score.metrics["explainability_skill"].value is None
    assert score.metrics["explainability_skill"].note == "no image has two annotators"


def test_levels_have_every_characteristic_annotator_and_subgroup_with_counts(score):
    levels = score.tables["levels"].set_index(["protocol", "level", "name", "score"])
    ours = levels.loc["dermbench-1"]
    assert set(ours.index.get_level_values("level")) == {
        "characteristic",
        "annotator",
        "skin_tone",
    }
    assert ours.loc[("characteristic", "Plaque", "f1"), "n"] == 6
    # The larger square is all of the marked quarter, the smaller one less of it.
    a, b = (ours.loc[("annotator", who, "f1"), "value"] for who in "ab")
    assert a > b
    assert ours.loc[("skin_tone", "dark", "f1"), "n"] == 3
    assert ours.loc[("skin_tone", "dark", "f1"), "note"] == "fewer than 30 images"
    assert levels.loc[("dermxdb-2023", "skin_tone", "light", "f1"), "n"] == 3


def test_a_characteristic_drawn_by_one_of_two_has_half_a_share(dataset, trial):
    masks = dataset.masks.copy()
    masks.loc[masks["annotator"] == "b", "characteristic"] = "Scale"
    read = readings(dataclasses.replace(dataset, masks=masks), trial.test[0])
    scale = share(read.characteristics["Scale"], read.readers)
    assert scale.max() == 0.5


def test_who_read_the_image_and_marked_nothing_has_an_empty_mask(dataset, trial, outputs_of):
    dataset.table["readers"] = "a;b;c"
    read = readings(dataset, trial.test[0])
    assert read.silent == ("c",)
    assert share(read.first, read.readers).max() == pytest.approx(2 / 3)
    score = Explainability().score(dataset, trial, outputs_of(trial.test))
    found = score.baselines["annotator against the others"].metrics["explainability_f1"].value
    small, large = 144, 256
    # Each of two squares against half of the other; c agrees with nobody.
    a = 2 * small / 2 / (large + small / 2)
    b = 2 * small / 2 / (small + large / 2)
    assert found == pytest.approx((a + b + 0) / 3)
    pairs = score.baselines["annotator pairs"].metrics["explainability_f1"].value
    assert pairs == pytest.approx((2 * small / (small + large) + 0 + 0) / 3)
    assert any("6 readings" in note and "c 6" in note for note in score.notes)


def test_an_image_without_a_marked_pixel_is_named_and_enters_no_mean(dataset, trial, outputs_of):
    blank = np.zeros((SIDE, SIDE), np.uint8)
    for path in dataset.masks.loc[dataset.masks["id"] == trial.test[0], "path"]:
        cv2.imwrite(path, blank)
    score = Explainability().score(dataset, trial, outputs_of(trial.test))
    (told,) = (note for note in score.notes if "without a marked pixel" in note)
    assert told == f"Masks without a marked pixel, not scored: 1 test image ({trial.test[0]})."
    assert score.metrics["explainability_f1"].n == 5
    assert score.baselines["constant"].metrics["explainability_f1"].n == 5
    levels = score.tables["levels"]
    assert set(levels.loc[levels["level"] == "annotator", "n"]) == {5}
    for path in dataset.masks["path"]:
        cv2.imwrite(path, blank)
    with pytest.raises(DataError, match="no mask of the 6 test images has a marked pixel"):
        Explainability().score(dataset, trial, outputs_of(trial.test))


def test_floors_of_the_published_rule_do_not_depend_on_the_network_over_all_images(
    dataset, trial, outputs_of
):
    name = "dermxdb_2023_all_images_f1"
    one, other = (
        Explainability().score(dataset, trial, outputs_of(trial.test, wrong))
        for wrong in ((), trial.test[:3])
    )
    assert one.baselines["constant"].metrics[name] == other.baselines["constant"].metrics[name]
    assert one.metrics[name].n == other.metrics[name].n == 6


def test_a_zero_map_scores_nothing_leaves_precision_undefined_and_is_named(
    dataset, trial, outputs_of
):
    outputs = outputs_of(trial.test, true=np.zeros((4, 4), np.float32))
    score = Explainability().score(dataset, trial, outputs)
    assert score.metrics["explainability_f1"].value == 0
    assert score.metrics["explainability_precision"].value is None
    assert any("zero everywhere" in note and trial.test[0] in note for note in score.notes)


def test_a_map_that_is_not_a_number_scores_nothing_and_is_named(dataset, trial, outputs_of):
    outputs = outputs_of(trial.test, true=np.full((4, 4), np.nan, np.float32))
    score = Explainability().score(dataset, trial, outputs)
    assert score.metrics["explainability_f1"].value == 0
    assert score.metrics["explainability_f1"].n == 6
    assert any("not finite" in note and trial.test[0] in note for note in score.notes)


def test_no_correct_image_leaves_the_published_score_undefined(dataset, trial, outputs_of):
    outputs = outputs_of(trial.test, wrong=trial.test)
    metrics = Explainability().score(dataset, trial, outputs).metrics
    assert metrics["dermxdb_2023_f1"].value is None
    assert metrics["dermxdb_2023_f1"].note
    assert metrics["explainability_f1"].value > 0


def test_unmarked_test_images_are_not_scored_and_are_named(dataset, outputs_of):
    (whole,) = Diagnosis().trials(dataset)
    masks = dataset.masks[dataset.masks["id"] != whole.test[0]].reset_index(drop=True)
    bare = dataclasses.replace(dataset, masks=masks)
    (trial,) = Explainability().trials(bare)
    assert trial.test == whole.test[1:]
    assert trial.unscored == whole.test[:1]
    score = Explainability().score(bare, trial, outputs_of(trial.test))
    assert any("Without a mask" in note and whole.test[0] in note for note in score.notes)


def test_data_without_masks_cannot_be_asked_for_explanations(dataset):
    unmarked = dataclasses.replace(dataset, masks=dataset.masks[:0])
    with pytest.raises(DataError, match="needs experts' masks"):
        Explainability().check(unmarked)


def test_curves_become_areas_and_the_last_stage_the_similarity(score):
    assert score.metrics["insertion_auc"].value == pytest.approx(0.75)
    assert score.metrics["deletion_auc"].value == pytest.approx(0.25)
    assert score.metrics["randomised_similarity"].value == pytest.approx(0.1)
    assert score.metrics["randomised_similarity"].n == 1
    assert list(score.tables["faithfulness"].columns) == ["insertion", "deletion"]


def test_maps_of_the_true_class_alone_score_what_they_score_with_all_others(
    dataset, trial, outputs_of
):
    outputs = outputs_of(trial.test)
    task = Explainability()
    table = task.score(dataset, trial, outputs).tables["per_image"]
    alone = task.map_scores(dataset, trial.test, outputs.explanations.true)
    assert set(alone) == {n for n in task.per_image if n.startswith("explainability_")}
    for metric, values in alone.items():
        np.testing.assert_array_equal(values, table[task.per_image[metric]])


@pytest.fixture
def sheets(dataset, trial, outputs_of, tmp_path, monkeypatch):
    """What is drawn of each characteristic: a function of the data to title and exhibits."""

    def drawn(data):
        found = {}
        monkeypatch.setattr(
            pictures, "explanations", lambda rows, target, title: found.update({title: rows})
        )
        outputs = outputs_of(trial.test)
        score = Explainability().score(data, trial, outputs)
        exhibits._draw_characteristics(data, outputs, score, tmp_path)
        return found, score.tables["levels"].set_index(["protocol", "level", "name", "score"])

    return drawn


def test_a_sheet_of_a_characteristic_scores_and_sorts_by_its_own_masks(dataset, trial, sheets):
    masks = dataset.masks.copy()
    masks.loc[masks["annotator"] == "b", "characteristic"] = "Scale"
    first = trial.test[0]
    # Its scale is all of the map, so it is the best of the scales; of plaques it is the worst.
    best = masks[(masks["id"] == first) & (masks["annotator"] == "b")]["path"].item()
    other = masks[(masks["id"] == first) & (masks["annotator"] == "a")]["path"].item()
    for path, side in ((best, 20), (other, 2)):
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[:side, :side] = 255
        cv2.imwrite(path, mask)
    found, levels = sheets(dataclasses.replace(dataset, masks=masks))
    plaque, scale = (
        next(rows for title, rows in found.items() if title.startswith(name))
        for name in ("Plaque", "Scale")
    )
    assert scale[0].id == first
    assert plaque[-1].id == first
    assert all(row.characteristics == ("Scale",) for row in scale)
    for name, rows in (("Plaque", plaque), ("Scale", scale)):
        scores = [row.scores["F1"] for row in rows]
        assert scores == sorted(scores, reverse=True)
        # Five images are alike and one is not.
        usual, odd = scores[1], scores[0 if name == "Scale" else -1]
        mean = levels.loc[("dermbench-1", "characteristic", name, "f1"), "value"]
        assert mean == pytest.approx((5 * usual + odd) / 6)
    assert plaque[-1].scores["Gaussian"] < plaque[0].scores["Gaussian"]


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (1, "the only explained image"),
        (2, "the better and the worse explained image"),
        (3, "the best, a middling and the worst explained image"),
        (6, "the best, a middling and the worst explained image"),
    ],
)
def test_a_sheet_of_a_characteristic_says_how_its_images_were_chosen(
    dataset, trial, sheets, count, told
):
    masks = dataset.masks.copy()
    masks.loc[masks["id"].isin(trial.test[:count]), "characteristic"] = "Cyst"
    found, _ = sheets(dataclasses.replace(dataset, masks=masks))
    (title,) = (title for title in found if title.startswith("Cyst"))
    assert title == f"Cyst: {told}, by F1 against its own mask"
    assert len(found[title]) == min(count, 3)
