"""CReST's picks and CReST+'s target, on tables made by hand; the rates lie in test_rates.py."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from benchmark.methods import crest

COUNTS = st.lists(st.integers(1, 10_000), min_size=2, max_size=9)
PROBABILITIES = arrays.arrays(
    np.float64, st.tuples(st.integers(0, 60), st.just(3)), elements=st.floats(0.01, 1), unique=True
)


@pytest.fixture(scope="module")
def vectors(real_data):
    file = real_data.parent / "reference" / "method_vectors.json"
    if not file.is_file():
        pytest.skip("no reference/method_vectors.json beside the folder of real images")
    return json.loads(file.read_text())


@given(PROBABILITIES)
def test_picks_are_none_twice_and_labelled_as_predicted(probabilities):
    found = crest.picks(probabilities, crest.sampling_rates([30, 5, 60], 1 / 3))
    assert len(np.unique(found.places)) == len(found.places)
    assert found.labels.tolist() == probabilities[found.places].argmax(axis=1).tolist()
    assert found.places.dtype == found.labels.dtype == np.int64


@given(PROBABILITIES, st.permutations(range(3)))
def test_picks_follow_their_classes_when_those_are_permuted(probabilities, order):
    counts = np.array([30, 5, 60])
    found = crest.picks(probabilities, crest.sampling_rates(counts, 1 / 3))
    again = crest.picks(probabilities[:, order], crest.sampling_rates(counts[order], 1 / 3))
    expected = set(zip(found.places, found.labels, strict=True))
    assert set(zip(again.places, np.array(order)[again.labels], strict=True)) == expected


def test_the_rarer_class_gets_the_larger_share_of_its_pseudo_labels():
    predicted = np.repeat([0, 1], 8)
    probabilities = np.where(np.eye(2)[predicted] > 0, 0.8, 0.2)
    found = crest.picks(probabilities, crest.sampling_rates([1, 8], 1 / 3))
    assert np.bincount(found.labels).tolist() == [8, 4]


def test_the_power_falls_in_a_straight_line_to_the_least(vectors):
    group = vectors["crest_progressive_alignment"]
    count, least = group["G"], group["t_min"]
    found = [crest.alignment_power(number, count, least) for number in range(count)]
    assert found == pytest.approx(group["t"])


def test_the_targets_are_the_published_formulas(vectors):
    group = vectors["crest_progressive_alignment"]
    found = [crest.alignment_target(group["p_isic2018"], power) for power in group["t"]]
    np.testing.assert_allclose(found, group["target_per_generation"], atol=2e-8)


@given(COUNTS, st.floats(0, 1), st.floats(0, 1))
def test_a_smaller_power_makes_no_target_less_flat(counts, one, other):
    smaller, larger = sorted((one, other))
    flat, steep = crest.alignment_target(counts, smaller), crest.alignment_target(counts, larger)
    assert flat.sum() == pytest.approx(1)
    assert _entropy(flat) >= _entropy(steep) - 1e-9


def test_power_1_leaves_the_class_shares_and_power_0_makes_them_alike():
    assert crest.alignment_target([6, 3, 1], 1) == pytest.approx([0.6, 0.3, 0.1])
    assert crest.alignment_target([6, 3, 1], 0) == pytest.approx([1 / 3] * 3)


def test_a_single_generation_is_aligned_to_the_class_shares():
    assert crest.alignment_power(0, 1, 0.5) == 1


@pytest.mark.parametrize("case", [(3, 3, 0.5), (-1, 3, 0.5), (0, 0, 0.5), (0, 3, 1.5)])
def test_generations_and_powers_out_of_range_are_refused(case):
    with pytest.raises(ValueError, match="least power"):
        crest.alignment_power(*case)


def _entropy(shares):
    return -(shares * np.log(shares)).sum()
