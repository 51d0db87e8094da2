"""Heads and freezing in this process's framework: cosine heads, new ones, changed classifiers."""

import importlib
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import architectures
from architectures.network import FREEZE_POLICIES
from benchmark.errors import UserError

sys.path.insert(0, str(Path(__file__).parent.parent / "architectures"))
seeded = importlib.import_module("seeded")
gradcam_side = importlib.import_module("gradcam_side")

CLASSES = 4
SIZE = (65, 72)
PLAIN, COSINE, NORMED = (
    ("MobileNetV2", "plain"),
    ("MobileNetV2", "cosine"),
    ("EfficientNetB0", "paper"),
)
# Two dense layers; the map flattened.
DOUBLE, FLAT = ("MobileNet", "paper"), ("VGG16", "paper")
STATISTICS = ("moving_mean", "moving_variance")
WEIGHTS = ("kernel", "gamma", "beta", "bias")


def built(framework, arch, head, seed=0):
    size = (96, 103) if arch == "MobileNet" else SIZE
    return architectures.build(arch, framework, CLASSES, image_size=size, head=head, seed=seed)


def images_of(network, count=2):
    shape = (count, *network.image_size, 3)
    return np.random.default_rng(3).integers(0, 256, shape).astype(np.uint8)


@pytest.fixture(scope="module")
def networks(framework):
    """Built and given seeded weights once; each test gets those weights again."""
    made = {}

    def network(arch, head):
        if (arch, head) not in made:
            one = built(framework, arch, head)
            made[arch, head] = one, seeded.weights(one)
        one, weights = made[arch, head]
        one.assign(weights)
        one.freeze("none")
        return one

    return network


@pytest.fixture
def plain(networks):
    return networks(*PLAIN)


@pytest.fixture
def cosine(networks):
    return networks(*COSINE)


def tensor(images):
    return keras.ops.convert_to_tensor(images)


def numbers(found):
    return (found.detach() if hasattr(found, "detach") else found).numpy()


def pulled(network, images):
    """Gradients of one logit in training mode, of every trained tensor."""
    if network.framework == "torch":
        torch = importlib.import_module("torch")
        loss = network.forward(torch.from_numpy(images), training=True).logits[:, 0].sum()
        return [numbers(g) for g in torch.autograd.grad(loss, network.trainable())]
    tf = importlib.import_module("tensorflow")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(network.forward(tf.constant(images), training=True).logits[:, 0])
    return [numbers(g) for g in tape.gradient(loss, network.trainable())]


def step(network, images, rate=0.1):
    """One step of SGD on one logit."""
    for own, gradient in zip(network.trainable(), pulled(network, images), strict=True):
        if network.framework == "torch":
            own.data -= rate * own.data.new_tensor(gradient)
        else:
            own.assign_sub(rate * gradient)


def train_logits(network, images):
    if network.framework == "torch":
        torch = importlib.import_module("torch")
        with torch.no_grad():
            return numbers(network.forward(torch.from_numpy(images), training=True).logits)
    return numbers(network.forward(tensor(images), training=True).logits)


def changed(before, network):
    return {k for k, v in network.tensors().items() if not np.array_equal(before[k], v)}


def of_backbone(names, roles):
    return {n for n in names if not n.startswith("head/") and n.rpartition("/")[2].endswith(roles)}


# ---- the cosine head


def test_cosine_logits_are_thirty_times_the_cosine_with_each_column(cosine):
    images = images_of(cosine)
    features = cosine.features(images).astype(float)
    kernel = cosine.tensors()["head/cosine_1/kernel"].astype(float)
    assert kernel.shape == (cosine.architecture.channels, CLASSES)
    norms = np.outer(np.linalg.norm(features, axis=1), np.linalg.norm(kernel, axis=0))
    np.testing.assert_allclose(cosine.logits(images), 30 * features @ kernel / norms, rtol=1e-5)
    assert cosine.head == ("pool", "cosine")


def test_cosine_logits_do_not_depend_on_the_columns_norms(cosine):
    images, tensors = images_of(cosine), cosine.tensors()
    before = cosine.logits(images)
    tensors["head/cosine_1/kernel"] *= np.array([0.1, 1, 3, 50], np.float32)
    cosine.assign(tensors)
    np.testing.assert_allclose(cosine.logits(images), before, rtol=1e-5)


def test_a_seed_draws_the_same_cosine_kernel_in_either_framework(cosine):
    cosine.new_head(7)
    limit = (6 / (1280 + CLASSES)) ** 0.5
    draws = np.random.default_rng(7).spawn(2)[1].uniform(-limit, limit, (1280, CLASSES))
    np.testing.assert_array_equal(
        cosine.tensors()["head/cosine_1/kernel"], draws.astype(np.float32)
    )


def test_a_cosine_head_has_one_tensor_and_it_trains(cosine):
    cosine.freeze("backbone")
    (kernel,) = cosine.trainable()
    assert np.prod(kernel.shape) == cosine.architecture.channels * CLASSES
    before = cosine.tensors()
    step(cosine, images_of(cosine))
    assert changed(before, cosine) == {"head/cosine_1/kernel"}


def test_zero_features_have_zero_cosines_and_finite_gradients(cosine):
    tensors = cosine.tensors()
    for role in ("gamma", "beta"):
        tensors[f"Conv_1_bn/{role}"][:] = 0
    tensors["head/cosine_1/kernel"][:, 1] = 0
    cosine.assign(tensors)
    images = images_of(cosine)
    assert not cosine.features(images).any()
    assert not cosine.logits(images).any()
    assert all(np.isfinite(gradient).all() for gradient in pulled(cosine, images))


def test_a_zero_column_has_a_zero_cosine_and_a_finite_gradient(cosine):
    tensors = cosine.tensors()
    tensors["head/cosine_1/kernel"][:, 0] = 0
    cosine.assign(tensors)
    images = images_of(cosine)
    logits = cosine.logits(images)
    assert not logits[:, 0].any()
    assert logits[:, 1:].all()
    gradients = pulled(cosine, images)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert any(gradient.any() for gradient in gradients)


def test_gradcam_of_a_cosine_head_is_the_networks_own_slope(cosine):
    images, targets = images_of(cosine), np.array([1, 2])
    plainly = {"torch": gradcam_side.plain_torch, "keras": gradcam_side.plain_keras}
    for paper in (False, True):
        found = cosine.gradcam(images, targets, paper=paper)
        expected = plainly[cosine.framework](cosine, images, targets, paper)
        assert expected.max((1, 2)).min() > 0
        assert np.abs(found - expected).max() <= 1e-4 * expected.max()


def test_a_saved_cosine_head_is_read_by_a_cosine_head_only(framework, cosine, plain, tmp_path):
    path = tmp_path / "cosine.safetensors"
    cosine.save(path)
    twin = built(framework, *COSINE, seed=1)
    images = images_of(cosine)
    assert not np.allclose(twin.logits(images), cosine.logits(images))
    twin.load(path)
    np.testing.assert_array_equal(twin.logits(images), cosine.logits(images))
    with pytest.raises(UserError, match=r"head pool\+cosine, expected pool\+dense"):
        plain.load(path)
    plain.load(path, head=False)
    np.testing.assert_array_equal(plain.features(images), cosine.features(images))
    plain.save(path)
    with pytest.raises(UserError, match=r"head pool\+dense, expected pool\+cosine"):
        twin.load(path)


def test_mixed_precision_leaves_the_cosine_head_in_float32(framework):
    if framework == "torch":
        torch = importlib.import_module("torch")
        network = built(framework, *COSINE)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = network.forward(torch.from_numpy(images_of(network)), training=False)
    else:
        keras.config.set_dtype_policy("mixed_bfloat16")
        try:
            network = built(framework, *COSINE)
            found = network.forward(tensor(images_of(network)), training=False)
        finally:
            keras.config.set_dtype_policy("float32")
    for one in found:
        assert keras.backend.standardize_dtype(one.dtype) == "float32"


# ---- freezing


def test_backbone_weights_leaves_the_head_to_train_and_the_statistics_to_move(plain):
    plain.freeze("backbone-weights")
    count = sum(np.prod(tuple(one.shape)) for one in plain.trainable())
    assert count == plain.architecture.channels * CLASSES + CLASSES
    before = plain.tensors()
    step(plain, images_of(plain))
    moved = changed(before, plain)
    assert moved >= {"head/dense_1/kernel", "head/dense_1/bias"}
    assert of_backbone(moved, WEIGHTS) == set()
    assert of_backbone(moved, STATISTICS) == of_backbone(before, STATISTICS) != set()


def test_backbone_weights_runs_the_network_as_in_training(plain):
    images, before = images_of(plain), plain.tensors()
    found = {}
    for policy in ("none", "backbone-weights"):
        plain.assign(before)
        plain.freeze(policy)
        found[policy] = {"logits": train_logits(plain, images), **plain.tensors()}
    for name, array in found["none"].items():
        np.testing.assert_allclose(found["backbone-weights"][name], array, rtol=1e-6, atol=1e-7)
    # And not as in inference, which is what "backbone" does.
    plain.assign(before)
    inferred = plain.logits(images)
    assert np.abs(found["none"]["logits"] - inferred).max() > 0.1 * np.abs(inferred).max()
    plain.freeze("backbone")
    np.testing.assert_allclose(train_logits(plain, images), inferred, rtol=1e-4, atol=1e-5)
    assert changed(before, plain) == set()


def test_stochastic_depth_stays_on_when_only_weights_are_fixed(framework):
    network = built(framework, "EfficientNetB0", "plain")
    images = images_of(network)
    network.freeze("backbone-weights")
    assert not np.allclose(train_logits(network, images), train_logits(network, images))
    network.freeze("backbone")
    np.testing.assert_array_equal(train_logits(network, images), train_logits(network, images))


@pytest.mark.parametrize("earlier", FREEZE_POLICIES)
def test_freezing_starts_from_an_entirely_trainable_network(plain, earlier):
    images, start = images_of(plain), plain.tensors()

    def seen(policy):
        plain.freeze(policy)
        before = plain.tensors()
        train_logits(plain, images)
        moves = bool(of_backbone(changed(before, plain), STATISTICS))
        return [id(one) for one in plain.trainable()], moves

    expected = {}
    for policy in FREEZE_POLICIES:
        plain.freeze("none")
        expected[policy] = seen(policy)
    assert {p: moves for p, (_, moves) in expected.items()} == {
        "none": True,
        "paper": True,
        "backbone": False,
        "backbone-weights": True,
    }
    assert len(expected["none"][0]) == sum(n.endswith(WEIGHTS) for n in start)
    for policy in FREEZE_POLICIES:
        plain.freeze(earlier)
        assert seen(policy) == expected[policy]


# ---- a new head, a changed classifier


@pytest.mark.parametrize(("arch", "head"), [PLAIN, COSINE, NORMED])
def test_a_new_head_is_the_one_that_build_draws_from_the_seed(framework, networks, arch, head):
    network = networks(arch, head)
    before = network.tensors()
    network.new_head(7)
    expected = built(framework, arch, head, seed=7).tensors()
    after = network.tensors()
    heads = {name for name in after if name.startswith("head/")}
    assert changed(before, network) == heads
    for name in heads:
        np.testing.assert_array_equal(after[name], expected[name])


@pytest.mark.parametrize(
    ("arch", "head", "length"),
    [(*PLAIN, 1280), (*NORMED, 1280), (*DOUBLE, CLASSES), (*FLAT, 2 * 2 * 512)],
)
def test_the_classifier_is_the_last_dense_layer(networks, arch, head, length):
    network = networks(arch, head)
    kernel, bias = network.classifier()
    assert (kernel.shape, kernel.dtype) == ((length, CLASSES), np.float32)
    assert (bias.shape, bias.dtype) == ((CLASSES,), np.float32)
    if head == "plain":
        images = images_of(network)
        logits = network.features(images) @ kernel + bias
        np.testing.assert_allclose(network.logits(images), logits, rtol=1e-4, atol=1e-5)
    expected = kernel.copy()
    kernel += 1
    np.testing.assert_array_equal(network.classifier()[0], expected)


@pytest.mark.parametrize(("arch", "head"), [PLAIN, NORMED, DOUBLE, FLAT])
def test_scaled_logits_are_scale_times_logits_plus_shift(networks, arch, head):
    network = networks(arch, head)
    images = images_of(network)
    scale, shift = np.array([0.5, 1.0, 2.0, -3.0]), np.array([1.0, 0.0, -2.0, 0.5])
    before, features, tensors = network.logits(images), network.features(images), network.tensors()
    network.scale_logits(scale, shift)
    expected = scale * before + shift
    error = np.abs(network.logits(images) - expected).max(0)
    assert (error <= 1e-5 * np.abs(expected).max(0)).all()
    np.testing.assert_array_equal(network.features(images), features)
    last = list(tensors)[-2:]
    assert changed(tensors, network) == set(last)


def test_a_cosine_head_has_no_classifier_to_change(cosine):
    for ask in (
        cosine.classifier,
        lambda: cosine.scale_logits(np.ones(CLASSES), np.zeros(CLASSES)),
    ):
        with pytest.raises(UserError, match="another method or head"):
            ask()


@pytest.mark.parametrize(
    ("scale", "shift"),
    [
        (np.ones((CLASSES, 1)), np.zeros((CLASSES, 1))),
        (np.ones(1), np.zeros(1)),
        (np.ones(CLASSES), np.zeros(CLASSES - 1)),
        (np.array([1, np.inf, 1, 1]), np.zeros(CLASSES)),
        (np.ones(CLASSES), np.full(CLASSES, np.nan)),
    ],
)
def test_scales_that_do_not_fit_are_refused_and_change_nothing(plain, scale, shift):
    before = plain.tensors()
    with pytest.raises(ValueError, match=r"finite|shape"):
        plain.scale_logits(scale, shift)
    assert changed(before, plain) == set()
