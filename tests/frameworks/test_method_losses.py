"""Every method's stages: their losses against closed forms in numpy, and what else they wish for.

No network is built: a stub makes features and logits from the pixels.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import loss_references as reference
from families import LABELS_ALONE as TRAINED

from benchmark.config import configure
from benchmark.methods.base import Adjustment, Batch, Context
from benchmark.recipe import Augmentation, Recipe
from benchmark.registry import METHODS
from benchmark.training.frameworks import select_backend

FEATURES = 16
COUNTS = (14, 6, 4)
RECIPE = Recipe(
    epochs=10,
    batch_size=4,
    optimiser="sgd",
    learning_rate=0.02,
    weight_decay=1e-4,
    schedule="cosine",
    warmup_epochs=1.0,
    augmentation=Augmentation(rotation=30, horizontal_flip=True),
)
# A batch with every class, in no order and in no proportion of the counts.
LABELS = np.array([0, 2, 1, 0, 1, 2, 2])
BINARY = np.array([0, 1, 1, 0, 1, 0, 0])
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (7, 2, 3, 3)).astype(np.uint8)
OTHER_VIEWS = RNG.integers(0, 256, (7, 2, 3, 3)).astype(np.uint8)
KERNEL = RNG.normal(size=(FEATURES, 3)) / 4


def features(images):
    """(N, 16) of the first pixels, about zero."""
    return images.reshape(len(images), -1)[:, :FEATURES].astype(np.float64) / 64 - 2


def logits(classes=3):
    """What the stub gives for IMAGES, (N, K) float64."""
    return features(IMAGES) @ KERNEL[:, :classes]


class Stub:
    """A `Trainee` in the framework of this process: features are pixels, logits linear in them."""

    def __init__(self, stage, classes):
        from keras import ops

        self.parameters = {n: ops.convert_to_tensor(v) for n, v in stage.parameters.items()}
        self._classes = classes
        self.calls = 0

    def __call__(self, images):
        from keras import ops

        self.calls += 1
        flat = ops.reshape(ops.cast(images, "float32"), (-1, int(np.prod(images.shape[1:]))))
        self.features = flat[:, :FEATURES] / 64 - 2
        kernel = ops.convert_to_tensor(KERNEL[:, : self._classes].astype(np.float32))
        self.logits = ops.matmul(self.features, kernel)
        return self


def _context(counts=COUNTS, seed=0, **changes):
    labels = np.repeat(np.arange(len(counts)), counts)
    names = tuple(f"class {label}" for label in range(len(counts)))
    recipe = RECIPE.model_copy(update=changes)
    return Context(labels, names, recipe, features=FEATURES, seed=seed)


def _stages(name, options=None, **context):
    method = METHODS.get(name)
    return list(method(method.Options(**(options or {}))).stages(_context(**context)))


def _loss(framework, stage, views=(IMAGES,), labels=LABELS, epoch=0):
    select_backend(framework)
    from keras import ops

    rng = np.random.default_rng(0)
    inputs = stage.inputs(epoch, len(labels), rng) if stage.inputs else {}
    batch = Batch(
        tuple(ops.convert_to_tensor(view) for view in views),
        ops.convert_to_tensor(labels),
        {name: ops.convert_to_tensor(array) for name, array in inputs.items()},
    )
    stub = Stub(stage, classes=int(labels.max()) + 1)
    loss = float(ops.convert_to_numpy(stage.loss(stub, batch)))
    # A second call would normalise by other batches, and count twice.
    assert stub.calls == 1
    return loss


def _equals(value):
    return pytest.approx(value, rel=1e-5)


def effective_numbers(beta, counts=COUNTS):
    """Cui et al., eq. 3: the sum of the geometric series, term by term."""
    weights = np.array([1 / sum(beta**power for power in range(count)) for count in counts])
    return weights * len(counts) / weights.sum()


# Method, its options, the index of its stage, changes of the recipe, the loss in numpy.
LOSSES = {
    "cross-entropy": ({}, 0, {}, lambda z: reference.cross_entropy(z, LABELS)),
    "cross-entropy, paper's weights": (
        {},
        0,
        {"class_weights": True},
        lambda z: reference.cross_entropy(z, LABELS, [1, 14 / 6, 14 / 4]),
    ),
    "class-weighted": (
        {},
        0,
        {},
        lambda z: reference.cross_entropy(z, LABELS, [24 / (3 * n) for n in COUNTS]),
    ),
    "class-balanced": (
        {"beta": 0.9},
        0,
        {},
        lambda z: reference.cross_entropy(z, LABELS, effective_numbers(0.9)),
    ),
    "focal": ({"gamma": 1.5}, 0, {}, lambda z: reference.focal(z, LABELS, 1.5)),
    "balanced-softmax": ({}, 0, {}, lambda z: reference.balanced_softmax(z, LABELS, COUNTS)),
    "logit-adjustment, post-hoc": (
        {"when": "post-hoc", "tau": 1.7},
        0,
        {},
        lambda z: reference.cross_entropy(z, LABELS),
    ),
    "logit-adjustment, training": (
        {"when": "training", "tau": 1.7},
        0,
        {},
        lambda z: reference.logit_adjusted(z, LABELS, COUNTS, 1.7),
    ),
    "oversampling": ({}, 0, {}, lambda z: reference.cross_entropy(z, LABELS)),
    "crt, encoder": ({}, 0, {}, lambda z: reference.cross_entropy(z, LABELS)),
    "crt, classifier": ({}, 1, {}, lambda z: reference.cross_entropy(z, LABELS)),
    "tau-norm": ({}, 0, {}, lambda z: reference.cross_entropy(z, LABELS)),
    "supercon, classifier": ({}, 1, {}, lambda z: reference.cross_entropy(z, LABELS)),
    "supercon, focal classifier": (
        {"classifier_loss": "focal", "gamma": 2.5},
        1,
        {},
        lambda z: reference.focal(z, LABELS, 2.5),
    ),
}


@pytest.mark.parametrize("case", LOSSES)
def test_a_stage_has_the_loss_of_its_paper(framework, case):
    options, index, changes, expected = LOSSES[case]
    stage = _stages(case.partition(",")[0], options, **changes)[index]
    assert _loss(framework, stage) == _equals(expected(logits()))


def test_the_losses_here_differ_from_each_other():
    """Else one method could stand for another unseen; those of plain cross-entropy are alike."""
    values = {case: expected(logits()) for case, (*_, expected) in LOSSES.items()}
    plain = reference.cross_entropy(logits(), LABELS)
    others = sorted([plain, *(v for v in values.values() if v != plain)])
    assert len(others) == 8
    assert np.diff(others).min() > 1e-4


def test_every_method_that_trains_has_its_loss_held():
    # Mixup's is in test_methods.py; that of supercon-as-released is supercon's, see below.
    held = {case.partition(",")[0] for case in LOSSES} | {"ldam-drw", "mixup"}
    assert held == set(TRAINED) - {"supercon-as-released"}


def _ldam(margin, class_weights=None):
    """Eq. 12 and 13, the scale 30 within the network's logits."""
    margins = margin * (4 / np.array(COUNTS)) ** 0.25
    shifted = logits() - 30 * margins * np.eye(3)[LABELS]
    return reference.cross_entropy(shifted, LABELS, class_weights, normalised=True)


def test_ldam_has_margins_and_from_its_deferral_on_normalised_class_weights(framework):
    options = {"max_margin": 0.2, "beta": 0.9, "deferred": 0.5}
    (stage,) = _stages("ldam-drw", options)
    weighted = _ldam(0.2, effective_numbers(0.9))
    assert abs(weighted - _ldam(0.2)) > 0.01
    for epoch in range(10):
        expected = weighted if epoch >= 5 else _ldam(0.2)
        assert _loss(framework, stage, epoch=epoch) == _equals(expected)


@pytest.mark.parametrize(
    ("epochs", "deferred", "weighted"),
    [
        (1, 0.8, {0}),
        (2, 0.8, {1}),
        (5, 0.8, {4}),
        (10, 0.8, {8, 9}),
        (3, 0.0, {0, 1, 2}),
        (3, 1.0, set()),
        (1, 1.0, set()),
    ],
)
def test_ldam_weighs_the_last_epoch_at_least_unless_deferred_for_good(epochs, deferred, weighted):
    (stage,) = _stages("ldam-drw", {"deferred": deferred}, epochs=epochs)
    found = [stage.inputs(e, 4, np.random.default_rng(0))["class_weights"] for e in range(epochs)]
    assert {e for e, weights in enumerate(found) if np.ptp(weights) > 0} == weighted


@pytest.mark.parametrize(
    ("when", "names"), [("post-hoc", ["train", "adjust"]), ("training", ["train"])]
)
def test_logits_are_adjusted_either_in_training_or_after(when, names):
    stages = _stages("logit-adjustment", {"when": when, "tau": 1.7})
    assert [stage.name for stage in stages] == names
    if when == "post-hoc":
        (found,) = stages[1].candidates(np.ones((FEATURES, 3)), np.ones(3))
        np.testing.assert_array_equal(found.scale, 1)
        np.testing.assert_allclose(found.shift, -1.7 * np.log(np.array(COUNTS) / 24))


def test_tau_norm_offers_the_unbiased_kernel_at_every_tenth_of_tau():
    kernel, bias = KERNEL * [9.0, 3.0, 1.0], np.array([1.0, -2.0, 3.0])
    _, adjustment = _stages("tau-norm")
    found = adjustment.candidates(kernel, bias)
    assert [candidate.name for candidate in found] == [f"tau {tau / 10:g}" for tau in range(11)]
    for tau, candidate in enumerate(found):
        lengths = np.sqrt((kernel**2).sum(axis=0))
        np.testing.assert_allclose(candidate.scale, lengths ** (-tau / 10))
        np.testing.assert_allclose(bias * candidate.scale + candidate.shift, 0, atol=1e-12)


@pytest.mark.parametrize(("name", "index"), [("oversampling", 0), ("crt", 1)])
@pytest.mark.parametrize(
    ("counts", "shares"), [(COUNTS, [1 / 3] * 3), ((14, 0, 4), [1 / 2, 0, 1 / 2])]
)
def test_classes_with_images_are_drawn_equally_often(name, index, counts, shares):
    np.testing.assert_allclose(_stages(name, counts=counts)[index].class_shares, shares)


@pytest.mark.parametrize("name", ["supercon", "supercon-as-released"])
def test_contrast_is_supervised_between_the_mapped_views(framework, name):
    stage, _ = _stages(name, {"temperature": 0.3})
    head = {n: value.astype(np.float64) for n, value in stage.parameters.items()}
    # They start at zero, where a forgotten one would not show.
    for bias in ("hidden/bias", "out/bias"):
        head[bias] = stage.parameters[bias][:] = np.linspace(-1, 1, len(head[bias]))
    views = np.stack([features(IMAGES), features(OTHER_VIEWS)], axis=1)
    hidden = np.maximum(views @ head["hidden/kernel"] + head["hidden/bias"], 0)
    mapped = hidden @ head["out/kernel"] + head["out/bias"]
    expected = reference.supcon(mapped, LABELS, 0.3)
    assert _loss(framework, stage, (IMAGES, OTHER_VIEWS)) == _equals(expected)
    assert abs(expected - reference.supcon(mapped, LABELS, 0.07)) > 0.1


@pytest.mark.parametrize("name", ["supercon", "supercon-as-released"])
def test_contrast_sees_the_plain_image_and_an_augmented_one(name):
    stage, classifier = _stages(name)
    assert stage.views == (Augmentation(), RECIPE.augmentation)
    assert classifier.views is None
    assert classifier.recipe.augmentation == RECIPE.augmentation


def test_the_mapping_head_is_drawn_from_the_seed():
    first, again, other = (_stages("supercon", seed=s)[0].parameters for s in (3, 3, 4))
    shapes = {name: value.shape for name, value in first.items()}
    assert shapes == {
        "hidden/kernel": (FEATURES, FEATURES),
        "hidden/bias": (FEATURES,),
        "out/kernel": (FEATURES, 128),
        "out/bias": (128,),
    }
    for name, value in first.items():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, again[name])
        if name.endswith("kernel"):
            assert (value != other[name]).all()
            assert np.abs(value).max() <= np.sqrt(6 / sum(value.shape))
            assert np.abs(value).max() > 0.7 * np.sqrt(6 / sum(value.shape))
        else:
            assert not value.any()


@pytest.mark.parametrize(("counts", "alpha"), [((14, 4), (0.25, 0.75)), ((4, 14), (0.75, 0.25))])
def test_focal_of_two_classes_favours_the_rarer(framework, counts, alpha):
    options = {"classifier_loss": "focal", "gamma": 2.5}
    _, stage = _stages("supercon", options, counts=counts)
    expected = reference.focal(logits(2), BINARY, 2.5, alpha)
    assert _loss(framework, stage, labels=BINARY) == _equals(expected)
    assert abs(expected / reference.focal(logits(2), BINARY, 2.5, alpha[::-1]) - 1) > 0.01


# What a stage wishes for beside its loss, in the order of the methods' stages.
PLAIN = {"freeze": "none", "new_head": False, "choose": True, "drawn": False, "views": False}
CLASSIFIER = PLAIN | {"freeze": "backbone", "new_head": True}
CONTRAST = PLAIN | {"choose": False, "views": True}
WISHES = {name: [PLAIN] for name in TRAINED} | {
    "oversampling": [PLAIN | {"drawn": True}],
    "crt": [PLAIN, CLASSIFIER | {"drawn": True}],
    "supercon": [CONTRAST, CLASSIFIER],
    "supercon-as-released": [CONTRAST, CLASSIFIER | {"freeze": "backbone-weights"}],
}


@pytest.mark.parametrize("name", TRAINED)
def test_stages_wish_for_what_their_paper_says_and_no_more(name):
    trained = [stage for stage in _stages(name) if not isinstance(stage, Adjustment)]
    found = [
        {
            "freeze": stage.recipe.freeze,
            "new_head": stage.new_head,
            "choose": stage.choose,
            "drawn": stage.class_shares is not None,
            "views": stage.views is not None,
        }
        for stage in trained
    ]
    assert found == WISHES[name]
    assert trained[0].recipe == RECIPE
    assert [bool(stage.parameters) for stage in trained] == [w["views"] for w in WISHES[name]]
    assert {stage.inputs is not None for stage in trained} == {name in ("ldam-drw", "mixup")}


@pytest.mark.parametrize("name", TRAINED)
def test_no_two_stages_share_a_name(name):
    names = [stage.name for stage in _stages(name)]
    assert len(names) == len(set(names)) > 0


# Decoupled methods, and of so many epochs of a run how many their classifier trains.
DECOUPLED = {
    "crt": {1: 1, 4: 1, 9: 3, 10: 3},
    "supercon": {1: 1, 4: 4, 9: 9, 10: 10},
    "supercon-as-released": {1: 1, 4: 4, 9: 9, 10: 10},
}


@pytest.mark.parametrize("name", DECOUPLED)
def test_a_classifier_trains_for_its_share_of_the_epochs_at_the_runs_rate(name):
    for epochs, trained in DECOUPLED[name].items():
        stage = _stages(name, epochs=epochs)[1]
        expected = {"epochs": trained, "warmup_epochs": 0.0, "freeze": stage.recipe.freeze}
        assert stage.recipe == RECIPE.model_copy(update=expected)


@pytest.mark.parametrize("name", DECOUPLED)
def test_a_classifier_trains_as_long_and_as_fast_as_its_options_say(name):
    recipe = _stages(name, {"classifier_epochs": 7, "classifier_rate": 0.3})[1].recipe
    assert (recipe.epochs, recipe.learning_rate) == (7, 0.3)


@pytest.mark.parametrize("name", DECOUPLED)
def test_a_run_says_how_its_classifier_trains(name):
    config = configure("ResNet50", "imbalance", method=name, budget="quick", epochs=9)
    options = config.method_options
    assert options["classifier_epochs"] == DECOUPLED[name][9]
    assert options["classifier_rate"] == config.recipe.learning_rate
    given = {"classifier_epochs": 7, "classifier_rate": 0.3}
    config = configure("ResNet50", "imbalance", method=name, method_options=given)
    assert given.items() <= config.method_options.items()


@pytest.mark.parametrize("name", ["supercon", "supercon-as-released"])
def test_supercons_paper_budget_trains_its_classifier_as_the_authors_do(name):
    config = configure("ResNet50", "imbalance", method=name, budget="paper")
    options = config.method_options
    assert (options["classifier_epochs"], options["classifier_rate"]) == (5, 5e-4)
    assert config.recipe.schedule == "thirds"
    first, second = _stages(name, options, **dict(config.recipe))
    assert first.recipe == config.recipe
    found = second.recipe
    assert (found.epochs, found.learning_rate, found.schedule) == (5, 5e-4, "constant")


def test_supercons_classifier_keeps_another_schedule():
    assert _stages("supercon", schedule="cosine")[1].recipe.schedule == "cosine"
