"""What becomes of a stage whose batches do not fit in memory, in this process's framework."""

import sys
from pathlib import Path

import numpy as np
import pytest

import architectures
from benchmark.common.progress import SilentDisplay
from benchmark.data.pipeline import Samples
from benchmark.methods.base import Batch, Context, Stage, Teacher
from benchmark.methods.cross_entropy import CrossEntropy
from benchmark.methods.supercon import SuperCon
from benchmark.recipe import Augmentation, Recipe
from benchmark.training import loop
from benchmark.training.engine import parts
from benchmark.training.frameworks import make_engine, select_backend

sys.path.insert(0, str(Path(__file__).parent))

SIZE = 96
RECIPE = Recipe(
    epochs=2,
    batch_size=8,
    optimiser="sgd",
    learning_rate=0.05,
    weight_decay=0.01,
    schedule="constant",
    bn_momentum=0.5,
    augmentation=Augmentation(horizontal_flip=True),
)


@pytest.fixture
def engine(framework):
    """Makes an engine of a network that takes no time."""
    select_backend(framework)
    from points import PointNetwork

    def made(normalised=False):
        return make_engine(PointNetwork(3, 2, (SIZE, SIZE), normalised=normalised), "cpu", 0)

    return made


@pytest.fixture(scope="module")
def samples() -> Samples:
    """Sixteen images, those of class 1 redder."""
    rng = np.random.default_rng(0)
    labels = np.arange(16) % 2
    pixels = rng.integers(0, 120, (16, SIZE, SIZE, 3))
    pixels[..., 0] += 100 * labels[:, None, None]
    return Samples(pixels.astype(np.uint8), np.arange(16), labels)


def _supervised(samples):
    context = Context(samples.labels, ("dark", "red"), RECIPE, features=16)
    return next(CrossEntropy().stages(context))


def _contrast(samples):
    """A loss over pairs of images, of two views, with a mapping head of its own."""
    context = Context(samples.labels, ("dark", "red"), RECIPE, features=16)
    return next(SuperCon().stages(context))


def _taught(samples):
    """Two passes, a teacher and a memory."""
    from keras import ops

    from benchmark.methods import losses

    def loss(network, batch):
        (unlabelled,) = batch.unlabelled
        network.remember("seen", network.memory["seen"] + ops.mean(network.taught(unlabelled)[1]))
        student = network(unlabelled).logits
        apart = losses.prediction_consistency(student, network.taught(unlabelled).logits)
        found = network(batch.images).logits
        return losses.cross_entropy(found, batch.labels) + apart + ops.sum(network.memory["seen"])

    return Stage(
        "train",
        loss,
        RECIPE,
        memory={"seen": np.zeros(1, np.float32)},
        unlabelled_views=(RECIPE.augmentation,),
        teacher=Teacher(lambda step: 0.5),
    )


def _batch(samples, stage, count=8):
    views = (samples.pixels[:count], samples.pixels[:count, :, ::-1])
    views = views[: len(stage.views or (1,))]
    unlabelled = (samples.pixels[count:],) if stage.unlabelled_views else ()
    return Batch(views, samples.labels[:count], {}, unlabelled)


def _stepped(engine, stage, batch, micro_batches):
    """The losses of three steps, and all that they left."""
    engine.begin(stage)
    engine.micro_batches = micro_batches
    losses = [float(engine.train_step(batch, 0.05, 0.5)) for _ in range(3)]
    return losses, engine.tensors()


# 3: parts of 2 and 3 images, of two views of 5 and 6.
@pytest.mark.parametrize("micro_batches", [2, 3, 8])
@pytest.mark.parametrize("kind", [_supervised, _contrast, _taught])
def test_a_step_in_parts_is_that_of_the_whole_batch(engine, samples, kind, micro_batches):
    stage = kind(samples)
    batch = _batch(samples, stage)
    losses, whole = _stepped(engine(), stage, batch, 1)
    found, divided = _stepped(engine(), stage, batch, micro_batches)
    assert losses[0] != pytest.approx(losses[2], rel=1e-3)
    assert found == pytest.approx(losses, rel=1e-5)
    assert set(divided) == set(whole)
    for name, tensor in whole.items():
        np.testing.assert_allclose(divided[name], tensor, rtol=2e-5, atol=2e-6, err_msg=name)


def test_every_part_has_a_share_of_groups_that_stand_side_by_side():
    groups = np.repeat(["labelled", "weak", "strong"], [4, 8, 8])
    for part in parts(20, 4):
        assert groups[part].tolist() == ["labelled"] + ["weak"] * 2 + ["strong"] * 2
    assert [len(range(5)[part]) for part in parts(5, 8)] == [1] * 5


def test_running_statistics_become_the_mean_of_the_parts(engine, samples):
    stage = _supervised(samples)
    # Both classes in both parts, in other shares.
    some = [0, 1, 2, 3, 4, 6, 8, 5]
    batch = Batch((samples.pixels[some],), samples.labels[some])
    expected = []
    for part in parts(8, 2):
        half = Batch((batch.images[part],), batch.labels[part])
        expected.append(_stepped_once(engine(normalised=True), stage, half, 1))
    found = _stepped_once(engine(normalised=True), stage, batch, 2)
    moving = [name for name in found if name.endswith(("moving_mean", "moving_variance"))]
    assert len(moving) == 2
    for name in moving:
        first, second = (each[name] for each in expected)
        assert not np.allclose(first, second)
        np.testing.assert_allclose(found[name], (first + second) / 2, rtol=1e-5, err_msg=name)


def _stepped_once(engine, stage, batch, micro_batches):
    engine.begin(stage)
    engine.micro_batches = micro_batches
    engine.train_step(batch, 0.05)
    return engine.tensors()


def test_a_part_runs_again_as_it_ran(framework, samples):
    """A real network with dropout and BatchNorm, against its parts passed one after the other."""
    select_backend(framework)
    from keras import ops

    from benchmark.methods import losses

    def in_halves(network, batch):
        logits = [network(batch.images[part]).logits for part in parts(8, 2)]
        labels = [batch.labels[part] for part in parts(8, 2)]
        return losses.cross_entropy(ops.concatenate(logits), ops.concatenate(labels))

    found = []
    for loss, micro_batches in ((in_halves, 1), (_supervised(samples).loss, 2)):
        network = architectures.build(
            "MobileNet", framework, 2, image_size=SIZE, seed=0, head="paper"
        )
        stage = Stage("train", loss, RECIPE)
        found.append(
            _stepped_once(
                make_engine(network, "cpu", 0), stage, _batch(samples, stage), micro_batches
            )
        )
    by_hand, divided = found
    for name, tensor in by_hand.items():
        if not name.endswith(("moving_mean", "moving_variance")):
            np.testing.assert_allclose(divided[name], tensor, rtol=1e-4, atol=1e-5, err_msg=name)


class Told(SilentDisplay):
    """Keeps what is said."""

    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


def _train(engine, samples, path, display=None):
    return loop.train_stage(
        engine,
        _supervised(samples),
        samples,
        samples,
        lambda labels, found: float(found[:8, 1].sum()),
        0,
        path,
        display or Told(),
    )


def _short_of_memory(engine, fits, at_step=0):
    """Has room for so many images at a time, from a step on; a step that fails leaves traces."""
    step, taken = engine.train_step, []

    def failing(batch, rate, keeps=1.0):
        taken.append(1)
        loss = step(batch, rate, keeps)
        if len(taken) > at_step and len(batch.images) > fits * engine.micro_batches:
            raise MemoryError
        return loss

    engine.train_step = failing
    return engine


@pytest.mark.parametrize("fits", [4, 2])
def test_a_stage_goes_on_with_smaller_micro_batches_from_before_the_step(
    engine, samples, tmp_path, fits, monkeypatch
):
    display = Told()
    failed = _short_of_memory(engine(normalised=True), fits)
    log = _train(failed, samples, tmp_path / "short", display)
    assert log.micro_batches == 8 // fits
    assert display.lines[0] == (
        "train: out of memory (MemoryError): going on with each batch in 2 parts, their gradients"
        " added up"
    )
    assert len(display.lines) == {4: 1, 2: 2}[fits]
    from_the_start = engine(normalised=True)
    begin = from_the_start.begin

    def divided(stage):
        begin(stage)
        from_the_start.micro_batches = 8 // fits

    from_the_start.begin = divided
    expected = _train(from_the_start, samples, tmp_path / "known")
    assert [row["loss"] for row in log.epochs] == [row["loss"] for row in expected.epochs]
    for name, tensor in from_the_start.network.tensors().items():
        np.testing.assert_array_equal(failed.network.tensors()[name], tensor, err_msg=name)


def test_what_failed_late_goes_on_from_its_checkpoint(engine, samples, tmp_path):
    display = Told()
    log = _train(_short_of_memory(engine(), 4, at_step=3), samples, tmp_path / "c", display)
    assert log.micro_batches == 2
    whole = _train(engine(), samples, tmp_path / "whole")
    assert [e["loss"] for e in log.epochs] == pytest.approx([e["loss"] for e in whole.epochs])
    assert log.epochs[0]["loss"] == whole.epochs[0]["loss"]


def test_a_run_that_continues_knows_its_micro_batches(engine, samples, tmp_path, cut):
    recipe = RECIPE.model_copy(update={"epochs": 4})
    context = Context(samples.labels, ("dark", "red"), recipe, features=16)
    stage = next(CrossEntropy().stages(context))

    def train(engine, path):
        loop.train_stage(engine, stage, samples, samples, lambda *_: 0.5, 0, path, SilentDisplay())
        return engine

    whole = train(_short_of_memory(engine(normalised=True), 4), tmp_path / "whole")
    cut(lambda: train(_short_of_memory(engine(normalised=True), 4), tmp_path / "cut"))
    continued = engine(normalised=True)
    train(continued, tmp_path / "cut")
    for name, tensor in whole.network.tensors().items():
        np.testing.assert_array_equal(continued.network.tensors()[name], tensor, err_msg=name)


def test_without_memory_for_two_images_it_fails(engine, samples, tmp_path):
    display = Told()
    with pytest.raises(MemoryError):
        _train(_short_of_memory(engine(), 1), samples, tmp_path / "c", display)
    assert len(display.lines) == 2


def test_predictions_are_made_in_halves(engine, samples):
    whole = engine()
    expected = whole.logits(iter([samples.pixels]))
    short, logits = engine(), whole._logits
    sizes = []

    def failing(images, training):
        sizes.append(len(images))
        if len(images) > 5:
            raise MemoryError
        return logits(images, training)

    short._logits = failing
    np.testing.assert_allclose(short.logits(iter([samples.pixels])), expected, rtol=1e-5)
    assert sizes == [16, 8, 4, 4, 8, 4, 4]
    with pytest.raises(MemoryError):
        short.logits(iter([samples.pixels]), batch_statistics=True)


def test_what_a_validation_cannot_hold_is_not_divided(engine, samples, tmp_path):
    """Images that are judged together are so in one piece, however a step is divided."""
    display, whole = Told(), engine()

    def exhausted(*arguments):
        raise MemoryError

    whole._logits = exhausted
    context = Context(samples.labels, ("dark", "red"), RECIPE, features=16)
    stage = next(CrossEntropy().stages(context))
    arguments = (whole, stage, samples, samples, lambda *_: 0.5, 0, tmp_path / "c", display, True)
    with pytest.raises(MemoryError):
        loop.train_stage(*arguments)
    assert display.lines == []
