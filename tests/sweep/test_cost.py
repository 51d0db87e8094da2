"""What a run may cost, told from others."""

import importlib
import sys
from itertools import product
from pathlib import Path

import pytest

from benchmark.sweep.cost import Costs, Underway, seconds_left
from benchmark.sweep.measured import Machine, Measured, StageSeconds
from benchmark.sweep.plan import Asked, Estimate, planned

sys.path.insert(0, str(Path(__file__).parent))
made = importlib.import_module("made_runs")


def _run(estimate=None, **settings):
    usual = {"arch": "MobileNetV2", "task": "diagnosis", "budget": "smoke"}
    return planned(Asked(**{**usual, **settings}), estimate)


def _costs(*done):
    """Of runs of which no more is known than how long they took."""
    costs = Costs()
    for number, (run, seconds) in enumerate(done):
        config = run.config.public()
        costs.add(
            Measured(
                run_id=f"r{number}", config=config, processor=made.HERE.processor, wall=seconds
            )
        )
    return costs


def _known(*runs, **fields):
    costs = Costs()
    for run in runs:
        costs.add(made.measured(run, **fields))
    return costs


def test_of_runs_that_differ_in_the_seed_alone_the_median_counts():
    costs = _costs(*((_run(seed=seed), seconds) for seed, seconds in enumerate((10, 12, 90))))
    estimate = costs.estimate(_run(seed=7).config)
    assert estimate == Estimate(12, "runs of these settings: 3")


def test_of_like_runs_each_part_is_scaled_by_what_it_grows_with():
    costs = _known(made.run(epochs=4))
    longer = made.run(epochs=9, seed=3)
    estimate = costs.estimate(longer.config)
    assert estimate.source == "runs like it, by epochs: 1"
    assert estimate.seconds == pytest.approx(made.seconds(longer))
    larger = made.run(epochs=9, image_size=200)
    estimate = costs.estimate(larger.config)
    assert estimate.source == "runs like it, by epochs and pixels: 1"
    assert estimate.seconds == pytest.approx(made.seconds(larger))


def test_the_least_time_of_reading_counts_as_the_first_run_decodes_the_images():
    cold = made.measured(made.run(epochs=4))
    cold = cold.model_copy(
        update={"seconds": cold.seconds | {"data": 61.0}, "wall": cold.wall + 60, "run_id": "cold"}
    )
    costs = _known(made.run(epochs=3))
    costs.add(cold)
    longer = made.run(epochs=9)
    assert costs.estimate(longer.config).seconds == pytest.approx(made.seconds(longer))


def test_options_that_follow_from_the_epochs_keep_runs_alike():
    costs = _known(made.run(method="supercon", epochs=4))
    longer = made.run(method="supercon", epochs=12)
    assert costs.estimate(longer.config).seconds == pytest.approx(made.seconds(longer))
    other = made.run(method="supercon", epochs=12, method_options={"classifier_epochs": 2})
    assert costs.estimate(other.config) is not None


def test_factors_that_runs_were_made_of_are_found_again():
    few = [
        made.run(epochs=3),
        made.run("MobileNet", epochs=3),
        made.run("VGG16", epochs=4),
        made.run(epochs=3, method="supercon"),
        made.run(epochs=5, method="focal"),
        made.run(images=120, epochs=3),
    ]
    costs = _known(*few)
    for arch, method, images in product(made.NETWORKS, made.METHODS, made.IMAGES):
        asked = made.run(arch, images, method=method, epochs=8)
        estimate = costs.estimate(asked.config)
        assert estimate.seconds == pytest.approx(made.seconds(asked), rel=1e-3), asked.name
    assert estimate.source == "other runs, by network, data and method: 6"
    larger = made.run("VGG16", 120, method="focal", image_size=200, epochs=8)
    estimate = costs.estimate(larger.config)
    assert estimate.seconds == pytest.approx(made.seconds(larger), rel=1e-3)
    assert estimate.source == "other runs, by network, data and method, scaled by pixels: 6"


def test_of_what_no_runs_connect_nothing_is_told():
    costs = _known(made.run(), made.run("VGG16", 120, method="focal"))
    assert costs.estimate(made.run("VGG16").config) is None
    assert costs.estimate(made.run(method="focal").config) is None
    assert costs.estimate(made.run("MobileNet").config) is None
    assert costs.estimate(made.run(framework="keras").config) is None


def test_runs_of_this_machine_come_before_those_of_others():
    elsewhere = Machine("another processor, 64 cores")
    costs = _known(made.run("VGG16", epochs=3), machine=elsewhere)
    asked = made.run("VGG16", epochs=8)
    told = costs.estimate(asked.config)
    assert told.source == "runs like it, by epochs: 1, on other machines"
    here = made.measured(made.run("VGG16", epochs=4))
    costs.add(here.model_copy(update={"wall": here.wall + 100}))
    told = costs.estimate(asked.config)
    assert told.source == "runs like it, by epochs: 1"
    assert told.seconds == pytest.approx(made.seconds(asked) + 100)


def test_runs_with_an_accelerator_tell_nothing_of_runs_without():
    costs = _known(made.run("VGG16"), machine=Machine(made.HERE.processor, accelerated=True))
    assert costs.estimate(made.run("VGG16").config).source.endswith("on other machines")


def test_where_nobody_timed_the_process_others_tell_of_its_start():
    costs = _known(made.run("VGG16", epochs=3), wall=False)
    asked = made.run("VGG16", epochs=8)
    without = made.seconds(asked) - made.START
    assert costs.estimate(asked.config).seconds == pytest.approx(without)
    costs.add(made.measured(made.run(epochs=3)))
    assert costs.estimate(asked.config).seconds == pytest.approx(made.seconds(asked))


def test_stages_of_one_epoch_warm_up_as_other_stages_of_their_network_do():
    known = made.measured(made.run(epochs=3))
    single = made.measured(made.run(method="supercon", epochs=1))
    costs = _known()
    costs.add(known)
    costs.add(single)
    longer = made.run(method="supercon", epochs=8)
    assert costs.estimate(longer.config).seconds == pytest.approx(made.seconds(longer))


def test_of_a_continued_run_the_epochs_of_all_its_processes_count():
    whole = made.measured(made.run(epochs=6))
    last = {**whole.seconds, "training": whole.seconds["training"] / 3}
    costs = Costs()
    costs.add(whole.model_copy(update={"seconds": last, "wall": sum(last.values()) + made.START}))
    longer = made.run(epochs=12)
    assert costs.estimate(longer.config).seconds == pytest.approx(made.seconds(longer))
    same = made.run(epochs=6, seed=5)
    assert costs.estimate(same.config).seconds == pytest.approx(made.seconds(same))


def test_a_first_epoch_is_set_apart_only_where_it_was_longer():
    assert StageSeconds(epochs=3, total=16.0, first=10.0).excess == pytest.approx(7.0)
    assert StageSeconds(epochs=3, total=16.0, first=1.0).excess == 0.0
    assert StageSeconds(epochs=3, total=16.0).excess is None


def test_the_time_left_is_divided_among_the_jobs():
    costs = _costs((_run(), 10.0))
    runs = [_run(seed=seed) for seed in (1, 2, 3)]
    assert seconds_left(runs, {}, costs, 1) == 30
    assert seconds_left(runs, {runs[0].id: Underway(4.0)}, costs, 2) == 13
    assert seconds_left(runs[:1], {}, costs, 8) == 10
    assert seconds_left([], {}, costs, 2) == 0


def test_where_done_runs_tell_nothing_the_plan_does_and_then_the_mean():
    known, unknown = _run(Estimate(20.0, "earlier")), _run(arch="VGG16")
    assert seconds_left([known, unknown], {}, Costs(), 1) == 40
    assert seconds_left([unknown], {}, Costs(), 1) is None
    assert seconds_left([unknown], {}, _costs((known, 8.0)), 1) == 8


def test_a_run_that_says_how_long_it_goes_on_is_believed_beyond_what_was_expected():
    costs = _costs((_run(), 10.0))
    runs = [_run(seed=seed) for seed in (1, 2, 3)]
    assert seconds_left(runs, {runs[0].id: Underway(4.0, 40.0)}, costs, 2) == 40
    assert seconds_left(runs, {runs[0].id: Underway(4.0, 40.0)}, costs, 1) == 60
    # More stages may follow, so it is not believed below.
    assert seconds_left(runs, {runs[0].id: Underway(4.0, 1.0)}, costs, 1) == 26


def test_where_nothing_is_known_what_running_ones_say_is_the_mean():
    runs = [_run(arch="VGG16", seed=seed) for seed in (1, 2)]
    assert seconds_left(runs, {runs[0].id: Underway(2.0, 18.0)}, Costs(), 1) == 38
    assert seconds_left(runs, {runs[0].id: Underway(2.0)}, Costs(), 1) is None
