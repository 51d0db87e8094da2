"""Teachers, memory and new networks, by the engine of this framework.

With a network of two layers and a normalisation where nothing of a real one is asked.
"""

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import architectures
from benchmark.common.progress import SilentDisplay
from benchmark.data.pipeline import Samples
from benchmark.methods.base import Batch, Stage, Teacher, on_logits
from benchmark.recipe import Augmentation, Recipe
from benchmark.training import loop
from benchmark.training.frameworks import make_engine, select_backend

sys.path.insert(0, str(Path(__file__).parent))

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


@pytest.fixture
def small(framework):
    """An engine of a network that takes no time."""
    select_backend(framework)
    from points import PointNetwork

    return make_engine(PointNetwork(3, 2, (SIZE, SIZE), normalised=True), "cpu", 0)


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


# A real network where everything that it has is averaged or copied.
@pytest.mark.parametrize(("which", "training"), [("engine", False), ("small", True)])
def test_a_teacher_is_the_average_it_says(which, pool, training, request):
    engine = request.getfixturevalue(which)
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
    small, pool, training
):
    teacher = Teacher(lambda step: 1.0, training)
    stage = Stage(
        "train",
        _consistency,
        RECIPE,
        unlabelled_views=(RECIPE.augmentation,) * 2,
        teacher=teacher,
    )
    small.begin(stage)
    before = _teacher_of(small.tensors())
    batch = Batch((pool.pixels[:4],), pool.labels[:4], unlabelled=(pool.pixels[4:8],) * 2)
    small.train_step(batch, 0.05, 1.0)
    after = _teacher_of(small.tensors())
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed
    assert all(name.endswith(STATISTICS) for name in changed)
    now = small.network.tensors()
    networks = {name for name in changed if np.array_equal(after[name], now[name])}
    assert networks == (set() if training else changed)


def test_no_gradient_reaches_the_teacher_and_its_student_learns_from_it(small, pool):
    from keras import ops

    def loss(network, batch):
        return ops.mean((network(batch.images).logits - network.taught(batch.images).logits) ** 2)

    stage = Stage("train", loss, RECIPE, teacher=Teacher(lambda step: 1.0, training=True))
    small.begin(stage)
    small.network.new_head(1)
    before, taught = small.network.tensors(), _teacher_of(small.tensors())
    first = float(small.train_step(Batch((pool.pixels[:4],), pool.labels[:4]), 0.05, 1.0))
    assert first > 0
    after = small.network.tensors()
    assert any(not np.array_equal(before[n], after[n]) for n in before if n.endswith("kernel"))
    for name, tensor in _teacher_of(small.tensors()).items():
        if not name.endswith(STATISTICS):
            np.testing.assert_array_equal(tensor, taught[name])


@pytest.mark.parametrize("judged", [False, True])
def test_what_is_judged_is_what_a_stage_leaves(small, pool, tmp_path, judged):
    teacher = Teacher(lambda step: 1.0, training=True, judged=judged)
    stage = Stage("train", _cross_entropy, RECIPE.model_copy(update={"epochs": 1}), teacher=teacher)
    first = small.network.tensors()
    before = small.predict(iter([pool.pixels]))
    seen = []
    _train(small, stage, pool, None, tmp_path / "c", lambda y, p: seen.append(p) or 0.5)
    after = small.predict(iter([pool.pixels]))
    np.testing.assert_allclose(seen[0], after, atol=1e-6)
    # A teacher that keeps all of itself, and is never asked, is the network of before the stage.
    assert np.allclose(after, before, atol=1e-6) == judged
    same = [np.array_equal(first[n], v) for n, v in small.network.tensors().items()]
    assert all(same) == judged


def test_an_interrupted_student_continues_with_its_teacher_and_memory(small, pool, tmp_path, cut):
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
    first = small.network.tensors()
    _train(small, stage, labelled, unlabelled, tmp_path / "whole")
    whole = small.tensors()
    assert whole["stage/loss"] == 9
    small.network.assign(first)
    cut(lambda: _train(small, stage, labelled, unlabelled, tmp_path / "cut"))
    small.network.assign(first)
    _train(small, stage, labelled, unlabelled, tmp_path / "cut")
    for name, tensor in small.tensors().items():
        np.testing.assert_array_equal(tensor, whole[name], err_msg=name)


def test_a_new_network_is_the_first_one_again(small, pool, tmp_path):
    first = small.network.tensors()
    recipe = RECIPE.model_copy(update={"epochs": 1})
    _train(small, Stage("one", _cross_entropy, recipe), pool, None, tmp_path / "one")
    moved = {n for n, v in small.network.tensors().items() if not np.array_equal(first[n], v)}
    assert moved == set(first)
    small.begin(Stage("two", _cross_entropy, recipe, new_network=True))
    for name, tensor in small.network.tensors().items():
        np.testing.assert_array_equal(tensor, first[name])


def test_a_twin_computes_the_same_and_is_another(engine, pool):
    twin = engine.network.twin()
    np.testing.assert_array_equal(twin.logits(pool.pixels), engine.network.logits(pool.pixels))
    twin.new_head(5)
    assert not np.array_equal(twin.logits(pool.pixels), engine.network.logits(pool.pixels))
