"""Weight decay reaches what the loss touches, and nothing else."""

from functools import cache

import numpy as np
import pytest

import architectures
from benchmark.methods.base import Batch, Stage
from benchmark.recipe import Recipe
from benchmark.training.frameworks import make_engine, select_backend

SIZE = 65


@cache
def _built(framework):
    """An engine and its first weights."""
    select_backend(framework)
    network = architectures.build("MobileNetV2", framework, 3, image_size=SIZE, seed=0)
    return make_engine(network, "cpu", 0), network.tensors()


def _of_features(network, batch):
    from keras import ops

    return ops.mean(network(batch.images).features ** 2)


def _of_logits(network, batch):
    from keras import ops

    return ops.mean(network(batch.images).logits ** 2)


def _changed(framework, optimiser, loss):
    """Names of the weights that one step changes."""
    engine, first = _built(framework)
    engine.network.assign(first)
    recipe = Recipe(
        epochs=1,
        batch_size=4,
        optimiser=optimiser,
        learning_rate=0.1,
        weight_decay=0.5,
        schedule="constant",
    )
    engine.begin(Stage("train", loss, recipe))
    images = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3)).astype(np.uint8)
    engine.train_step(Batch((images,), np.array([0, 1, 2, 0])), 0.1)
    after = engine.network.tensors()
    return {name for name in first if not np.array_equal(first[name], after[name])}


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_what_the_loss_does_not_touch_is_left_alone_decay_included(framework, optimiser):
    first = _built(framework)[1]
    changed = _changed(framework, optimiser, _of_features)
    assert changed == {name for name in first if not name.startswith("head/")}


def test_what_the_loss_touches_moves(framework):
    assert _changed(framework, "sgd", _of_logits) == set(_built(framework)[1])
