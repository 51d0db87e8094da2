"""Methods for several diseases on a real network: what equals what, bit for bit.

Their losses are in test_joint_methods.py.
"""

from dataclasses import replace

import numpy as np
import pytest

import architectures
from benchmark.common.progress import SilentDisplay
from benchmark.data.dataset import UNLABELLED
from benchmark.data.pipeline import Samples, plain_batches
from benchmark.methods.base import Context, Part, Stage
from benchmark.recipe import Augmentation, Recipe
from benchmark.registry import METHODS
from benchmark.running.survey import TrialSurvey
from benchmark.training import loop
from benchmark.training.batches import StageData
from benchmark.training.frameworks import make_engine, select_backend

SIZE = 96
PARTS = (Part("DR", slice(0, 3)), Part("DME", slice(3, 5)))
SIZES = (3, 2)
HELD_OUT = slice(12, 16)
RECIPE = Recipe(
    epochs=3,
    batch_size=3,
    optimiser="adamw",
    learning_rate=3e-3,
    weight_decay=0.01,
    schedule="cosine",
    bn_momentum=0.5,
    augmentation=Augmentation(horizontal_flip=True, rotation=20),
)
# Without the terms of the teachers.
BARE = {"semantic_weight": 0.0, "feature_weight": 0.0}
PLAIN, DROPOUT = ("pool", "dense"), ("pool", "dropout", "dense")


def _engine(framework, sizes, head=PLAIN):
    """A new one: dropout goes on drawing where the training before it stopped."""
    select_backend(framework)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(architectures, "head_parts", lambda name, architecture: head)
        network = architectures.build("MobileNet", framework, sizes, image_size=SIZE, seed=0)
    return make_engine(network, "cpu", 0)


@pytest.fixture(scope="module")
def pool() -> Samples:
    """Twelve training images, six with a grade of DR, five of DME, one of both; then four more."""
    rng = np.random.default_rng(0)
    labels = np.full((16, 2), UNLABELLED)
    labels[:7, 0] = [0, 2, 1, 2, 0, 1, 2]
    labels[6:, 1] = np.arange(10) % 2
    pixels = rng.integers(0, 120, (16, SIZE, SIZE, 3))
    pixels[..., 0] += 60 * (labels[:, :1, None] + 1)
    pixels[..., 1] += 60 * (labels[:, 1:, None] + 1)
    order = rng.permutation(12)
    every = np.r_[order, 12:16]
    return Samples(pixels.astype(np.uint8)[every], np.arange(16), labels[every])


@pytest.fixture(scope="module")
def train(pool) -> Samples:
    return _part(pool, slice(0, HELD_OUT.start))


def _part(pool, rows):
    return Samples(pool.pixels, pool.rows[rows], pool.labels[rows])


def _context(labels, parts=PARTS, survey=None):
    classes = ("DR 0", "DR 1", "DR 2", "DME 0", "DME 1") if parts else ("0", "1", "2")
    return Context(labels, classes, RECIPE, 1024, survey=survey, parts=parts)


def _stages(name, train, options=None, parts=PARTS, survey=None):
    method = METHODS.get(name)
    return method(method.Options(**(options or {}))).stages(_context(train.labels, parts, survey))


def _train_stage(engine, stage, train, folder):
    """To the last epoch."""
    stage, path = replace(stage, choose=False), folder / stage.name
    loop.train_stage(engine, stage, train, train, lambda y, p: 0.5, 0, path, SilentDisplay())


def test_what_stands_beside_an_image_travels_with_it(train):
    of = np.flatnonzero(train.labels[:, 0] != UNLABELLED)[::-1]
    plain = RECIPE.model_copy(update={"augmentation": Augmentation()})
    stage = Stage("train", lambda network, batch: 0, plain, of=of, beside={"row": train.rows})
    rows = []
    for batch in StageData.of(stage, train, None).batches(0, 0):
        rows.append(batch.inputs["row"])
        np.testing.assert_array_equal(batch.images, train.pixels[rows[-1]])
        np.testing.assert_array_equal(batch.labels, train.labels[rows[-1]])
    assert len(np.concatenate(rows)) == 6
    assert set(np.concatenate(rows)) < set(train.rows[of])


class Asked:
    """A survey of the labelled images alone."""

    def __init__(self, engine, labelled):
        self.engine, self.labelled = engine, labelled

    def logits(self):
        return self.engine.logits(plain_batches(self.labelled, 5))

    def features(self):
        batches = plain_batches(self.labelled, 5)
        found = [self.engine.network.features(images) for images in batches]
        return np.concatenate(found), np.empty((0, 1024), np.float32)


def _train(engine, name, train, folder, options=None, parts=PARTS, run=_train_stage):
    """Every stage of a method; the weights that each left, by its name."""
    left = {}
    for stage in _stages(name, train, options, parts, Asked(engine, train)):
        run(engine, stage, train, folder)
        left[stage.name] = engine.network.tensors()
    return left


def _alone(train, number):
    """The images with a grade of one disease, as a task gives them to a network of its own."""
    known = train.labels[:, number] != UNLABELLED
    return Samples(train.pixels, train.rows[known], train.labels[known, number])


def _holds(found, alone, number):
    """Whether several diseases' network is for one of them what a network of its own is."""
    for name, tensor in alone.items():
        layer, role = name.rsplit("/", 1)
        own = name if name in found else f"{layer}_{number}/{role}"
        np.testing.assert_array_equal(found[own], tensor, err_msg=name)


@pytest.mark.parametrize(
    ("name", "number", "options", "head"),
    [
        ("sall", 0, {"head_weights": "DME=0", "temperature": 7.0, **BARE}, DROPOUT),
        pytest.param("sall", 1, {"head_weights": "DR=0", **BARE}, PLAIN, marks=pytest.mark.slow),
        pytest.param("multi-task", 1, {"head_weights": "DR=0"}, PLAIN, marks=pytest.mark.slow),
    ],
)
def test_with_one_head_alone_the_network_is_that_of_a_single_task(
    framework, train, tmp_path, name, number, options, head
):
    alone = _engine(framework, SIZES[number : number + 1], head)
    _train(alone, "single-task", _alone(train, number), tmp_path / "alone", parts=())
    joint = _engine(framework, SIZES, head)
    first = joint.network.tensors()
    assert list(_train(joint, name, train, tmp_path / "joint", options)) == ["train"]
    found = joint.network.tensors()
    _holds(found, alone.network.tensors(), number)
    assert any(not np.array_equal(first[n], found[n]) for n in first if n.endswith("kernel"))


@pytest.mark.slow
def test_a_teacher_is_the_network_of_a_single_task(framework, train, tmp_path):
    joint = _engine(framework, SIZES)
    left = _train(joint, "sall", train, tmp_path / "joint", {"feature_weight": 0.0})
    assert list(left) == ["teacher-DR", "teacher-DME", "train"]
    for number, part in enumerate(PARTS):
        alone = _engine(framework, SIZES[number : number + 1])
        _train(alone, "single-task", _alone(train, number), tmp_path / part.name, parts=())
        _holds(left[f"teacher-{part.name}"], alone.network.tensors(), number)


class Read:
    """Pixels that remember which rows were read."""

    def __init__(self, pixels):
        self.pixels, self.rows = pixels, set()

    def __getitem__(self, row):
        self.rows.add(int(row))
        return self.pixels[row]


def test_soft_labels_are_of_training_images_alone_and_outlast_the_student(
    framework, pool, train, tmp_path
):
    pixels = Read(pool.pixels)
    seen, other = replace(train, pixels=pixels), replace(_part(pool, HELD_OUT), pixels=pixels)
    engine = _engine(framework, SIZES)
    groups, nothing = np.array(["a"] * 4), replace(other, rows=np.empty(0, int))
    survey = TrialSurvey(engine, seen, nothing, other, groups, lambda y, p: 0.5, 0, SilentDisplay())
    teachers = {}
    for stage in _stages("sall", seen, {"feature_weight": 0.0}, survey=survey):
        if stage.name != "train":
            # Another head stands for training.
            engine.begin(stage)
            engine.network.new_head(5 + len(teachers))
            teachers[stage.name] = engine.network.tensors()
    assert pixels.rows == set(train.rows.tolist())
    assert stage.beside["taught"].shape == (len(train), 5)
    before = stage.beside["taught"].copy()
    _train_stage(engine, stage, train, tmp_path)
    np.testing.assert_array_equal(stage.beside["taught"], before)
    for part in PARTS:
        assert not np.array_equal(survey.logits()[:, part.logits], before[:, part.logits])
        engine.network.assign(teachers[f"teacher-{part.name}"])
        np.testing.assert_array_equal(survey.logits()[:, part.logits], before[:, part.logits])


@pytest.mark.slow
def test_an_interrupted_student_continues_with_what_it_was_taught(framework, train, tmp_path, cut):
    options = {"head_weights": "DME=0"}

    def interrupted(engine, stage, *others):
        if stage.name == "train":
            cut(lambda: _train_stage(engine, stage, *others))
        else:
            _train_stage(engine, stage, *others)

    whole = _engine(framework, SIZES, DROPOUT)
    _train(whole, "sall", train, tmp_path / "whole", options)
    _train(
        _engine(framework, SIZES, DROPOUT),
        "sall",
        train,
        tmp_path / "cut",
        options,
        run=interrupted,
    )
    again = _engine(framework, SIZES, DROPOUT)
    _train(again, "sall", train, tmp_path / "cut", options)
    found = again.network.tensors()
    for name, tensor in whole.network.tensors().items():
        np.testing.assert_array_equal(found[name], tensor, err_msg=name)
