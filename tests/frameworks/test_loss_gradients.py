"""Values and gradients of every loss in the framework of this process against numpy alone.

Both frameworks equal one third reference, to 1e-6 in float64, and so each other.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import loss_references as reference

RANDOM = np.random.default_rng(5)
COUNTS = np.array([90, 9, 30])
WEIGHTS = np.array([0.5, 4.0, 1.5])
LABELS = np.array([0, 2, 1, 2, 0])
LOGITS = RANDOM.normal(size=(5, 3)) * 2
TEACHER = RANDOM.normal(size=(5, 3)) * 2
COSINES = RANDOM.uniform(-0.5, 0.5, size=(5, 3))
EMBEDDINGS = RANDOM.normal(size=(5, 2, 4))
FEATURES = RANDOM.normal(size=(5, 4))

# Name of the loss, what learns, the other arguments.
CASES = [
    ("cross_entropy", LOGITS, (LABELS,)),
    ("cross_entropy", LOGITS, (LABELS, WEIGHTS)),
    ("cross_entropy", LOGITS, (LABELS, WEIGHTS, True)),
    ("focal", LOGITS, (LABELS, 2.0)),
    ("focal", LOGITS, (LABELS, 0.5, WEIGHTS)),
    ("ldam", COSINES, (LABELS, COUNTS)),
    ("ldam", COSINES, (LABELS, COUNTS, 0.3, 10.0, WEIGHTS)),
    ("balanced_softmax", LOGITS, (LABELS, COUNTS)),
    ("logit_adjusted", LOGITS, (LABELS, COUNTS, 1.5)),
    ("supcon", EMBEDDINGS, (LABELS, 0.1)),
    ("supcon", EMBEDDINGS, (LABELS, 0.07)),
    ("supcon", EMBEDDINGS[:, :1], (LABELS, 0.5)),
    ("nt_xent", EMBEDDINGS, (0.5,)),
    ("prediction_consistency", LOGITS, (TEACHER,)),
    ("prediction_consistency", LOGITS, (TEACHER, WEIGHTS)),
    ("relation_consistency", FEATURES, (EMBEDDINGS[:, 0],)),
    ("fixmatch_of_strong", LOGITS, (TEACHER, 0.8)),
    ("distillation", LOGITS, (TEACHER, 3.0)),
    ("knowledge_distillation", LOGITS, (TEACHER, LABELS, 3.0, 0.7)),
]
NAMES = [f"{number}-{case[0]}" for number, case in enumerate(CASES)]


@pytest.fixture(scope="module")
def losses(framework):
    from benchmark.training.frameworks import select_backend

    select_backend(framework)
    from benchmark.methods import losses

    return losses


def _ours(losses, name):
    if name == "fixmatch_of_strong":
        return lambda strong, weak, threshold: losses.fixmatch(weak, strong, threshold)
    return getattr(losses, name)


@pytest.mark.parametrize(("name", "learns", "others"), CASES, ids=NAMES)
def test_values_equal_numpy(losses, name, learns, others):
    expected = getattr(reference, name)(learns, *others)
    found = float(_ours(losses, name)(learns, *others))
    assert expected > 1e-3
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("name", "learns", "others"), CASES, ids=NAMES)
def test_gradients_equal_finite_differences(losses, framework, name, learns, others):
    expected = reference.finite_difference(lambda at: getattr(reference, name)(at, *others), learns)
    found = reference.gradient(framework, lambda at: _ours(losses, name)(at, *others), learns)
    assert found.dtype == np.float64
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("prediction_consistency", (TEACHER,)),
        ("relation_consistency", (EMBEDDINGS[:, 0],)),
        ("distillation", (TEACHER, 3.0)),
        ("knowledge_distillation", (TEACHER, LABELS, 3.0, 0.7)),
        ("fixmatch_of_strong", (TEACHER, 0.8)),
    ],
)
def test_no_gradient_reaches_the_teacher(losses, framework, name, others):
    student = FEATURES if name == "relation_consistency" else LOGITS
    teacher, *rest = others
    found = reference.gradient(
        framework, lambda at: _ours(losses, name)(student, at, *rest), teacher
    )
    assert found is None or not found.any()


def test_supcon_without_positives_has_finite_gradients(losses, framework):
    """One view each: the anchors of labels 1 and 2 have no positive, those of label 0 have."""
    found = reference.gradient(
        framework, lambda at: losses.supcon(at, np.array([0, 0, 1, 2]), 0.1), EMBEDDINGS[:4, :1]
    )
    assert np.isfinite(found).all()
    assert found.any()


@pytest.mark.parametrize("shape", [(1, 1, 4), (1, 2, 4), (3, 1, 4)])
def test_batches_with_nothing_to_contrast_have_no_gradient(losses, framework, shape):
    embeddings = RANDOM.normal(size=shape)
    found = reference.gradient(framework, lambda at: losses.nt_xent(at, 0.1), embeddings)
    np.testing.assert_allclose(found, 0, atol=1e-12)


def test_features_of_zero_have_finite_gradients(losses, framework):
    embeddings = EMBEDDINGS.astype(np.float32)
    embeddings[0, 0] = 0
    found = reference.gradient(framework, lambda at: losses.supcon(at, LABELS, 0.1), embeddings)
    assert np.isfinite(found).all()
    features = FEATURES.astype(np.float32)
    features[1] = 0
    found = reference.gradient(
        framework, lambda at: losses.relation_consistency(at, FEATURES), features
    )
    assert np.isfinite(found).all()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_gradients_are_finite_where_the_label_is_certain(losses, framework, gamma):
    certain = np.array([[200.0, 0.0, 0.0], [0.0, 200.0, 0.0]], np.float32)
    found = reference.gradient(
        framework, lambda at: losses.focal(at, np.array([0, 1]), gamma), certain
    )
    np.testing.assert_allclose(found, 0, atol=1e-6)
