"""What a run may cost, told from others."""

from benchmark.sweep.cost import Costs, seconds_left
from benchmark.sweep.plan import Asked, Estimate, planned


def _run(estimate=None, **settings):
    usual = {"arch": "MobileNetV2", "task": "diagnosis", "budget": "smoke"}
    return planned(Asked(**{**usual, **settings}), estimate)


def _costs(*done):
    costs = Costs()
    for run, seconds in done:
        costs.add(run.config.public(), seconds)
    return costs


def test_of_runs_that_differ_in_the_seed_alone_the_median_counts():
    costs = _costs(*((_run(seed=seed), seconds) for seed, seconds in enumerate((10, 12, 90))))
    estimate = costs.estimate(_run(seed=7).config)
    assert estimate == Estimate(12, "runs of these settings: 3")


def test_like_runs_are_scaled_by_epochs_and_pixels():
    costs = _costs((_run(image_size=80), 10.0))
    estimate = costs.estimate(_run(image_size=160, epochs=3).config)
    assert estimate == Estimate(120, "runs like it, by epochs and pixels: 1")


def test_of_another_network_nothing_is_known():
    costs = _costs((_run(), 10.0))
    assert costs.estimate(_run(arch="VGG16").config) is None
    assert costs.estimate(_run(framework="keras").config) is None


def test_the_time_left_is_divided_among_the_jobs():
    costs = _costs((_run(), 10.0))
    runs = [_run(seed=seed) for seed in (1, 2, 3)]
    assert seconds_left(runs, {}, costs, 1) == 30
    assert seconds_left(runs, {runs[0].id: 4.0}, costs, 2) == 13
    assert seconds_left(runs[:1], {}, costs, 8) == 10
    assert seconds_left([], {}, costs, 2) == 0


def test_where_done_runs_tell_nothing_the_plan_does_and_then_the_mean():
    known, unknown = _run(Estimate(20.0, "earlier")), _run(arch="VGG16")
    assert seconds_left([known, unknown], {}, Costs(), 1) == 40
    assert seconds_left([unknown], {}, Costs(), 1) is None
    assert seconds_left([unknown], {}, _costs((known, 8.0)), 1) == 8
