"""The exponents are those of the law that made the costs, and points are measured for real."""

import dataclasses
import math

import numpy as np
import pytest

from benchmark.data.pixels import silent
from benchmark.errors import UserError
from benchmark.speed import growth
from benchmark.speed.growth import CURVES, Point, exponent, fitted, measure, named
from benchmark.speed.growth_plot import draw


def _points(curve, power, sizes=None, noise=0.0):
    generator = np.random.default_rng(0)
    return [
        Point(curve.name, n, 0.01 * n**power * math.exp(generator.normal(0, noise)), 1.0, 10**8, {})
        for n in sizes or curve.sizes
    ]


@pytest.mark.parametrize("power", [0, 0.5, 1, 2, 3])
def test_the_exponent_of_a_power_law_is_found(power):
    sizes = np.array([10, 30, 100, 500])
    fit = exponent(sizes, 7 * sizes**power)
    assert fit.exponent == pytest.approx(power)
    assert fit.error == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(fit.at(sizes), 7 * sizes**power)


def test_the_standard_error_says_how_far_noise_moves_the_exponent():
    generator = np.random.default_rng(0)
    sizes = 2.0 ** np.arange(4, 12)
    fits = [
        exponent(sizes, sizes**1.5 * np.exp(generator.normal(0, 0.2, len(sizes))))
        for _ in range(500)
    ]
    found = np.array([fit.exponent for fit in fits])
    assert found.mean() == pytest.approx(1.5, abs=0.01)
    assert np.sqrt(np.mean([fit.error**2 for fit in fits])) == pytest.approx(found.std(), rel=0.1)


def test_two_sizes_have_an_exponent_without_an_error():
    fit = exponent([10, 100], [1, 100])
    assert fit.exponent == pytest.approx(2)
    assert math.isnan(fit.error)
    assert str(fit) == "n^2.00"


@pytest.mark.parametrize(
    ("sizes", "values"), [([10], [1]), ([10, 10], [1, 2]), ([1, 2], [0, 1]), ([1, 2], [1, 2, 3])]
)
def test_what_is_no_power_law_is_refused(sizes, values):
    with pytest.raises(ValueError, match="two sizes"):
        exponent(sizes, values)


def test_small_sizes_do_not_enter_the_fit_unless_there_are_no_others():
    curve = dataclasses.replace(CURVES[0], sizes=(1, 10, 100, 1000), fitted_from=100)
    other = _points(CURVES[1], 1)
    points = _points(curve, 1)[::-1] + other
    assert [point.size for point in fitted(curve, points)] == [100, 1000]
    small = dataclasses.replace(curve, fitted_from=1000)
    assert [point.size for point in fitted(small, points)] == [1, 10, 100, 1000]


def test_every_curve_has_rising_sizes_and_enough_to_fit():
    for curve in CURVES:
        assert list(curve.sizes) == sorted(set(curve.sizes))
        assert sum(size >= curve.fitted_from for size in curve.sizes) >= 3
        assert named(curve.name) is curve


def test_an_unknown_curve_is_refused_with_the_nearest():
    with pytest.raises(UserError, match="did you mean scores-classes"):
        named("score-classes")


def test_a_point_is_measured_in_a_process_of_its_own(tmp_path):
    told = []

    def progress(sizes, description, total):
        told.append((description, total))
        return sizes

    curve = named("raters-annotators")
    points = measure(curve, tmp_path / "scratch", progress, sizes=[2, 3])
    assert [(point.curve, point.size) for point in points] == [(curve.name, 2), (curve.name, 3)]
    assert [point.facts["pairs"] for point in points] == [1, 3]
    for point in points:
        assert point.cpu_seconds > 0
        assert point.seconds > 0
        assert 20e6 < point.anonymous_bytes < 2e9
    assert told == [("overlaps of masks, 40 images by annotators", 2)]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_size_that_is_not_positive_is_refused(tmp_path):
    with pytest.raises(UserError, match="give 1 or more"):
        measure(CURVES[0], tmp_path, silent, sizes=[100, 0])


def test_a_point_that_fails_is_told_with_its_reason_and_leaves_nothing(tmp_path):
    # The network takes no image as small as this.
    with pytest.raises(UserError, match=r"predict-side at 8 pixels: .*too small"):
        measure(named("predict-side"), tmp_path, silent, sizes=[8])
    assert list(tmp_path.iterdir()) == []


def test_the_table_has_a_row_per_point():
    points = _points(CURVES[0], 1, sizes=(10, 20))
    table = growth.table(points)
    assert list(table) == ["curve", "size", "seconds", "cpu_seconds", "anonymous_bytes"]
    assert list(table["size"]) == [10, 20]


@pytest.mark.parametrize("count", [1, 5, len(CURVES)])
def test_curves_are_drawn_few_and_many(tmp_path, count):
    points = [point for curve in CURVES[:count] for point in _points(curve, 1.1, noise=0.05)]
    draw(points, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_a_single_point_is_drawn_without_a_line(tmp_path):
    draw(_points(CURVES[0], 1, sizes=(100,)), tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 1000
