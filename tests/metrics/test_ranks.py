"""Ranks over data sets: against Demšar's printed numbers, scipy, and what must always hold."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import friedmanchisquare

from benchmark.metrics.ranks import (
    block_ranks,
    cliques,
    critical_difference,
    friedman,
)

# Table 6 of Demšar (JMLR 7:1-30, 2006): AUC of C4.5, C4.5+m, C4.5+cf and C4.5+m+cf on 14 UCI data
# sets. Of "voting" the third is given a digit more: its printed ranks are 2 and 3, not 2.5 twice.
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)
# His table 5a, the Nemenyi test at 5 %, by the number of classifiers.
QUANTILES = {
    **{2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850},
    **{7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164},
}

tables = st.integers(2, 6).flatmap(
    lambda k: st.lists(
        st.lists(st.integers(0, 4), min_size=k, max_size=k), min_size=2, max_size=9
    ).map(np.array)
)


@pytest.mark.parametrize(("treatments", "quantile"), QUANTILES.items())
def test_the_critical_difference_has_the_quantiles_of_demsars_table(treatments, quantile):
    scale = math.sqrt(treatments * (treatments + 1) / (6 * 14))
    assert critical_difference(treatments, 14) == pytest.approx(quantile * scale, rel=5e-4)


def test_demsars_example_has_his_average_ranks_and_critical_differences():
    ranks = block_ranks(DEMSAR)
    assert ranks.mean(axis=0) == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(4, 14, level=0.10) == pytest.approx(1.12, abs=0.005)


def test_demsars_example_has_his_statistics_but_for_the_ties_that_he_leaves_uncorrected():
    ranks = block_ranks(DEMSAR)
    blocks, treatments = ranks.shape
    found = friedman(ranks)
    assert found.chi2 == pytest.approx(friedmanchisquare(*DEMSAR.T).statistic)
    within = ((ranks - ranks.mean()) ** 2).sum()
    untied = blocks * treatments * (treatments**2 - 1) / 12
    chi2 = found.chi2 * within / untied
    assert chi2 == pytest.approx(9.28, abs=0.005)
    f = (blocks - 1) * chi2 / (blocks * (treatments - 1) - chi2)
    assert f == pytest.approx(3.69, abs=0.005)
    # Ties carry no order: corrected for them the rest says more.
    assert found.f > f
    assert found.p < 0.05


@given(tables)
@settings(max_examples=60, deadline=None)
def test_ranks_of_a_block_sum_to_the_same_and_chi_square_is_scipys(scores):
    ranks = block_ranks(scores)
    count = ranks.shape[1]
    assert ranks.sum(axis=1) == pytest.approx(np.full(len(ranks), count * (count + 1) / 2))
    found = friedman(ranks)
    assert 0 <= found.p <= 1
    if count > 2 and (ranks != ranks.mean()).any():
        assert found.chi2 == pytest.approx(friedmanchisquare(*scores.T).statistic, abs=1e-9)


def test_treatments_that_are_tied_everywhere_do_not_differ():
    found = friedman(block_ranks(np.ones((5, 3))))
    assert (found.chi2, found.f, found.p) == (0.0, 0.0, 1.0)


def test_two_data_sets_that_agree_on_two_rows_show_nothing():
    # They agree every other time: the F distribution would say p = 0.
    assert friedman(block_ranks([[1, 0], [1, 0]])).p == pytest.approx(0.5)
    # Of three rows one of whose orders is (1, 2.5, 2.5) there are three such orders.
    assert friedman(block_ranks([[2, 1, 1]] * 3)).p == pytest.approx(1 / 9)


def test_equal_treatments_are_joined_by_one_clique():
    generator = np.random.default_rng(0)
    joined = 0
    for _ in range(40):
        average = np.sort(block_ranks(generator.normal(size=(20, 6))).mean(axis=0))
        joined += cliques(average, critical_difference(6, 20)) == [(0, 5)]
    assert joined >= 36


def test_a_planted_difference_is_separated_with_many_data_sets_and_not_with_few():
    generator = np.random.default_rng(1)
    scores = generator.normal(size=(60, 4)) + np.array([3.0, 0.0, 0.0, 0.0])
    assert friedman(block_ranks(scores)).p < 1e-6
    assert _cliques(scores) == [(1, 3)]
    assert _cliques(scores[:3]) == [(0, 3)]


def _cliques(scores):
    blocks, treatments = scores.shape
    average = np.sort(block_ranks(scores).mean(axis=0))
    return cliques(average, critical_difference(treatments, blocks))


def test_cliques_overlap_and_none_lies_in_another():
    assert cliques([1.0, 1.5, 2.5, 3.0, 6.0], 1.6) == [(0, 2), (1, 3)]
    assert cliques([1.0, 3.0, 5.0], 1.0) == []
    # Exactly as far apart as the critical difference is apart.
    assert cliques([1.0, 2.0], 1.0) == []


@pytest.mark.parametrize("scores", [[[1, 2]], [[1], [2]], [1, 2], [[1, np.nan], [1, 2]]])
def test_one_block_one_treatment_or_a_missing_score_is_refused(scores):
    with pytest.raises(ValueError, match=r"missing score|at least two"):
        block_ranks(scores)
