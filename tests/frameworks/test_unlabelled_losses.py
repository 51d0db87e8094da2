"""The losses of methods that look at unlabelled images, against numpy and published formulas."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import loss_references as reference
import unlabelled_tables as tables
from unlabelled_tables import EPOCHS, LABELLED, STUDENT, TEACHER, VIEWS, WEIGHTS, supervised

from benchmark.training.frameworks import select_backend


def _embeddings(features, parameters, rows):
    hidden = features @ parameters["hidden/kernel"] + parameters["hidden/bias"]
    mapped = np.maximum(hidden, 0) @ parameters["out/kernel"] + parameters["out/bias"]
    return np.stack([mapped[view] for view in rows], axis=1)


# ---- the losses in numpy, of the student's tables; the teacher's are those above


def _pseudo_label(student, weight, threshold=0.95):
    own = student["logits"][VIEWS[0]]
    return supervised(student) + weight * reference.fixmatch_of_strong(own, own, threshold)


def _mean_teacher(student, weight):
    seen, other = student["logits"][VIEWS[0]], TEACHER["logits"][VIEWS[1]]
    return supervised(student) + weight * reference.prediction_consistency(seen, other)


def _fixmatch(student, weight, threshold=0.95):
    weak, strong = (student["logits"][view] for view in VIEWS[:2])
    return supervised(student) + weight * reference.fixmatch_of_strong(strong, weak, threshold)


def _src_mt(student, weight, beta=1.0):
    seen, other = VIEWS[:2]
    predictions = reference.prediction_consistency(
        student["logits"][seen], TEACHER["logits"][other], WEIGHTS
    )
    relations = reference.relation_consistency(
        student["features"][seen], TEACHER["features"][other]
    )
    return supervised(student, WEIGHTS) + weight * (predictions + beta * relations)


def _contrast(student, stage, rows, temperature=0.5):
    embeddings = _embeddings(student["features"], stage.parameters, rows)
    return reference.nt_xent(embeddings, temperature)


# Method, its options, the index of its stage, the loss by (student's tables, ramp, stage).
CASES = {
    "pseudo-label": ({}, 0, lambda s, w, _: _pseudo_label(s, w)),
    "pseudo-label, other settings": (
        {"threshold": 0.6, "unlabelled_weight": 3.0},
        0,
        lambda s, w, _: _pseudo_label(s, 3 * w, 0.6),
    ),
    "mean-teacher": ({}, 0, lambda s, w, _: _mean_teacher(s, w)),
    "mean-teacher, other settings": (
        {"unlabelled_weight": 2.5},
        0,
        lambda s, w, _: _mean_teacher(s, 2.5 * w),
    ),
    "fixmatch": ({}, 0, lambda s, _, __: _fixmatch(s, 1)),
    "fixmatch, other settings": (
        {"threshold": 0.5, "unlabelled_weight": 2.0},
        0,
        lambda s, _, __: _fixmatch(s, 2, 0.5),
    ),
    "src-mt": ({}, 0, lambda s, w, _: _src_mt(s, w)),
    "src-mt, other settings": (
        {"relation_weight": 0.3, "unlabelled_weight": 2.0},
        0,
        lambda s, w, _: _src_mt(s, 2 * w, 0.3),
    ),
    "srcl-joint": (
        {"contrast_weight": 0.7, "temperature": 0.3},
        0,
        lambda s, w, t: _src_mt(s, w) + 0.7 * _contrast(s, t, [VIEWS[0], VIEWS[2]], 0.3),
    ),
    "srcl-pretrain, contrast": ({}, 0, lambda s, _, t: _contrast(s, t, VIEWS[:2])),
    "srcl-pretrain, train": ({}, 1, lambda s, w, _: _src_mt(s, w)),
}


def _case(case):
    options, index, expected = CASES[case]
    stage = tables.stages(case.partition(",")[0], options)[index]
    for bias in ("hidden/bias", "out/bias"):
        if bias in stage.parameters:  # They start at zero, where a forgotten one would not show.
            stage.parameters[bias][:] = np.linspace(-1, 1, len(stage.parameters[bias]))
    return stage, lambda student, weight: expected(student, weight, stage)


@pytest.mark.parametrize("case", CASES)
def test_a_loss_after_its_ramp_is_that_of_its_source(framework, case):
    stage, expected = _case(case)
    found = tables.loss(framework, stage, epoch=EPOCHS - 1)
    assert found == pytest.approx(expected(STUDENT, 1.0), rel=1e-6)


@pytest.mark.parametrize("name", ["features", "logits"])
@pytest.mark.parametrize("case", CASES)
def test_gradients_equal_finite_differences(framework, case, name):
    stage, expected = _case(case)
    found = tables.gradient(framework, stage, "student", name)
    numpy = reference.finite_difference(
        lambda at: expected(STUDENT | {name: at}, 1.0), STUDENT[name]
    )
    np.testing.assert_allclose(np.zeros_like(numpy) if found is None else found, numpy, atol=1e-6)
    learns = {"features"} if "contrast" in case else {"logits"}
    assert name not in learns or np.abs(numpy).max() > 1e-3


@pytest.mark.parametrize("name", ["features", "logits"])
@pytest.mark.parametrize("case", CASES)
def test_no_gradient_reaches_the_teacher(framework, case, name):
    found = tables.gradient(framework, _case(case)[0], "teacher", name)
    assert found is None or not found.any()


@pytest.mark.parametrize("case", CASES)
def test_a_step_is_one_pass_of_the_network_over_all_it_looks_at(framework, case):
    stage, _ = _case(case)
    select_backend(framework)
    network = tables.tables(stage)
    stage.loss(network, tables.batch(stage, 0))
    shown = [view.tolist() for view in VIEWS]
    if case == "srcl-pretrain, contrast":
        assert (network.passes, network.lessons) == ([shown[0] + shown[1]], [])
    elif case.startswith(("pseudo-label", "fixmatch")):
        looked_at = sum(shown[: len(stage.unlabelled_views)], LABELLED.tolist())
        assert (network.passes, network.lessons) == ([looked_at], [])
    else:
        contrasted = shown[2] if case == "srcl-joint" else []
        assert network.passes == [LABELLED.tolist() + shown[0] + contrasted]
        assert network.lessons == [shown[1]]


# ---- published formulas worked out once, see test_loss_vectors.py


@pytest.fixture(scope="module")
def vectors(real_data):
    file = real_data.parent / "reference" / "method_vectors.json"
    if not file.is_file():
        pytest.skip("no reference/method_vectors.json beside the folder of real images")
    return json.loads(file.read_text())


def _table(*logits, features=None):
    """Tables with these logits one group of rows after the other."""
    rows = np.concatenate([np.asarray(group, np.float64) for group in logits])
    features = np.eye(len(rows)) if features is None else np.asarray(features, np.float64)
    return {"logits": rows, "features": features}


def _of_vectors(framework, stage, student, teacher, labels, per_view, epoch=EPOCHS - 1):
    select_backend(framework)
    from keras import ops

    ends = len(labels) + per_view * np.arange(len(stage.unlabelled_views))
    views = [np.arange(end, end + per_view) for end in ends]
    batch = tables.batch(stage, epoch, labels, np.arange(len(labels)), views)
    found = stage.loss(tables.tables(stage, student, teacher), batch)
    return float(ops.convert_to_numpy(found))


@pytest.mark.parametrize(
    ("as_released", "key"), [(False, "ce_weighted"), (True, "ce_weighted_softmax_applied_twice")]
)
def test_src_mts_supervised_loss_is_the_vectors(framework, vectors, as_released, key):
    group, counts = vectors["weighted_ce"], (1113, 6705, 514, 327, 1099, 115, 142)
    options = {"as_released": as_released}
    (stage,) = tables.stages("src-mt", options, tables.context_of(counts))
    labels, zeros = np.array(group["labels"]), np.zeros((8, 7))
    student = _table(group["logits"], zeros)
    found = _of_vectors(framework, stage, student, student, labels, 4, epoch=0)
    assert found == pytest.approx(group[key], rel=1e-6)


def test_fixmatchs_mask_and_loss_are_the_vectors(framework, vectors):
    group = vectors["fixmatch_unsup"]
    (stage,) = tables.stages("fixmatch", {"threshold": group["tau"]})
    certain = np.array([[100.0, 0.0, 0.0]])
    student = _table(certain, group["logits_weak"], group["logits_strong"])
    found = _of_vectors(framework, stage, student, student, np.array([0]), 4)
    assert found == pytest.approx(group["loss_divisor_full"], rel=1e-6)
    # The mask, image by image: a strong view that is certain of another class costs 100 there.
    masked = []
    for image, label in enumerate(np.argmax(group["logits_weak"], axis=1)):
        strong = np.zeros((4, 3))
        strong[image] = 100.0 * np.eye(3)[(label + 1) % 3]
        student = _table(certain, group["logits_weak"], strong)
        masked.append(_of_vectors(framework, stage, student, student, np.array([0]), 4) > 20)
    assert masked == [bool(sure) for sure in group["mask"]]


def test_the_consistencies_are_the_vectors(framework, vectors):
    predictions, relations = vectors["prediction_consistency"], vectors["relation_consistency"]
    certain = np.array([[100.0, 0.0, 0.0]])
    student = _table(certain, predictions["student_logits"], np.zeros((4, 3)))
    teacher = _table(certain, np.zeros((4, 3)), predictions["teacher_logits"])
    labels = np.array([0])
    (stage,) = tables.stages("mean-teacher", {"unlabelled_weight": 1.0})
    found = _of_vectors(framework, stage, student, teacher, labels, 4)
    assert found == pytest.approx(predictions["loss_unweighted"], rel=1e-6)

    # Class weights in the vectors' proportions of 1 : 4 : 8, scaled to N / n_c.
    context = tables.context_of((8, 2, 1))
    scale = 11 / 8 / predictions["class_weight"][0]
    (stage,) = tables.stages("src-mt", {"relation_weight": 0.0}, context)
    found = _of_vectors(framework, stage, student, teacher, labels, 4)
    assert found == pytest.approx(scale * predictions["loss_weighted"], rel=1e-6)

    flat = np.tile(certain, (9, 1))
    pad = np.ones((1, 3))
    student = _table(flat, features=np.concatenate([pad, relations["A_student"], np.ones((4, 3))]))
    teacher = _table(flat, features=np.concatenate([pad, np.ones((4, 3)), relations["A_teacher"]]))
    (stage,) = tables.stages("src-mt", {"relation_weight": 2.0}, context)
    found = _of_vectors(framework, stage, student, teacher, labels, 4)
    assert found == pytest.approx(2 * relations["loss"], rel=1e-6)
