"""Engine and loop on a network small enough to train in seconds, in this process's framework."""

import numpy as np
import pytest

import architectures
from benchmark.common.progress import SilentDisplay
from benchmark.data.pipeline import Samples, plain_batches
from benchmark.errors import UserError
from benchmark.methods.base import Batch, Context
from benchmark.methods.cross_entropy import CrossEntropy
from benchmark.recipe import Augmentation, Recipe
from benchmark.training import loop
from benchmark.training.frameworks import make_engine, select_backend
from tasks.diagnosis import Diagnosis

SIZE = 96
RECIPE = Recipe(
    epochs=3,
    batch_size=8,
    optimiser="adamw",
    learning_rate=2e-3,
    weight_decay=0.01,
    schedule="cosine",
    bn_momentum=0.5,
    augmentation=Augmentation(horizontal_flip=True, vertical_flip=True),
)


@pytest.fixture(scope="module")
def samples() -> Samples:
    """Two classes told apart by colour."""
    rng = np.random.default_rng(0)
    labels = np.arange(48) % 2
    pixels = rng.integers(0, 120, (48, SIZE, SIZE, 3))
    pixels[..., 0] += 120 * labels[:, None, None]
    return Samples(pixels.astype(np.uint8), np.arange(48), labels)


def _engine(framework, seed=0):
    select_backend(framework)
    network = architectures.build("MobileNet", framework, 2, image_size=SIZE, seed=seed)
    return make_engine(network, "cpu", seed)


def _train(framework, samples, checkpoint, recipe=RECIPE, seed=0, epochs=None):
    engine = _engine(framework, seed)
    context = Context(samples.labels, ("dark", "red"), recipe, features=1024)
    (stage,) = CrossEntropy().stages(context)
    log = loop.train_stage(
        engine,
        stage,
        samples,
        samples,
        Diagnosis().selection,
        seed,
        checkpoint,
        SilentDisplay(),
    )
    return engine, log


def test_a_network_learns_what_is_plain_to_see(framework, samples, tmp_path):
    recipe = RECIPE.model_copy(update={"epochs": 5})
    engine, log = _train(framework, samples, tmp_path / "c.safetensors", recipe)
    probabilities = engine.predict(plain_batches(samples, 16))
    # The epoch is chosen by AUC, which is blind to where the classes are cut: so is this.
    score = Diagnosis().selection(samples.labels, probabilities)
    assert score == pytest.approx(log.best_score, abs=0.01)
    assert score > 0.9
    assert min(epoch["loss"] for epoch in log.epochs) < log.epochs[0]["loss"]


def test_probabilities_sum_to_one(framework, samples):
    probabilities = _engine(framework).predict(plain_batches(samples, 16))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_the_weights_of_the_best_epoch_are_left(framework, samples, tmp_path, monkeypatch):
    scores = iter([0.5, 0.9, 0.7])
    monkeypatch.setattr(Diagnosis, "selection", lambda self, y, p: next(scores))
    kept = {}
    save = loop.save_checkpoint
    monkeypatch.setattr(
        loop, "save_checkpoint", lambda path, c: (kept.update(c.best), save(path, c))
    )
    engine, log = _train(framework, samples, tmp_path / "c.safetensors")
    assert log.best_epoch == 2
    assert log.best_score == 0.9
    for name, tensor in engine.network.tensors().items():
        np.testing.assert_array_equal(tensor, kept[name])


def test_training_stops_when_patience_is_over(framework, samples, tmp_path, monkeypatch):
    monkeypatch.setattr(Diagnosis, "selection", lambda self, y, p: 0.5)
    recipe = RECIPE.model_copy(update={"patience": 1})
    _, log = _train(framework, samples, tmp_path / "c.safetensors", recipe)
    assert len(log.epochs) == 2
    assert log.best_epoch == 1


def test_an_interrupted_run_continues_to_the_same_weights(framework, samples, tmp_path, cut):
    whole, _ = _train(framework, samples, tmp_path / "whole.safetensors")
    cut(lambda: _train(framework, samples, tmp_path / "cut.safetensors"))
    continued, log = _train(framework, samples, tmp_path / "cut.safetensors")
    assert len(log.epochs) == 3
    for name, tensor in whole.network.tensors().items():
        np.testing.assert_array_equal(tensor, continued.network.tensors()[name])


def test_the_same_seed_gives_the_same_first_weights(framework):
    first, second, other = (_engine(framework, seed).network.tensors() for seed in (1, 1, 2))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert any(not np.array_equal(first[name], other[name]) for name in first)


def test_frozen_layers_keep_their_weights(framework, samples, tmp_path):
    engine = _engine(framework)
    before = engine.network.tensors()
    recipe = RECIPE.model_copy(update={"freeze": "paper", "epochs": 1})
    context = Context(samples.labels, ("dark", "red"), recipe, features=1024)
    (stage,) = CrossEntropy().stages(context)
    engine.begin(stage)
    engine.train_step(Batch((samples.pixels[:8],), samples.labels[:8]), 1e-2)
    after = engine.network.tensors()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed
    assert len(changed) < len(before)
    assert "conv1/kernel" not in changed


def test_a_diverging_loss_is_named(framework, samples, tmp_path):
    recipe = RECIPE.model_copy(update={"learning_rate": 1e30, "optimiser": "sgd"})
    with pytest.raises(UserError, match=r"diverged.*lower learning rate"):
        _train(framework, samples, tmp_path / "c.safetensors", recipe)


def test_a_network_that_says_no_numbers_is_told_as_one_that_diverged(framework, samples):
    engine = _engine(framework)
    tensors = engine.network.tensors()
    engine.network.assign({name: np.full_like(value, np.nan) for name, value in tensors.items()})
    with pytest.raises(UserError, match=r"diverged.*lower learning rate"):
        loop.predict(engine, samples, None, 0)


def test_asking_for_an_absent_gpu_is_named(framework, monkeypatch):
    if framework == "torch":
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    else:
        monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: [])
    network = _engine(framework).network
    with pytest.raises(UserError, match="--device cpu"):
        make_engine(network, "cuda", 0)
