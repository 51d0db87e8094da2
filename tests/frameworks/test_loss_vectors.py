"""Losses, rates and CReST against a file of published formulas worked out once in numpy float64.

The file holds 8 decimals and is not part of the project; where it is absent the tests are skipped.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import loss_references as reference

from benchmark.methods import crest, rates

TOLERANCE = {"float32": 1e-5, "float64": 1e-6}


@pytest.fixture(scope="module")
def losses(framework):
    from benchmark.training.frameworks import select_backend

    select_backend(framework)
    from benchmark.methods import losses

    return losses


@pytest.fixture(scope="session")
def vectors(real_data):
    file = real_data.parent / "reference" / "method_vectors.json"
    if not file.is_file():
        pytest.skip("no reference/method_vectors.json beside the folder of real images")
    return json.loads(file.read_text())


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture
def tensor(losses, dtype):
    """Makes a tensor of the process's framework and the test's dtype."""
    from keras import ops

    return lambda values: ops.convert_to_tensor(np.array(values, dtype))


@pytest.fixture
def near(dtype):
    """Within the dtype's tolerance of a number or a list."""
    return lambda expected: pytest.approx(expected, rel=TOLERANCE[dtype], abs=TOLERANCE[dtype])


def _exact(expected):
    """For numpy float64 against 8 decimals."""
    return pytest.approx(expected, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("temperature", ["0.07", "0.1", "0.5", "1.0"])
def test_supcon_and_nt_xent(losses, vectors, tensor, near, temperature):
    group = vectors["supcon"]
    embeddings = tensor(group["embeddings_unnormalised"])
    found = losses.supcon(embeddings, np.array(group["labels"]), float(temperature))
    assert float(found) == near(group[f"supcon_tau={temperature}"])
    found = losses.nt_xent(embeddings, float(temperature))
    assert float(found) == near(group[f"ntxent_tau={temperature}"])


def test_supcon_anchor_by_anchor(losses, vectors, tensor, near):
    group = vectors["supcon"]
    embeddings = tensor(group["embeddings_unnormalised"])
    labels = np.array(group["labels"])
    each = np.asarray(losses._anchor_losses(embeddings, labels, 0.5)).reshape(4, 2)
    # The file goes through all first views, then through all second ones.
    assert each.T.ravel() == near(group["supcon_tau=0.5_per_anchor"])


def test_supcon_with_a_single_view(losses, vectors, tensor, near):
    group = vectors["supcon"]
    embeddings = tensor(group["embeddings_unnormalised"])[:, :1]
    labels, expected = np.array(group["labels"]), group["single_view_tau=0.5"]
    each = np.asarray(losses._anchor_losses(embeddings, labels, 0.5))
    assert each == near(expected["per_anchor"])
    found = losses.supcon(embeddings, labels, 0.5)
    assert float(found) == near(expected["loss_mean_over_all_anchors"])


def test_focal(losses, vectors, tensor, near):
    group = vectors["focal"]
    logits, labels = tensor(group["logits"]), np.array(group["labels"])
    assert float(losses.cross_entropy(logits, labels)) == near(group["ce"])
    assert float(losses.focal(logits, labels, 0)) == near(group["ce"])
    assert float(losses.focal(logits, labels, 2)) == near(group["gamma=2_no_alpha"])
    found = losses.focal(logits, labels, 5, [0.25, 0.75])
    assert float(found) == near(group["gamma=5_alpha=[0.25,0.75]"])


def test_long_tail_losses(losses, vectors, tensor, near):
    group = vectors["long_tail_peers"]
    logits, labels, counts = tensor(group["logits"]), np.array(group["label"]), group["counts"]
    assert float(losses.cross_entropy(logits, labels)) == near(group["ce_loss"])
    found = losses.balanced_softmax(logits, labels, counts)
    assert float(found) == near(group["balanced_softmax_loss"])
    found = losses.logit_adjusted(logits, labels, counts, tau=1)
    assert float(found) == near(group["logit_adjusted_loss_tau=1"])
    found = losses.ldam(tensor(group["cosine_logits_for_ldam"]), labels, counts)
    assert float(found) == near(group["ldam_loss_s=30"])


def test_long_tail_rates(vectors):
    group = vectors["long_tail_peers"]
    counts = group["counts"]
    found = rates.inverse_frequency_weights(counts)
    assert found == _exact(group["balanced_weight_N_over_LN"])
    found = rates.effective_number_weights(counts, 0.9999)
    assert found == _exact(group["effective_number_weight_beta=0.9999_sum_to_L"])
    assert rates.ldam_margins(counts, 0.5) == _exact(group["ldam_margin_max_m=0.5"])
    adjusted = group["logits"][0] - rates.log_prior(counts)
    assert adjusted.argmax() == group["posthoc_logit_adjustment_tau=1_argmax"]


def test_weighted_cross_entropy(losses, vectors, tensor, near):
    group = vectors["weighted_ce"]
    logits, labels = tensor(group["logits"]), np.array(group["labels"])
    weights = np.array(group["weight_10000_over_n"])
    assert float(losses.cross_entropy(logits, labels)) == near(group["ce_unweighted"])
    found = losses.cross_entropy(logits, labels, weights, normalised=True)
    assert float(found) == near(group["ce_weighted"])


def test_relation_consistency(losses, vectors, tensor, near):
    group = vectors["relation_consistency"]
    student, teacher = tensor(group["A_student"]), tensor(group["A_teacher"])
    assert float(losses.relation_consistency(student, teacher)) == near(group["loss"])
    found = losses.relation_consistency(student, 3 * teacher)
    assert float(found) == near(group["loss_teacher_scaled_by_3"])
    assert float(losses.relation_consistency(student, student)) == near(group["loss_identical"])


def test_relations(losses, vectors, tensor, near):
    group = vectors["relation_consistency"]
    student, teacher = tensor(group["A_student"]), tensor(group["A_teacher"])
    for found, name in (
        (losses._gram(student), "gram_student"),
        (losses._relations(student), "R_student"),
        (losses._relations(teacher), "R_teacher"),
    ):
        assert np.asarray(found) == near(np.array(group[name]))


def test_prediction_consistency(losses, vectors, tensor, near):
    group = vectors["prediction_consistency"]
    student, teacher = tensor(group["student_logits"]), tensor(group["teacher_logits"])
    found = losses.prediction_consistency(student, teacher)
    assert float(found) == near(group["loss_unweighted"])
    found = losses.prediction_consistency(student, teacher, group["class_weight"])
    assert float(found) == near(group["loss_weighted"])


def test_fixmatch(losses, vectors, tensor, near):
    group = vectors["fixmatch_unsup"]
    weak, strong = tensor(group["logits_weak"]), tensor(group["logits_strong"])
    assert float(losses.fixmatch(weak, strong, group["tau"])) == near(group["loss_divisor_full"])


@pytest.mark.parametrize("head", ["dr", "amd", "arterio"])
def test_distillation_of_each_head(losses, vectors, tensor, near, head):
    group = vectors["sall_soft_label_heads"]
    student, teacher = tensor([group["student_logits"][head]]), [group["teacher_logits"][head]]
    found = losses.distillation(student, tensor(teacher), group["T"])
    assert float(found) == near(group["ce_per_head"][head])


def test_knowledge_distillation(losses, vectors, tensor, near):
    group = vectors["hinton_kd"]
    student, teacher = tensor([group["student"]]), tensor([group["teacher"]])
    found = losses.knowledge_distillation(
        student, teacher, np.array([group["label"]]), group["T"], group["lam"]
    )
    assert float(found) == near(group["value"])


@pytest.mark.parametrize(
    ("data", "key", "alpha"),
    [
        ("isic2018", "alpha=0", 0),
        ("isic2018", "alpha=1/3", 1 / 3),
        ("isic2018", "alpha=1/2", 1 / 2),
        ("isic2018", "alpha=1", 1),
        ("isic2019", "alpha=1/3", 1 / 3),
    ],
)
def test_crest_rates(vectors, data, key, alpha):
    group = vectors["crest_sampling_rate"][data]
    assert crest.sampling_rates(group["counts"], alpha) == _exact(group[key])


def test_crest_rates_of_a_long_tail(vectors):
    group = vectors["crest_sampling_rate"]["cifar10lt_gamma100"]
    # The shares are printed to 8 decimals, the smallest of them 0.004.
    found = crest.sampling_rates(group["class_distribution"], 1 / 3)
    assert found == pytest.approx(group["alpha=1/3"], rel=1e-5)


def test_crest_selection(vectors):
    group = vectors["crest_selection"]
    # The file prints alpha, 1/3, to 8 decimals.
    found = crest.sampling_rates(group["labelled_counts"], 1 / 3)
    assert found == _exact(group["mu"])
    probabilities = np.array(group["probs"])
    predicted = np.bincount(probabilities.argmax(axis=1))
    assert predicted.tolist() == group["n_predicted"]
    expected = [index for label in "012" for index in group["selected_indices"][label]]
    assert crest.select(probabilities, found).tolist() == expected


def test_mean_teacher_rate(vectors):
    group = vectors["mean_teacher_ema"]
    assert [rates.ema_rate(step) for step in group["steps"]] == _exact(group["a"])
    teacher, after = group["teacher_initial"], []
    for step, student in enumerate(group["student_after_each_step"]):
        kept = rates.ema_rate(step)
        teacher = kept * teacher + (1 - kept) * student
        after.append(teacher)
    assert after == _exact(group["teacher_after_each_step"])


def test_sigmoid_rampup(vectors):
    group = vectors["sigmoid_rampup"]
    found = [rates.sigmoid_rampup(step, group["T"]) for step in group["t"]]
    assert found == _exact(group["w"])


def test_distillation_gradients_of_each_head(losses, framework, vectors):
    group = vectors["sall_soft_label_heads"]
    for head, expected in group["grad_wrt_student_logits"].items():
        student = np.array([group["student_logits"][head]])
        teacher = np.array([group["teacher_logits"][head]])

        def loss(at, teacher=teacher):
            return losses.distillation(at, teacher, group["T"])

        found = reference.gradient(framework, loss, student)
        assert found[0] == pytest.approx(expected, abs=1e-6)


def test_fixmatch_of_aligned_logits_uses_aligned_probabilities(losses, vectors):
    """What `fixmatch` says about distribution alignment, through the one class it picks."""
    group = vectors["distribution_alignment"]
    ratio = (np.array(group["target"]) + 1e-6) / (np.array(group["model_avg"]) + 1e-6)
    weak = np.log(group["q"]) + np.log(ratio)
    strong = np.array([[1.0, 0.2, 0.1], [0.3, 0.1, 0.4]])
    # Aligned, the second image's 0.4592 is of the last class; unaligned its 0.4 was of the first.
    assert np.argmax(group["aligned"][1]) == 2
    expected = losses.cross_entropy(strong[1:], np.array([2])) / 2
    assert float(losses.fixmatch(weak, strong, 0.459)) == pytest.approx(float(expected), rel=1e-9)
    assert float(losses.fixmatch(weak, strong, 0.4592)) == 0
