"""The maps that ignore the network, by what they must look like."""

import numpy as np
import pytest

from benchmark.metrics.maps import centred_gaussian, constant, edge_map, fuzzy_scores, mean_map


def test_the_centred_gaussian_is_centred_and_symmetric():
    found = centred_gaussian((21, 31))
    assert found[10, 15] == found.max() == 1
    assert found[0, 0] == found.min() == 0
    np.testing.assert_allclose(found, found[::-1, ::-1], atol=1e-6)
    flat = centred_gaussian((400, 300), sigma=0.25)
    edge, corner = np.exp(-2), np.exp(-4)
    assert flat[200, 0] == pytest.approx((edge - corner) / (1 - corner), abs=0.01)


def test_the_constant_map_has_the_share_of_the_marks_as_precision():
    reference = np.zeros((10, 10))
    reference[:3] = 1
    found = fuzzy_scores(reference, constant((10, 10)))
    assert (found["precision"], found["sensitivity"]) == pytest.approx((0.3, 1))


def test_the_mean_map_is_the_mean_of_the_maps_by_area_whatever_their_sizes():
    left, top = np.zeros((128, 256)), np.zeros((640, 320), np.float32)
    left[:, :128], top[:160] = 1, 0.5
    expected = np.zeros((64, 64))
    expected[:, :32] += 0.5
    expected[:16] += 0.25
    found = mean_map(iter([left, top]))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_mean_of_no_maps_or_of_a_bad_one_is_refused():
    with pytest.raises(ValueError, match="no masks"):
        mean_map([])
    with pytest.raises(ValueError, match="NaN"):
        mean_map([np.full((5, 5), np.nan)])


def test_edges_are_where_the_photograph_changes_and_nowhere_else():
    photograph = np.zeros((400, 600, 3), np.uint8)
    photograph[:, 300:] = (200, 120, 90)
    found = edge_map(photograph, (200, 300))
    assert found.shape == (200, 300)
    assert (found.min(), found.max()) == (0, 1)
    assert set(found.argmax(axis=1)) <= {149, 150}
    assert not found[:, :140].any()
    assert not found[:, 160:].any()


def test_a_photograph_of_one_colour_has_no_edges():
    assert not edge_map(np.full((50, 60, 3), 77, np.uint8), (20, 30)).any()


def test_edges_of_what_is_not_a_photograph_are_refused():
    with pytest.raises(ValueError, match="uint8"):
        edge_map(np.zeros((50, 60, 3), np.float32), (20, 30))
