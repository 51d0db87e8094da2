"""The learning rate, step by step."""

import pytest

from benchmark.config import Recipe
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
