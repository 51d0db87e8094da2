"""CReST and ISDL: their generations, asked for stage by stage, and CReST+'s alignment."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from benchmark.methods import crest
from benchmark.methods.base import Context
from benchmark.recipe import Recipe
from benchmark.registry import METHODS
from benchmark.training.frameworks import select_backend

LABELS = np.repeat([0, 1, 2], [4, 12, 2])  # the order of the classes is not that of their counts
CLASSES = ("middle", "common", "rare")
RECIPE = Recipe(
    epochs=8,
    batch_size=4,
    optimiser="adamw",
    learning_rate=1e-3,
    schedule="cosine",
    warmup_epochs=1.0,
)
UNLABELLED = 40
GENERATIONAL = ["crest", "crest+", "isdl", "isdl-plus"]


@pytest.fixture(autouse=True)
def _backend(framework):
    select_backend(framework)


class Said:
    """A survey whose answers are drawn anew whenever the network has been trained further."""

    def __init__(self):
        self.trained = 0

    def unlabelled(self):
        generator = np.random.default_rng(self.trained)
        return softmax(generator.normal(size=(UNLABELLED, 3)), axis=1).astype(np.float32)

    def features(self):
        generator = np.random.default_rng((self.trained, 1))
        sizes = (len(LABELS), UNLABELLED)
        return tuple(generator.normal(size=(size, 5)).astype(np.float32) for size in sizes)

    def validation(self, classifiers):
        return np.full((len(classifiers), 21), 0.5)


def _context(survey=None, **changes):
    settings = {"recipe": RECIPE, "features": 5, "unlabelled": UNLABELLED, **changes}
    return Context(LABELS, CLASSES, survey=survey, **settings)


def _method(name, **options):
    kind = METHODS.get(name)
    return kind(kind.Options(**options))


def _stages(name, context, **options):
    found = []
    for stage in _method(name, **options).stages(context):
        found.append(stage)
        if context.survey is not None:
            context.survey.trained += 1
    return found


def _expected(trained, alpha=1 / 3):
    survey = Said()
    survey.trained = trained
    rates = crest.sampling_rates(np.bincount(LABELS), alpha)
    return crest.picks(survey.unlabelled(), rates)


@pytest.mark.parametrize("name", GENERATIONAL)
def test_each_generation_has_the_picks_of_the_one_before_it_and_no_others(name):
    first, second, third = _stages(name, _context(Said()))
    assert first.picks is None
    for stage, trained in ((second, 1), (third, 2)):
        expected = _expected(trained)
        assert stage.picks.places.tolist() == expected.places.tolist()
        assert stage.picks.labels.tolist() == expected.labels.tolist()
    assert set(second.picks.places) - set(third.picks.places)


@pytest.mark.parametrize("name", GENERATIONAL)
def test_every_generation_starts_from_the_first_weights_under_its_own_name(name):
    stages = _stages(name, _context(Said()))
    assert all(stage.new_network for stage in stages)
    assert len({stage.name for stage in stages}) == 3
    assert all(stage.name.startswith("generation-") for stage in stages)


@pytest.mark.parametrize("name", ["crest", "crest+"])
def test_a_judged_average_labels_in_crest(name):
    for stage in _stages(name, _context(Said())):
        assert stage.teacher.judged
        assert not stage.teacher.training


@pytest.mark.parametrize("name", GENERATIONAL)
def test_without_unlabelled_images_there_is_one_generation_of_all_epochs(name):
    (stage,) = _stages(name, _context(unlabelled=0))
    assert stage.recipe == RECIPE
    assert stage.picks is None


@given(st.integers(1, 60), st.integers(1, 9), st.floats(0, 3))
def test_the_generations_share_out_the_epochs_of_the_run(epochs, generations, warmup):
    from benchmark.methods.self_training import generation_recipes

    recipe = RECIPE.model_copy(update={"epochs": epochs, "warmup_epochs": warmup})
    found = generation_recipes(_context(recipe=recipe), generations)
    each = [one.epochs for one in found]
    assert sum(each) == epochs
    assert len(found) == min(epochs, generations)
    assert each == sorted(each)
    assert each[-1] - each[0] <= 1
    assert sum(one.warmup_epochs for one in found) == pytest.approx(warmup)


def test_the_next_generation_asks_only_once_the_last_is_trained():
    survey = Said()
    stages = _method("crest").stages(_context(survey))
    next(stages)
    survey.trained = 7
    assert next(stages).picks.places.tolist() == _expected(7).places.tolist()


def test_permuted_classes_pick_the_same_images(monkeypatch):
    order = np.array([2, 0, 1])  # what was class order[c] is now class c

    class Permuted(Said):
        def unlabelled(self):
            return super().unlabelled()[:, order]

    _, usual, _ = _stages("isdl", _context(Said()))
    monkeypatch.setattr(f"{__name__}.LABELS", np.argsort(order)[LABELS])
    _, found, _ = _stages("isdl", _context(Permuted()))
    expected = set(zip(usual.picks.places, usual.picks.labels, strict=True))
    assert set(zip(found.picks.places, order[found.picks.labels], strict=True)) == expected


# ---- CReST+


class Remembering:
    """What a loss sees of a network that does nothing but remember."""

    def __init__(self, seen):
        from keras import ops

        self.memory = {"seen": ops.convert_to_tensor(seen)}

    def remember(self, name, value):
        self.memory = {**self.memory, name: value}


def _array(tensor):
    from keras import ops

    return ops.convert_to_numpy(tensor)


def _aligned(seen, logits, target):
    from keras import ops

    from benchmark.methods.self_training import aligned

    network = Remembering(np.float32(seen))
    return network, _array(aligned(network, ops.convert_to_tensor(np.float32(logits)), target))


def test_alignment_is_the_published_formula(real_data):
    file = real_data.parent / "reference" / "method_vectors.json"
    if not file.is_file():
        pytest.skip("no reference/method_vectors.json beside the folder of real images")
    group = json.loads(file.read_text())["distribution_alignment"]
    seen = np.tile(group["model_avg"], (4, 1))
    _, found = _aligned(seen, np.log(group["q"]), np.array(group["target"]))
    np.testing.assert_allclose(softmax(found, axis=1), group["aligned"], atol=1e-6)


def test_alignment_to_the_average_itself_changes_nothing():
    shares, logits = np.array([0.7, 0.2, 0.1]), np.random.default_rng(0).normal(size=(5, 3))
    _, found = _aligned(np.tile(shares, (3, 1)), logits, shares)
    np.testing.assert_allclose(found, logits, atol=1e-6)


def test_the_average_is_of_the_steps_before_and_forgets_the_oldest():
    seen = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    logits = np.log([[0.9, 0.1], [0.5, 0.5]])
    network, found = _aligned(seen, logits, np.array([0.5, 0.5]))
    # The average was (0.5, 0.5): nothing moves, whatever this batch says.
    np.testing.assert_allclose(found, logits, atol=1e-6)
    expected = [[0.5, 0.5], [0.0, 1.0], [0.7, 0.3]]
    np.testing.assert_allclose(_array(network.memory["seen"]), expected, atol=1e-6)


@pytest.fixture
def aligns(monkeypatch):
    """How each generation of CReST+ aligns, in order."""
    from benchmark.methods import self_training

    found, build = [], self_training.fixmatch_stage

    def kept(*arguments, **settings):
        found.append(settings["align"])
        return build(*arguments, **settings)

    monkeypatch.setattr(self_training, "fixmatch_stage", kept)
    return found


def test_the_targets_of_crest_plus_flatten_from_generation_to_generation(aligns):
    from keras import ops

    stages = _stages("crest+", _context(Said()), least_power=0.0)
    counts = np.bincount(LABELS)
    for power, stage, align in zip((1, 0.5, 0), stages, aligns, strict=True):
        assert stage.memory["seen"].shape == (128, 3)
        # The first average is uniform, so equal logits become the target.
        logits = align(Remembering(stage.memory["seen"]), ops.zeros((1, 3)))
        target = crest.alignment_target(counts, power)
        np.testing.assert_allclose(softmax(_array(logits), axis=1)[0], target, rtol=1e-4)


class Sees(Remembering):
    """Logits that are the mean colours."""

    def __call__(self, images):
        from keras import ops

        logits = ops.mean(ops.cast(images, "float32"), axis=(1, 2))
        return SimpleNamespace(features=logits, logits=logits)


def test_the_threshold_and_the_label_are_of_aligned_probabilities():
    """The weak view leans to class 0; aligned to labels that are mostly of class 1 it is that."""
    from keras import ops

    from benchmark.methods import losses
    from benchmark.methods.base import Batch

    weak, strong = [[0.5, 0.0, 0.0]], [[0.0, 1.0, 2.0]]
    images, sure, unsure = (
        ops.convert_to_tensor(np.float32(colours)[:, None, None])
        for colours in ([[3.0, 0.0, 0.0]], weak, strong)
    )
    batch = Batch((images,), ops.convert_to_tensor(np.array([0])), {}, (sure, unsure))
    stage = _stages("crest+", _context(unlabelled=0), threshold=0.5)[0]
    found = float(_array(stage.loss(Sees(stage.memory["seen"]), batch)))
    labelled = float(_array(losses.cross_entropy(np.float32([[3.0, 0, 0]]), np.array([0]))))
    # softmax of the weak view times (4, 12, 2) / 18: class 1, at 0.63.
    taught = float(_array(losses.cross_entropy(np.float32(strong), np.array([1]))))
    assert found == pytest.approx(labelled + taught, rel=1e-5)
    without = _stages("crest", _context(unlabelled=0), threshold=0.5)[0]
    assert float(_array(without.loss(Sees(np.ones((1, 3)) / 3), batch))) == pytest.approx(
        labelled, rel=1e-5
    )


# ---- ISDL


def test_the_first_generation_of_isdl_is_method_supervised():
    context = _context(unlabelled=0)
    (isdl,), (supervised,) = _stages("isdl", context), _stages("supervised", context)
    for field in ("recipe", "views", "unlabelled_views", "teacher", "picks", "choose", "inputs"):
        assert getattr(isdl, field) == getattr(supervised, field)
    from keras import ops

    from benchmark.methods.base import Batch

    images = ops.convert_to_tensor(np.random.default_rng(0).random((3, 2, 2, 3), np.float32))
    batch, network = Batch((images,), ops.convert_to_tensor([0, 2, 1])), Sees(np.ones((1, 3)))
    assert _array(isdl.loss(network, batch)) == _array(supervised.loss(network, batch))


def test_no_lead_that_chance_may_give_moves_the_sampling_distribution():
    from benchmark.methods.isdl import choose

    generator = np.random.default_rng(0)
    noise = generator.normal(0, 0.05, (3, 200))
    scores = np.array([0.50, 0.53, 0.45])[:, None] + noise
    scores = np.concatenate([scores.mean(axis=1, keepdims=True), scores], axis=1)
    assert choose(scores, 0.9) == 0
    assert choose(scores + np.array([0, 0, 0.4])[:, None], 0.9) == 2
    assert choose(scores[:1], 0.9) == 0
    # Where so few validation images have a rare class that no resample is kept.
    assert choose((scores + np.array([0, 0, 0.4])[:, None])[:, :1], 0.9) == 0


def test_a_lead_in_all_but_the_allowed_share_of_resamples_is_taken():
    from benchmark.methods.isdl import choose

    def scores(behind):
        lead = np.full(100, 0.1)
        lead[:behind] = -0.1
        return np.stack([np.zeros(101), np.append(0.05, lead)])

    assert choose(scores(9), 0.9) == 1
    assert choose(scores(11), 0.9) == 0
    # Two candidates share the risk of 10 %.
    twice = np.concatenate([scores(9), scores(9)[1:]])
    assert choose(twice, 0.9) == 0


def test_the_best_of_the_sure_candidates_is_taken_and_a_tie_keeps_the_earlier():
    from benchmark.methods.isdl import choose

    scores = np.repeat([[0.1], [0.3], [0.5], [0.5]], 11, axis=1)
    assert choose(scores, 0.9) == 2


class Plain(Said):
    """Two features that tell three classes; the pool's pseudo-labels are right or wrong."""

    def __init__(self, right):
        super().__init__()
        generator = np.random.default_rng(0)
        self.angles = 2 * np.pi * np.arange(3) / 3
        self.true = generator.integers(0, 3, UNLABELLED)
        self.said = self.true if right else (self.true + 1) % 3
        self.valid = generator.integers(0, 3, 90)

    def points(self, labels, key):
        around = np.stack([np.cos(self.angles[labels]), np.sin(self.angles[labels])], axis=1)
        noise = np.random.default_rng(key).normal(0, 0.6, around.shape)
        return (around + noise).astype(np.float32)

    def unlabelled(self):
        return np.where(np.eye(3)[self.said] > 0, 0.9, 0.05).astype(np.float32)

    def features(self):
        return self.points(LABELS, 1), self.points(self.true, 2)

    def validation(self, classifiers):
        points = self.points(self.valid, 3)
        found = [classify(points).argmax(axis=1) == self.valid for classify in classifiers]
        rows = np.random.default_rng(4).integers(0, len(points), (200, len(points)))
        return np.stack([np.append(each.mean(), each[rows].mean(axis=1)) for each in found])


def test_wrong_pseudo_labels_are_left_out_by_isdl_plus_and_training_takes_all_epochs_left():
    first, last = _stages("isdl-plus", _context(Plain(right=False)))
    assert last.picks is None
    assert last.name == "generation-2-no-picks"
    assert first.recipe.epochs + last.recipe.epochs == RECIPE.epochs
    warmup = first.recipe.warmup_epochs + last.recipe.warmup_epochs
    assert warmup == pytest.approx(RECIPE.warmup_epochs)


def test_right_pseudo_labels_are_kept_by_isdl_plus():
    _, second, _ = _stages("isdl-plus", _context(Plain(right=True)))
    assert len(second.picks.places) >= len(_expected_of(Plain(right=True)))


def _expected_of(survey):
    rates = crest.sampling_rates(np.bincount(LABELS), 1 / 3)
    return crest.picks(survey.unlabelled(), rates).places


def test_isdl_plus_without_a_sure_lead_is_isdl():
    plain, plus = _stages("isdl", _context(Said())), _stages("isdl-plus", _context(Said()))
    for one, other in zip(plain[1:], plus[1:], strict=True):
        assert other.picks.places.tolist() == one.picks.places.tolist()
        assert other.name == f"{one.name}-alpha-0.333"


def test_a_class_without_labels_is_given_no_probability():
    from benchmark.methods.isdl import survey_scores

    class Asked(Plain):
        def validation(self, classifiers):
            (self.given,) = (classify(self.points(self.valid, 3)) for classify in classifiers)
            return np.zeros((1, 2))

    survey = Asked(right=True)
    context = Context(np.array([0, 2] * 9), CLASSES, RECIPE, features=2)
    survey_scores(context, survey, [None])
    assert survey.given.shape == (90, 3)
    assert (survey.given[:, 1] == 0).all()
    np.testing.assert_allclose(survey.given.sum(axis=1), 1)
