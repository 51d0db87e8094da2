"""Teachers, memory and new networks, by the engine of this framework."""

from functools import cache

import numpy as np
import pytest

import architectures
from benchmark.data.pipeline import Samples
from benchmark.methods.base import Batch, Stage, Teacher, on_logits
from benchmark.progress import SilentDisplay
from benchmark.recipe import Augmentation, Recipe
from benchmark.training import loop
from benchmark.training.frameworks import make_engine, select_backend

SIZE = 96
RECIPE = Recipe(
    epochs=3,
    batch_size=4,
    optimiser="sgd",
    learning_rate=0.05,
    schedule="constant",
    bn_momentum=0.5,
    augmentation=Augmentation(horizontal_flip=True),
)
STATISTICS = ("moving_mean", "moving_variance")


@cache
def _built(framework):
    select_backend(framework)
    network = architectures.build("MobileNet", framework, 2, image_size=SIZE, seed=0)
    return make_engine(network, "cpu", 0), network.tensors()


@pytest.fixture
def engine(framework):
    """An engine as new: building one takes longer than what is tested on it."""
    engine, first = _built(framework)
    engine.network.freeze("none")
    engine.network.assign(first)
    return engine


@pytest.fixture(scope="module")
def pool() -> Samples:
    """Twelve images, those of class 1 redder."""
    rng = np.random.default_rng(0)
    labels = np.arange(12) % 2
    pixels = rng.integers(0, 120, (12, SIZE, SIZE, 3))
    pixels[..., 0] += 120 * labels[:, None, None]
    return Samples(pixels.astype(np.uint8), np.arange(12), labels)


def _part(pool, start, stop):
    return Samples(pool.pixels, pool.rows[start:stop], pool.labels[start:stop])


def _cross_entropy(network, batch):
    from benchmark.methods import losses

    return on_logits(losses.cross_entropy)(network, batch)


def _consistency(network, batch):
    from benchmark.methods import losses

    first, second = batch.unlabelled
    consistent = losses.prediction_consistency(network(first).logits, network.taught(second).logits)
    return _cross_entropy(network, batch) + consistent


def _teacher_of(tensors):
    return {n.removeprefix("teacher/"): v for n, v in tensors.items() if n.startswith("teacher/")}


def _train(engine, stage, train, unlabelled, path, selection=lambda labels, found: 0.5):
    return loop.train_stage(
        engine, stage, train, train, selection, 0, path, SilentDisplay(), unlabelled=unlabelled
    )


@pytest.mark.parametrize("training", [False, True])
def test_a_teacher_is_the_average_it_says(engine, pool, training):
    stage = Stage("train", _cross_entropy, RECIPE, teacher=Teacher(lambda step: 0, training))
    engine.begin(stage)
    expected = engine.network.tensors()
    for step, keeps in enumerate((0.0, 0.5, 0.9)):
        engine.train_step(
            Batch((pool.pixels[4 * step : 4 * step + 4],), pool.labels[4 * step : 4 * step + 4]),
            0.05,
            keeps,
        )
        now = engine.network.tensors()
        expected = {n: keeps * expected[n] + (1 - keeps) * now[n] for n in now}
    found = _teacher_of(engine.tensors())
    assert set(found) == set(expected)
    for name, tensor in found.items():
        if name.endswith(STATISTICS):
            if not training:
                np.testing.assert_array_equal(tensor, now[name], err_msg=name)
            continue
        np.testing.assert_allclose(tensor, expected[name], rtol=1e-5, atol=1e-6, err_msg=name)
    moved = [n for n in found if not np.array_equal(found[n], engine.network.tensors()[n])]
    assert moved


@pytest.mark.parametrize("training", [False, True])
def test_a_teachers_statistics_are_its_own_in_training_mode_else_the_networks(
    engine, pool, training
):
    teacher = Teacher(lambda step: 1.0, training)
    stage = Stage(
        "train",
        _consistency,
        RECIPE,
        unlabelled_views=(RECIPE.augmentation,) * 2,
        teacher=teacher,
    )
    engine.begin(stage)
    before = _teacher_of(engine.tensors())
    batch = Batch((pool.pixels[:4],), pool.labels[:4], unlabelled=(pool.pixels[4:8],) * 2)
    engine.train_step(batch, 0.05, 1.0)
    after = _teacher_of(engine.tensors())
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed
    assert all(name.endswith(STATISTICS) for name in changed)
    now = engine.network.tensors()
    networks = {name for name in changed if np.array_equal(after[name], now[name])}
    assert networks == (set() if training else changed)


def test_no_gradient_reaches_the_teacher_and_its_student_learns_from_it(engine, pool):
    from keras import ops

    def loss(network, batch):
        return ops.mean((network(batch.images).logits - network.taught(batch.images).logits) ** 2)

    stage = Stage("train", loss, RECIPE, teacher=Teacher(lambda step: 1.0, training=True))
    engine.begin(stage)
    engine.network.new_head(1)
    before, taught = engine.network.tensors(), _teacher_of(engine.tensors())
    first = float(engine.train_step(Batch((pool.pixels[:4],), pool.labels[:4]), 0.05, 1.0))
    assert first > 0
    after = engine.network.tensors()
    assert any(not np.array_equal(before[n], after[n]) for n in before if n.endswith("kernel"))
    for name, tensor in _teacher_of(engine.tensors()).items():
        if not name.endswith(STATISTICS):
            np.testing.assert_array_equal(tensor, taught[name])


@pytest.mark.parametrize("judged", [False, True])
def test_what_is_judged_is_what_a_stage_leaves(engine, pool, tmp_path, judged):
    teacher = Teacher(lambda step: 1.0, judged=judged)
    stage = Stage("train", _cross_entropy, RECIPE.model_copy(update={"epochs": 1}), teacher=teacher)
    first = engine.network.tensors()
    before = engine.predict(iter([pool.pixels]))
    seen = []
    _train(engine, stage, pool, None, tmp_path / "c", lambda y, p: seen.append(p) or 0.5)
    after = engine.predict(iter([pool.pixels]))
    np.testing.assert_allclose(seen[0], after, atol=1e-6)
    # A teacher that keeps all of itself is the network of before the stage.
    assert np.allclose(after, before, atol=1e-6) == judged
    same = [np.array_equal(first[n], v) for n, v in engine.network.tensors().items()]
    assert all(same) == judged


@pytest.mark.slow
def test_an_interrupted_student_continues_with_its_teacher_and_memory(engine, pool, tmp_path, cut):
    def loss(network, batch):
        network.remember("loss", network.memory["loss"] + 1)
        return _consistency(network, batch)

    stage = Stage(
        "train",
        loss,
        RECIPE,
        memory={"loss": np.zeros(1, np.float32)},
        unlabelled_views=(RECIPE.augmentation,) * 2,
        teacher=Teacher(lambda step: min(1 - 1 / (step + 1), 0.9), training=True),
        choose=False,
    )
    labelled, unlabelled = _part(pool, 0, 4), _part(pool, 4, 12)
    first = engine.network.tensors()
    _train(engine, stage, labelled, unlabelled, tmp_path / "whole")
    whole = engine.tensors()
    assert whole["stage/loss"] == 9
    engine.network.assign(first)
    cut(lambda: _train(engine, stage, labelled, unlabelled, tmp_path / "cut"))
    engine.network.assign(first)
    _train(engine, stage, labelled, unlabelled, tmp_path / "cut")
    for name, tensor in engine.tensors().items():
        np.testing.assert_array_equal(tensor, whole[name], err_msg=name)


def test_a_new_network_is_the_first_one_again(framework, pool, tmp_path):
    select_backend(framework)
    network = architectures.build("MobileNet", framework, 2, image_size=SIZE, seed=3)
    first = network.tensors()
    engine = make_engine(network, "cpu", 0)
    recipe = RECIPE.model_copy(update={"epochs": 1})
    _train(engine, Stage("one", _cross_entropy, recipe), pool, None, tmp_path / "one")
    assert any(not np.array_equal(first[n], v) for n, v in network.tensors().items())
    engine.begin(Stage("two", _cross_entropy, recipe, new_network=True))
    for name, tensor in network.tensors().items():
        np.testing.assert_array_equal(tensor, first[name])


def test_a_twin_computes_the_same_and_is_another(engine, pool):
    twin = engine.network.twin()
    np.testing.assert_array_equal(twin.logits(pool.pixels), engine.network.logits(pool.pixels))
    twin.new_head(5)
    assert not np.array_equal(twin.logits(pool.pixels), engine.network.logits(pool.pixels))
