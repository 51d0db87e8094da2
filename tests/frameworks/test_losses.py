"""Losses against closed forms and scikit-learn, in the framework of this process."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

LABELS = np.array([0, 2, 1, 2])
LOGITS = np.random.default_rng(3).normal(size=(4, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def losses(framework):
    from benchmark.training.frameworks import select_backend

    select_backend(framework)
    from benchmark.methods import losses

    return losses


def _value(tensor) -> float:
    return float(np.asarray(tensor))


def test_cross_entropy_equals_scikit_learn(losses):
    exp = np.exp(LOGITS - LOGITS.max(axis=1, keepdims=True))
    expected = log_loss(LABELS, exp / exp.sum(axis=1, keepdims=True), labels=[0, 1, 2])
    assert _value(losses.cross_entropy(LOGITS, LABELS)) == pytest.approx(expected, rel=1e-6)


def test_cross_entropy_of_equal_logits_is_the_logarithm_of_the_class_count(losses):
    equal = np.zeros((4, 3), np.float32)
    assert _value(losses.cross_entropy(equal, LABELS)) == pytest.approx(np.log(3), rel=1e-6)


def test_class_weights_multiply_each_image_and_the_mean_is_over_images(losses):
    weights = np.array([1.0, 2.0, 4.0], np.float32)
    each = [_value(losses.cross_entropy(LOGITS[i : i + 1], LABELS[i : i + 1])) for i in range(4)]
    expected = np.mean(weights[LABELS] * each)
    found = _value(losses.cross_entropy(LOGITS, LABELS, weights))
    assert found == pytest.approx(expected, rel=1e-6)


def test_cross_entropy_stays_finite_for_huge_logits(losses):
    huge = np.array([[1e4, -1e4, 0.0]], np.float32)
    assert _value(losses.cross_entropy(huge, np.array([1]))) == pytest.approx(2e4, rel=1e-6)


@pytest.mark.parametrize(
    ("given", "taken"), [("float16", "float32"), ("float32", "float32"), ("float64", "float64")]
)
def test_cross_entropy_works_in_float32_or_better(losses, given, taken):
    from keras import backend, ops

    logits = ops.convert_to_tensor(LOGITS.astype(given))
    loss = losses.cross_entropy(logits, LABELS, np.ones(3))
    assert backend.standardize_dtype(loss.dtype) == taken
