"""Losses against closed forms and scikit-learn, in the framework of this process."""

import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import log_loss

sys.path.insert(0, str(Path(__file__).parent))
import loss_references as reference

LABELS = np.array([0, 2, 1, 2])
LOGITS = np.random.default_rng(3).normal(size=(4, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def losses(framework):
    from benchmark.training.frameworks import select_backend

    select_backend(framework)
    from benchmark.methods import losses

    return losses


def _value(tensor) -> float:
    return float(np.asarray(tensor))


def test_cross_entropy_equals_scikit_learn(losses):
    exp = np.exp(LOGITS - LOGITS.max(axis=1, keepdims=True))
    expected = log_loss(LABELS, exp / exp.sum(axis=1, keepdims=True), labels=[0, 1, 2])
    assert _value(losses.cross_entropy(LOGITS, LABELS)) == pytest.approx(expected, rel=1e-6)


def test_cross_entropy_of_equal_logits_is_the_logarithm_of_the_class_count(losses):
    equal = np.zeros((4, 3), np.float32)
    assert _value(losses.cross_entropy(equal, LABELS)) == pytest.approx(np.log(3), rel=1e-6)


def test_class_weights_multiply_each_image_and_the_mean_is_over_images(losses):
    weights = np.array([1.0, 2.0, 4.0], np.float32)
    each = [_value(losses.cross_entropy(LOGITS[i : i + 1], LABELS[i : i + 1])) for i in range(4)]
    expected = np.mean(weights[LABELS] * each)
    found = _value(losses.cross_entropy(LOGITS, LABELS, weights))
    assert found == pytest.approx(expected, rel=1e-6)


def test_cross_entropy_stays_finite_for_huge_logits(losses):
    huge = np.array([[1e4, -1e4, 0.0]], np.float32)
    assert _value(losses.cross_entropy(huge, np.array([1]))) == pytest.approx(2e4, rel=1e-6)


@pytest.mark.parametrize(
    ("given", "taken"), [("float16", "float32"), ("float32", "float32"), ("float64", "float64")]
)
def test_cross_entropy_works_in_float32_or_better(losses, given, taken):
    from keras import backend, ops

    logits = ops.convert_to_tensor(LOGITS.astype(given))
    loss = losses.cross_entropy(logits, LABELS, np.ones(3))
    assert backend.standardize_dtype(loss.dtype) == taken


# Class counts of LABELS' three classes, equal and not.
EQUAL, UNEQUAL = np.array([5, 5, 5]), np.array([8, 1, 3])
EMBEDDINGS = np.random.default_rng(4).normal(size=(4, 3, 6))
TEACHER = np.random.default_rng(5).normal(size=(4, 3)).astype(np.float32)


def test_normalised_class_weights_divide_by_their_sum(losses):
    weights = np.array([1.0, 2.0, 4.0], np.float32)
    found = _value(losses.cross_entropy(LOGITS, LABELS, weights, normalised=True))
    plain = _value(losses.cross_entropy(LOGITS, LABELS, weights))
    assert found == pytest.approx(plain * 4 / weights[LABELS].sum(), rel=1e-6)
    unweighted = _value(losses.cross_entropy(LOGITS, LABELS))
    assert _value(losses.cross_entropy(LOGITS, LABELS, normalised=True)) == unweighted


def test_focal_with_gamma_zero_is_the_cross_entropy(losses):
    expected = _value(losses.cross_entropy(LOGITS, LABELS))
    assert _value(losses.focal(LOGITS, LABELS, 0.0)) == pytest.approx(expected, rel=1e-6)


def test_focal_takes_least_from_what_is_learnt(losses):
    kept = []
    for lead in (0.0, 2.0, 4.0):
        logits, label = np.array([[lead, 0.0]], np.float32), np.array([0])
        plain = _value(losses.cross_entropy(logits, label))
        kept.append(_value(losses.focal(logits, label, 2.0)) / plain)
    assert kept[0] == pytest.approx(0.25, rel=1e-6)
    assert kept[0] > kept[1] > kept[2]


def test_ldam_without_margins_is_the_cross_entropy_of_scaled_cosines(losses):
    cosines = np.tanh(LOGITS)
    expected = _value(losses.cross_entropy(7 * cosines, LABELS))
    found = _value(losses.ldam(cosines, LABELS, UNEQUAL, max_margin=0.0, scale=7.0))
    assert found == pytest.approx(expected, rel=1e-6)


def test_ldam_asks_most_of_the_rarest_class(losses):
    cosines = np.zeros((1, 3), np.float32)
    each = [_value(losses.ldam(cosines, np.array([label]), UNEQUAL)) for label in range(3)]
    assert each[1] > each[2] > each[0]


def test_balanced_softmax_of_equal_counts_is_the_cross_entropy(losses):
    expected = _value(losses.cross_entropy(LOGITS, LABELS))
    found = _value(losses.balanced_softmax(LOGITS, LABELS, EQUAL))
    assert found == pytest.approx(expected, rel=1e-6)


def test_logit_adjustment_with_tau_zero_is_the_cross_entropy(losses):
    expected = _value(losses.cross_entropy(LOGITS, LABELS))
    found = _value(losses.logit_adjusted(LOGITS, LABELS, UNEQUAL, tau=0.0))
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_class_without_images_leaves_the_long_tail_losses_finite(losses):
    counts, labels = np.array([8, 0, 3]), np.array([0, 2, 0, 2])
    for name in ("balanced_softmax", "logit_adjusted", "ldam"):
        assert np.isfinite(_value(getattr(losses, name)(LOGITS, labels, counts)))


def test_supcon_of_distinct_labels_is_nt_xent(losses):
    expected = _value(losses.nt_xent(EMBEDDINGS, 0.2))
    assert _value(losses.supcon(EMBEDDINGS, np.array([7, 3, 9, 0]), 0.2)) == expected
    assert _value(losses.supcon(EMBEDDINGS, LABELS, 0.2)) != pytest.approx(expected, rel=1e-3)


def test_supcon_does_not_see_the_order_of_images_or_views(losses):
    expected = _value(losses.supcon(EMBEDDINGS, LABELS, 0.2))
    order = np.array([2, 0, 3, 1])
    found = _value(losses.supcon(EMBEDDINGS[order], LABELS[order], 0.2))
    assert found == pytest.approx(expected, rel=1e-6)
    found = _value(losses.supcon(EMBEDDINGS[:, [1, 2, 0]], LABELS, 0.2))
    assert found == pytest.approx(expected, rel=1e-6)


def test_supcon_does_not_see_the_lengths_of_embeddings(losses):
    lengths = np.random.default_rng(6).uniform(1e-3, 1e3, size=(4, 3, 1))
    expected = _value(losses.supcon(EMBEDDINGS, LABELS, 0.2))
    found = _value(losses.supcon(lengths * EMBEDDINGS, LABELS, 0.2))
    assert found == pytest.approx(expected, rel=1e-6)


def test_anchors_without_positives_contribute_nothing_and_count(losses):
    """Of four images with one view only the first two share a label."""
    alone = EMBEDDINGS[:, :1]
    found = _value(losses.supcon(alone, np.array([0, 0, 1, 2]), 0.5))
    each = np.asarray(losses._anchor_losses(alone, np.array([0, 0, 1, 2]), 0.5))
    assert each[:2].all()
    assert not each[2:].any()
    assert found == pytest.approx(each[:2].sum() / 4, rel=1e-6)
    assert _value(losses.nt_xent(alone, 0.5)) == 0
    assert _value(losses.nt_xent(EMBEDDINGS[:1, :1], 0.5)) == 0


def test_supcon_stays_finite_at_a_small_temperature(losses):
    """exp(1 / 0.005) is beyond float32."""
    embeddings = EMBEDDINGS.astype(np.float32)
    expected = _value(losses.supcon(EMBEDDINGS, LABELS, 0.005))
    assert _value(losses.supcon(embeddings, LABELS, 0.005)) == pytest.approx(expected, rel=1e-4)


def test_supcon_refuses_embeddings_without_views(losses):
    with pytest.raises(ValueError, match=r"\(images, views, D\), not \(4, 6\)"):
        losses.supcon(EMBEDDINGS[:, 0], LABELS, 0.1)


def test_relations_are_rows_of_length_1_and_go_one_way(losses):
    """An image's length divides its own row alone, so that they are not symmetric."""
    features = losses._precise(np.asarray(EMBEDDINGS[:, 0]))
    found = np.asarray(losses._relations(features))
    assert (found**2).sum(axis=1) == pytest.approx(np.ones(len(found)), rel=1e-6)
    assert np.abs(found - found.T).max() > 0.1
    scaled = np.asarray(losses._relations(3 * features))
    assert scaled == pytest.approx(found, rel=1e-6)


def test_relations_are_those_of_scaled_and_rotated_features(losses):
    features = EMBEDDINGS[:, 0]
    rotation, _ = np.linalg.qr(np.random.default_rng(7).normal(size=(6, 6)))
    for same in (features, 3 * features, features @ rotation):
        assert _value(losses.relation_consistency(features, same)) == pytest.approx(0, abs=1e-12)
    assert _value(losses.relation_consistency(features, EMBEDDINGS[:, 1])) > 0.1


def test_prediction_consistency_of_equal_probabilities_is_zero(losses):
    assert _value(losses.prediction_consistency(LOGITS, LOGITS + 5)) == pytest.approx(0, abs=1e-12)
    certain = np.array([[50.0, 0.0]], np.float32)
    opposite = certain[:, ::-1].copy()
    assert _value(losses.prediction_consistency(certain, opposite)) == pytest.approx(2, rel=1e-6)


def test_fixmatch_divides_by_all_images(losses):
    weak = np.array([[9.0, 0.0], [0.1, 0.0]], np.float32)
    strong = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    sure = _value(losses.cross_entropy(strong[:1], np.array([0])))
    assert _value(losses.fixmatch(weak, strong, 0.95)) == pytest.approx(sure / 2, rel=1e-6)
    assert _value(losses.fixmatch(np.zeros_like(weak), strong, 0.95)) == 0


def test_distillation_is_least_and_the_entropy_where_student_and_teacher_agree(losses):
    soft = np.exp(TEACHER / 3) / np.exp(TEACHER / 3).sum(axis=1, keepdims=True)
    entropy = -np.mean(np.sum(soft * np.log(soft), axis=1))
    agreed = _value(losses.distillation(TEACHER, TEACHER, 3.0))
    assert agreed == pytest.approx(entropy, rel=1e-6)
    assert _value(losses.distillation(LOGITS, TEACHER, 3.0)) > agreed + 0.01


def test_knowledge_distillation_goes_from_labels_to_the_teacher(losses):
    labelled = _value(losses.knowledge_distillation(LOGITS, TEACHER, LABELS, 3.0, share=0.0))
    assert labelled == pytest.approx(_value(losses.cross_entropy(LOGITS, LABELS)), rel=1e-6)
    taught = _value(losses.knowledge_distillation(TEACHER, TEACHER, LABELS, 3.0, share=1.0))
    assert taught == pytest.approx(0, abs=1e-6)


def _with_known(losses):
    """The losses that look at some images only, of logits and labels."""
    return {
        "cross_entropy": lambda z, y, **k: losses.cross_entropy(z, y, **k),
        "distillation": lambda z, y, **k: losses.distillation(z, TEACHER[: len(z)], 3.0, **k),
        "knowledge_distillation": lambda z, y, **k: losses.knowledge_distillation(
            z, TEACHER[: len(z)], y, 3.0, 0.7, **k
        ),
    }


@pytest.mark.parametrize("name", sorted(_with_known(None)))
def test_what_is_not_known_does_not_count(losses, framework, name):
    """Not even in the mean; the label there may be anything, and no gradient comes from it."""
    call, known = _with_known(losses)[name], np.array([True, True, False, False])
    labels = np.where(known, LABELS, -1)
    expected = _value(call(LOGITS[:2], LABELS[:2]))
    assert _value(call(LOGITS, labels, known=known)) == pytest.approx(expected, rel=1e-6)
    every = _value(call(LOGITS, LABELS, known=np.ones(4, bool)))
    assert every == pytest.approx(_value(call(LOGITS, LABELS)), rel=1e-6)
    slopes = reference.gradient(framework, lambda z: call(z, labels, known=known), LOGITS)
    assert slopes[:2].all()
    assert not slopes[2:].any()


@pytest.mark.parametrize("name", sorted(_with_known(None)))
def test_where_nothing_is_known_the_loss_is_zero_and_so_are_its_gradients(losses, framework, name):
    nothing, labels = np.zeros(4, bool), np.full(4, -1)

    def loss(logits):
        return _with_known(losses)[name](logits, labels, known=nothing)

    assert _value(loss(LOGITS)) == 0
    assert not reference.gradient(framework, loss, LOGITS).any()


def _calls(losses):
    """Every loss on tensors (of any float dtype) of logits, of embeddings, and of labels."""
    weights = np.array([1.0, 2.0, 4.0])
    return {
        "cross_entropy": lambda z, e, y: losses.cross_entropy(z, y, weights, normalised=True),
        "focal": lambda z, e, y: losses.focal(z, y, 2.0, weights),
        "ldam": lambda z, e, y: losses.ldam(z, y, UNEQUAL, class_weights=weights),
        "balanced_softmax": lambda z, e, y: losses.balanced_softmax(z, y, UNEQUAL),
        "logit_adjusted": lambda z, e, y: losses.logit_adjusted(z, y, UNEQUAL, 2.0),
        "supcon": lambda z, e, y: losses.supcon(e, y, 0.1),
        "nt_xent": lambda z, e, y: losses.nt_xent(e, 0.1),
        "prediction_consistency": lambda z, e, y: losses.prediction_consistency(z, -z, weights),
        "relation_consistency": lambda z, e, y: losses.relation_consistency(e[:, 0], e[:, 1]),
        "fixmatch": lambda z, e, y: losses.fixmatch(-z, z, 0.5),
        "distillation": lambda z, e, y: losses.distillation(z, -z, 3.0, known=y > 0),
        "knowledge_distillation": lambda z, e, y: losses.knowledge_distillation(
            z, -z, y, 3.0, 0.7, known=y > 0
        ),
    }


LOSSES = sorted(_calls(None))


def test_every_public_loss_is_among_those_tested(losses):
    public = {
        name
        for name, thing in vars(losses).items()
        if getattr(thing, "__module__", "") == losses.__name__ and not name.startswith("_")
    }
    # What the second softmax of src-mt's released code is made of, and no loss.
    assert public == {*LOSSES, "probabilities"}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("given", ["float16", "bfloat16"])
def test_losses_of_half_precision_are_computed_in_float32(losses, name, given):
    from keras import backend, ops

    logits = ops.cast(ops.convert_to_tensor(LOGITS), given)
    embeddings = ops.cast(ops.convert_to_tensor(EMBEDDINGS), given)
    call = _calls(losses)[name]
    found = call(logits, embeddings, LABELS)
    assert backend.standardize_dtype(found.dtype) == "float32"
    # The same rounded numbers, in float64 throughout.
    exact = call(ops.cast(logits, "float64"), ops.cast(embeddings, "float64"), LABELS)
    assert backend.standardize_dtype(exact.dtype) == "float64"
    assert _value(found) == pytest.approx(_value(exact), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_autocast_does_not_cost_precision(losses, framework, name):
    """The torch engine calls a loss inside autocast, which takes products to bfloat16."""
    if framework == "keras":
        pytest.skip("autocast is torch's")
    import torch

    tensors = torch.tensor(LOGITS), torch.tensor(EMBEDDINGS, dtype=torch.float32)
    call = _calls(losses)[name]
    outside = call(*tensors, torch.tensor(LABELS))
    with torch.autocast("cpu", torch.bfloat16):
        inside = call(*tensors, torch.tensor(LABELS))
    assert inside.dtype == torch.float32
    assert _value(inside) == pytest.approx(_value(outside), rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_traced_once_for_every_batch_size(losses, framework, name):
    if framework == "torch":
        pytest.skip("tf.function is TensorFlow's")
    import tensorflow as tf

    call = _calls(losses)[name]
    signature = [
        tf.TensorSpec((None, 3), tf.float32),
        tf.TensorSpec((None, 3, 6), tf.float32),
        tf.TensorSpec((None,), tf.int64),
    ]
    traced = tf.function(call, input_signature=signature)
    embeddings = EMBEDDINGS.astype(np.float32)
    for size in (4, 3, 2):
        arrays = LOGITS[:size], embeddings[:size], LABELS[:size]
        expected = _value(call(*(tf.constant(array) for array in arrays)))
        assert _value(traced(*arrays)) == pytest.approx(expected, rel=1e-5, abs=1e-7)
