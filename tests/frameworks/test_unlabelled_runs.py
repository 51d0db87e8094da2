"""The methods that look at unlabelled images, trained by the engine of this framework."""

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from coloured import three_classes

import architectures
from benchmark.common.progress import SilentDisplay
from benchmark.data.pipeline import Samples
from benchmark.methods.base import Context
from benchmark.recipe import Augmentation, Recipe
from benchmark.registry import METHODS
from benchmark.training import loop
from benchmark.training.frameworks import make_engine, select_backend
from tasks.diagnosis import Diagnosis

SIZE = 65
CLASSES = ("common", "rare", "rarest")
RECIPE = Recipe(
    epochs=2,
    batch_size=4,
    optimiser="adamw",
    learning_rate=2e-3,
    schedule="cosine",
    bn_momentum=0.5,
    augmentation=Augmentation(horizontal_flip=True, vertical_flip=True),
)
METHODS_HERE = (
    "pseudo-label",
    "mean-teacher",
    "fixmatch",
    "src-mt",
    "srcl-joint",
    "srcl-pretrain",
)
THIRD = (0, 1, 2, 3, 14, 15, 20, 21)
# What makes each a supervised run: of which labels, by which options. Of crest's, later generations
# train on picks too, where there is anything to pick.
ZERO = [
    ("pseudo-label", THIRD, {}),
    ("mean-teacher", THIRD, {}),
    ("fixmatch", THIRD, {}),
    ("fixmatch", None, {}),
    ("crest", THIRD, {"generations": 1}),
    ("crest", None, {}),
    ("crest+", THIRD, {"generations": 1}),
    ("crest+", None, {}),
    ("src-mt", THIRD, {"class_weights": False}),
    ("srcl-joint", THIRD, {"class_weights": False, "contrast_weight": 0.0}),
    ("srcl-pretrain", THIRD, {"class_weights": False}),
]


@pytest.fixture(scope="module")
def pool() -> Samples:
    return three_classes(SIZE)


@cache
def _built(framework):
    select_backend(framework)
    network = architectures.build("MobileNetV2", framework, 3, image_size=SIZE, seed=0)
    return make_engine(network, "cpu", 0), network.tensors()


def _as_new(framework):
    """The engine of a real network with the weights that it was built with."""
    engine, first = _built(framework)
    engine.network.freeze("none")
    engine.network.assign(first)
    return engine


@pytest.fixture
def small(framework):
    """An engine of a network that takes no time."""
    select_backend(framework)
    from points import PointNetwork

    return make_engine(PointNetwork(0, 3, (SIZE, SIZE), normalised=True), "cpu", 0)


def _train(engine, name, pool, folder, labelled=None, recipe=RECIPE, **options):
    """Train every stage; their logs."""
    known = np.arange(len(pool)) if labelled is None else np.asarray(labelled)
    rest = np.setdiff1d(np.arange(len(pool)), known)
    train = Samples(pool.pixels, pool.rows[known], pool.labels[known])
    unlabelled = Samples(pool.pixels, pool.rows[rest], np.full(len(rest), -1))
    features = engine.network.architecture.channels
    context = Context(train.labels, CLASSES, recipe, features, unlabelled=len(rest))
    method = METHODS.get(name)
    return [
        loop.train_stage(
            engine,
            stage,
            train,
            pool,
            Diagnosis().selection,
            0,
            folder / f"{name}-{stage.name}.safetensors",
            SilentDisplay(),
            unlabelled=unlabelled if len(rest) else None,
        )
        for stage in method(method.Options(**options)).stages(context)
    ]


@pytest.mark.slow
def test_all_labels_and_a_weight_of_zero_are_a_supervised_run_to_the_bit(framework, pool, tmp_path):
    recipe = RECIPE.model_copy(update={"epochs": 1})
    engine = _as_new(framework)
    logs = _train(engine, "fixmatch", pool, tmp_path, None, recipe, unlabelled_weight=0.0)
    found = engine.network.tensors()
    plain = _train(_as_new(framework), "supervised", pool, tmp_path, None, recipe)
    assert [row["loss"] for row in logs[0].epochs] == [row["loss"] for row in plain[0].epochs]
    for name, expected in engine.network.tensors().items():
        np.testing.assert_array_equal(found[name], expected, err_msg=name)


@pytest.mark.parametrize(("name", "labelled", "options"), ZERO)
def test_with_weights_of_zero_the_last_stage_is_supervised_to_the_bit(
    small, pool, tmp_path, monkeypatch, name, labelled, options
):
    begin, began = small.begin, []

    def watched(stage):
        begin(stage)
        began.append(small.network.tensors())

    monkeypatch.setattr(small, "begin", watched)
    logs = _train(small, name, pool, tmp_path, labelled, unlabelled_weight=0.0, **options)
    found = small.network.tensors()
    small.network.assign(began[-1])
    (plain,) = _train(small, "supervised", pool, tmp_path, labelled, logs[-1].recipe)
    assert [row["loss"] for row in logs[-1].epochs] == [row["loss"] for row in plain.epochs]
    for name, expected in small.network.tensors().items():
        np.testing.assert_array_equal(found[name], expected, err_msg=name)


@pytest.mark.slow
def test_before_its_start_consistency_changes_no_bit(framework, pool, tmp_path):
    recipe = RECIPE.model_copy(update={"epochs": 1})
    found = []
    for start, beta in ((1.0, 0.0), (1.0, 9.0), (0.0, 9.0)):
        folder = tmp_path / f"{start}-{beta}"
        folder.mkdir()
        options = {"start": start, "relation_weight": beta, "rampup": 0.0}
        engine = _as_new(framework)
        _train(engine, "src-mt", pool, folder, None, recipe, **options)
        found.append(engine.network.tensors())
    without, before, after = found
    for name, expected in without.items():
        np.testing.assert_array_equal(before[name], expected, err_msg=name)
    assert any((after[name] != expected).any() for name, expected in without.items())


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS_HERE)
def test_a_method_trains_on_a_third_of_the_labels(framework, pool, tmp_path, name):
    before = _built(framework)[1]
    engine = _as_new(framework)
    logs = _train(engine, name, pool, tmp_path, THIRD)
    after = engine.network.tensors()
    moved = {n for n in before if not np.array_equal(before[n], after[n])}
    assert moved == set(before)
    assert all(np.isfinite(epoch["loss"]) for log in logs for epoch in log.epochs)
    assert sum(len(log.epochs) for log in logs) == RECIPE.epochs
