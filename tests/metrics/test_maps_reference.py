"""Fusing masks and the annotators' agreement, on masks drawn by hand and against plain loops."""

import numpy as np
import pytest

from benchmark.metrics.maps import (
    FUZZY_SCORES,
    fuse,
    fuzzy_scores,
    leave_one_out_agreement,
    pairwise_agreement,
)


def mask(*rows):
    """A mask drawn with # and . , one string a row."""
    return np.array([[pixel == "#" for pixel in row] for row in rows])


def test_fusing_by_sum_counts_masks_and_by_share_counts_annotators():
    plaque, scale = mask("##.", "..."), mask("#..", "#..")
    second = mask("#.#", "...")
    masks, annotators = np.stack([plaque, scale, second]), ["ann", "ann", "ben"]
    assert fuse(masks, "sum", annotators) == pytest.approx(np.array([[3, 1, 1], [1, 0, 0]]) / 3)
    assert fuse(masks, "share", annotators) == pytest.approx(np.array([[2, 1, 1], [1, 0, 0]]) / 2)
    assert fuse(masks, "share") == pytest.approx(np.array([[3, 1, 1], [1, 0, 0]]) / 3)


def test_an_annotator_with_an_empty_mask_lowers_the_share_and_not_the_sum():
    masks = np.stack([mask("#."), mask("..")])
    assert fuse(masks, "share").tolist() == [[0.5, 0.0]]
    assert fuse(masks, "sum").tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("rule", ["sum", "share"])
def test_fusing_empty_masks_gives_the_zero_map(rule):
    assert not fuse(np.zeros((2, 3, 3), bool), rule).any()


@pytest.mark.parametrize(
    ("masks", "rule", "annotators"),
    [
        (np.zeros((0, 3, 3), bool), "sum", None),
        (np.zeros((3, 3), bool), "sum", None),
        (np.full((1, 3, 3), 255, np.uint8), "sum", None),
        (np.zeros((2, 3, 3), bool), "median", None),
        (np.zeros((2, 3, 3), bool), "share", ["ann"]),
    ],
)
def test_fusing_refuses_what_is_not_a_stack_of_masks(masks, rule, annotators):
    with pytest.raises(ValueError, match=r"masks|rule"):
        fuse(masks, rule, annotators)


@pytest.mark.parametrize("rule", ["sum", "share"])
def test_each_annotator_is_scored_against_the_others_fused(rule):
    generator = np.random.default_rng(0)
    by_annotator = {
        name: generator.random((count, 6, 7)) > 0.6
        for name, count in {"ann": 1, "ben": 3, "cem": 2}.items()
    }
    found = leave_one_out_agreement(by_annotator, rule)
    assert list(found) == ["ann", "ben", "cem"]
    for name, agreement in found.items():
        others = [other for other in by_annotator if other != name]
        reference = fuse(
            np.concatenate([by_annotator[other] for other in others]),
            rule,
            [other for other in others for _ in by_annotator[other]],
        )
        own = fuse(by_annotator[name], rule, [name] * len(by_annotator[name]))
        expected = {score: float(v) for score, v in fuzzy_scores(reference, own).items()}
        assert agreement == pytest.approx(expected)


def test_annotators_who_agree_reach_one_and_a_lone_one_has_no_ceiling():
    same = mask("##.", "#..")[None]
    found = leave_one_out_agreement({"ann": same, "ben": same}, "share")
    assert found["ann"]["f1"] == found["ben"]["iou"] == 1
    assert leave_one_out_agreement({"ann": same}, "share") == {}


@pytest.mark.parametrize("agreement", [leave_one_out_agreement, pairwise_agreement])
def test_agreement_refuses_masks_of_different_sizes(agreement):
    with pytest.raises(ValueError, match="size"):
        agreement({"ann": np.ones((1, 2, 3), bool), "ben": np.ones((1, 3, 2), bool)}, "sum")


@pytest.mark.parametrize("rule", ["sum", "share"])
def test_each_pair_is_scored_on_its_fused_maps_averaged_over_both_ways(rule):
    generator = np.random.default_rng(1)
    by_annotator = {
        name: generator.random((count, 6, 7)) > 0.6
        for name, count in {"cem": 2, "ann": 1, "ben": 3}.items()
    }
    found = pairwise_agreement(by_annotator, rule)
    assert list(found) == [("ann", "ben"), ("ann", "cem"), ("ben", "cem")]
    for pair, agreement in found.items():
        one, other = (
            fuse(by_annotator[name], rule, [name] * len(by_annotator[name])) for name in pair
        )
        there, back = fuzzy_scores(one, other), fuzzy_scores(other, one)
        assert agreement == {
            score: pytest.approx((there[score] + back[score]) / 2) for score in FUZZY_SCORES
        }
        assert agreement["f1"] == there["f1"] == back["f1"]
        assert agreement["precision"] == pytest.approx(agreement["sensitivity"])
        assert agreement["specificity"] == pytest.approx(agreement["npv"])


def test_a_pair_in_which_one_marked_nothing_disagrees_and_one_in_which_neither_did_is_undefined():
    some, none = mask("##.", "#..")[None], mask("...", "...")[None]
    found = pairwise_agreement({"ann": some, "ben": none, "cem": none}, "share")
    assert found["ann", "ben"]["f1"] == found["ann", "ben"]["iou"] == 0
    assert {score for score, v in found["ann", "ben"].items() if np.isnan(v)} == {
        "precision",
        "sensitivity",
    }
    assert {score for score, v in found["ben", "cem"].items() if np.isnan(v)} == {
        "f1",
        "iou",
        "precision",
        "sensitivity",
    }
    assert found["ben", "cem"]["specificity"] == 1


def test_a_lone_annotator_makes_no_pair():
    assert pairwise_agreement({"ann": np.ones((1, 2, 3), bool)}, "sum") == {}


def test_more_masks_than_a_byte_counts_are_fused_without_overflow():
    masks = np.zeros((300, 1, 3), bool)
    masks[:, 0, 0], masks[:150, 0, 1] = True, True
    for rule in ("sum", "share"):
        assert fuse(masks, rule).tolist() == [[1, 0.5, 0]]
    assert fuse(masks, "share", ["ann"] * 300).tolist() == [[1, 1, 0]]
