"""The learning rate, step by step."""

import pytest

from benchmark.recipe import Recipe
from benchmark.training.loop import learning_rate

STEPS = 10


def _recipe(**changes):
    settings = {
        "epochs": 4,
        "batch_size": 8,
        "optimiser": "sgd",
        "learning_rate": 0.5,
        "schedule": "cosine",
        **changes,
    }
    return Recipe(**settings)


def test_cosine_falls_from_the_full_rate_to_nothing():
    rates = [learning_rate(_recipe(), step, STEPS) for step in range(41)]
    assert rates[0] == 0.5
    assert rates[20] == pytest.approx(0.25)
    assert rates[40] == pytest.approx(0)
    assert rates == sorted(rates, reverse=True)


def test_constant_stays():
    recipe = _recipe(schedule="constant")
    assert {learning_rate(recipe, step, STEPS) for step in range(40)} == {0.5}


def test_warm_up_rises_and_never_exceeds_the_rate():
    recipe = _recipe(warmup_epochs=1.0)
    rates = [learning_rate(recipe, step, STEPS) for step in range(40)]
    assert 0 < rates[0] < rates[5] < rates[9] < 0.5
    assert max(rates) == rates[10] == 0.5


@pytest.mark.parametrize(
    ("epochs", "drops"),
    [
        (100, [33, 66, 99]),
        (7, [2, 4, 6]),
        (3, [1, 2]),
        # Thirds of less than an epoch: after each.
        (2, [1]),
        (1, []),
    ],
)
def test_thirds_drop_to_a_tenth_after_every_whole_third(epochs, drops):
    """SuperCon's code: a step schedule of int(epochs / 3) epochs."""
    recipe = _recipe(epochs=epochs, schedule="thirds")
    for epoch in range(epochs):
        expected = 0.5 * 0.1 ** sum(drop <= epoch for drop in drops)
        for step in (0, STEPS - 1):
            rate = learning_rate(recipe, epoch * STEPS + step, STEPS)
            assert rate == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("epochs", "drops"), [(100, [50, 75]), (8, [4, 6]), (5, [3, 4]), (2, [1]), (1, [])]
)
def test_half_then_quarter_drops_to_a_tenth_twice(epochs, drops):
    """MedMNIST's code: a tenth after half of the epochs and again after three quarters."""
    recipe = _recipe(epochs=epochs, schedule="half-then-quarter")
    for epoch in range(epochs):
        rate = learning_rate(recipe, epoch * STEPS, STEPS)
        passed = sum(drop <= epoch for drop in drops)
        # Of two epochs the second is past the half alone; three quarters fall inside it.
        assert rate == pytest.approx(0.5 * 0.1**passed, rel=1e-12)
