"""The PyTorch networks: shapes, Grad-CAM, freezing, seeds, files."""

import copy
import random

import numpy as np
import pytest

import architectures
from benchmark.errors import UserError

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")

CLASSES = 4


def pixels(network, count=2, seed=0):
    shape = (count, *network.image_size, 3)
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def assert_close(found, expected):
    """Up to float32's rounding: max|a-b| <= 1e-4 max|b|."""
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.fixture(scope="module", params=architectures.names())
def network(request):
    """Each of the eleven at its least size, its batch statistics those of two images."""
    least = architectures.find(request.param).least_size
    built = architectures.build(request.param, "torch", CLASSES, image_size=(least, least + 5))
    built.set_bn_momentum(0.0)
    with torch.no_grad():
        built.forward(torch.from_numpy(pixels(built)), training=True)
    return built


@pytest.fixture(scope="module")
def small():
    return architectures.build("MobileNetV2", "torch", CLASSES, image_size=(65, 70))


def test_every_output_has_its_shape_and_type(network):
    images = pixels(network, 2)
    row = network.architecture
    height, width = network.map_shape
    shapes = {
        "logits": (2, CLASSES),
        "features": (2, row.channels),
        "feature_map": (2, height, width, row.channels),
    }
    assert min(height, width) == 3
    for name, shape in shapes.items():
        output = getattr(network, name)(images)
        assert (output.shape, output.dtype) == (shape, np.float32)
        assert np.isfinite(output).all()


def test_gradcam_is_not_negative_and_depends_on_the_class(network):
    images = pixels(network, 1).repeat(2, 0)
    maps = network.gradcam(images, np.array([0, 1]))
    assert (maps.shape, maps.dtype) == ((2, *network.map_shape), np.float32)
    assert maps.min() >= 0
    assert not np.array_equal(maps[0], maps[1])


def test_the_grad_cam_module_of_the_catalogue_gives_the_map(network):
    name = network.architecture.torch_cam
    if network.architecture.name == "VGG16":
        name = name.removeprefix("features.")
    kept = []
    module = network.module.backbone.get_submodule(name)
    hook = module.register_forward_hook(lambda module, given, output: kept.append(output))
    found = network.feature_map(pixels(network, 1))
    hook.remove()
    np.testing.assert_array_equal(found, kept[0].permute(0, 2, 3, 1).numpy())


def test_weights_are_as_many_as_in_keras_and_each_is_set_by_the_table(network):
    row = network.architecture
    sizes = [int(np.prod(s.shape)) for _, slots in network.base_slots() for s in slots]
    # Keras counts the sample counter of EfficientNetB0's Normalization as well.
    assert sum(sizes) + (row.preprocessing == "none") == row.base_parameters
    state = network.module.backbone.state_dict()
    own = sum(v.numel() for k, v in state.items() if not k.endswith("num_batches_tracked"))
    assert own + 6 * (row.preprocessing == "none") == sum(sizes)


def test_a_saved_network_is_the_same_after_loading(network, tmp_path):
    path = tmp_path / "network.safetensors"
    network.save(path)
    other = architectures.build(
        network.architecture.name, "torch", CLASSES, image_size=network.image_size, seed=1
    )
    images = pixels(network, 1)
    assert not np.allclose(other.logits(images), network.logits(images))
    other.load(path)
    np.testing.assert_array_equal(other.logits(images), network.logits(images))


def test_one_pixel_less_than_the_least_size_leaves_a_smaller_map(network):
    """The real network agrees with the catalogue's least size."""
    least = network.architecture.least_size
    images = torch.zeros((1, least - 1, least, 3))
    with torch.no_grad():
        maps = network.module.maps(images)
    assert tuple(maps.shape[2:]) == (2, 3)


def test_paper_freezing_fixes_layers_but_no_batch_normalisation(network):
    network.freeze("paper")
    trained = {id(tensor) for tensor in network.trainable()}
    norms = [m for m in network.module.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(id(norm.bias) in trained for norm in norms)
    network.forward(torch.from_numpy(pixels(network)), training=True)
    assert all(norm.training for norm in norms)
    rows = network.base_slots()[: network.architecture.settings.fixed_rows]
    fixed = [s.name for row, slots in rows if row.kind != "batchnorm" for s in slots]
    network.freeze("none")
    assert len(fixed) >= 13


def test_a_frozen_backbone_stays_as_it_was(small):
    network = copy.deepcopy(small)
    network.freeze("backbone")
    before = network.tensors()
    optimiser = torch.optim.SGD(network.trainable(), lr=1.0)
    network.forward(torch.from_numpy(pixels(network)), training=True).logits[:, 0].sum().backward()
    optimiser.step()
    changed = {k for k, v in network.tensors().items() if not np.array_equal(v, before[k])}
    assert changed
    assert all(name.startswith("head/") for name in changed)


def test_an_unknown_freezing_policy_is_refused(small):
    with pytest.raises(UserError, match="none, paper, backbone"):
        small.freeze("half")


def test_batches_do_not_change_the_result(small):
    images = pixels(small, 5)
    targets = np.arange(5) % CLASSES
    for output in (small.logits, small.feature_map, small.features):
        assert_close(output(images, batch_size=2), output(images))
    assert_close(small.gradcam(images, targets, batch_size=2), small.gradcam(images, targets))


def test_gradcam_leaves_no_gradient_on_the_weights(small):
    small.gradcam(pixels(small), np.array([0, 1]))
    assert all(p.grad is None for p in small.module.parameters())


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((1, 65, 71, 3), np.uint8), "takes images of 65x70, not 65x71"),
        (np.zeros((1, 65, 70, 3), np.float32), "uint8"),
        (np.zeros((65, 70, 3), np.uint8), "uint8"),
        (np.zeros((0, 65, 70, 3), np.uint8), "N >= 1"),
    ],
)
def test_images_of_another_kind_are_refused(small, images, message):
    with pytest.raises(UserError, match=message):
        small.logits(images)


@pytest.mark.parametrize("targets", [[0], [0, CLASSES], [-1, 0]])
def test_targets_that_do_not_fit_are_refused(small, targets):
    with pytest.raises(ValueError, match="target"):
        small.gradcam(pixels(small), np.array(targets))


def test_one_seed_gives_one_network_and_leaves_global_generators_alone():
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002 - the global generator is what is watched
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1]  # noqa: NPY002
    first, again, other = (
        architectures.build("MobileNetV2", "torch", 3, image_size=65, seed=seed).tensors()
        for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    np.testing.assert_array_equal(np.random.get_state()[1], states[2])  # noqa: NPY002
    kernels = [name for name in first if name.endswith("kernel")]
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not any(np.array_equal(first[name], other[name]) for name in kernels)


@pytest.mark.parametrize(
    ("arch", "layer", "limit", "deviation"),
    [
        # Glorot uniform: limit sqrt(6 / (fan_in + fan_out)), deviation limit / sqrt(3).
        ("ResNet50V2", "conv5_block1_0_conv", (6 / (1024 + 2048)) ** 0.5, None),
        # Truncated at two standard deviations of the underlying normal.
        ("EfficientNetB0", "top_conv", 2 * (2 / 1280) ** 0.5 / 0.8796, (2 / 1280) ** 0.5),
        ("NASNetMobile", "normal_conv_1_12", 2 * (2 / 1056) ** 0.5 / 0.8796, (2 / 1056) ** 0.5),
    ],
)
def test_new_kernels_follow_keras_initialisers(arch, layer, limit, deviation):
    kernel = architectures.build(arch, "torch", 3, image_size=96).tensors()[f"{layer}/kernel"]
    assert np.abs(kernel).max() <= limit * 1.001
    assert np.abs(kernel).max() > 0.98 * limit
    assert kernel.std() == pytest.approx(deviation or limit / 3**0.5, rel=0.01)


def test_new_batch_normalisation_starts_at_one_and_zero(small):
    for name, array in small.tensors().items():
        if name.endswith(("gamma", "moving_variance")):
            assert (array == 1).all()
        if name.endswith(("beta", "moving_mean", "bias")):
            assert (array == 0).all()


def test_momentum_follows_the_convention_of_keras(small):
    network = copy.deepcopy(small)
    norm = network.module.backbone.bn2
    assert norm.momentum == pytest.approx(1 - 0.999)
    network.set_bn_momentum(0.9)
    assert norm.momentum == pytest.approx(0.1)


def test_autocast_leaves_the_head_in_float32(small):
    images = torch.from_numpy(pixels(small))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features, logits = small.forward(images, training=False)
    assert features.dtype == logits.dtype == torch.float32


def test_timm_weights_give_timms_stock_network(tmp_path, monkeypatch):
    torch.manual_seed(0)
    stock = timm.create_model("mobilenetv2_100").eval()
    path = tmp_path / "stock.pth"
    torch.save(stock.state_dict(), path)
    monkeypatch.setattr("architectures.published.timm_weights", lambda *given: path)
    network = architectures.build("MobileNetV2", "torch", 3, image_size=65, weights="timm")
    source = architectures.weights_source("MobileNetV2", "torch", "timm")
    assert source == architectures.WeightsSource("mobilenetv2_100.ra_in1k", path)
    images = pixels(network)
    mean = torch.tensor(stock.pretrained_cfg["mean"])
    deviation = torch.tensor(stock.pretrained_cfg["std"])
    prepared = ((torch.from_numpy(images) / 255 - mean) / deviation).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = stock.forward_features(prepared).permute(0, 2, 3, 1).numpy()
    assert_close(network.feature_map(images), expected)
    network.save(tmp_path / "tuned.safetensors")
    twin = architectures.build("MobileNetV2", "torch", 3, image_size=65)
    with pytest.raises(UserError, match="topology timm, expected keras"):
        twin.load(tmp_path / "tuned.safetensors")


def test_timms_weights_are_refused_for_keras():
    with pytest.raises(UserError, match="--framework torch, or 'imagenet'"):
        architectures.weights_source("MobileNetV2", "keras", "timm")


def test_timm_has_no_nasnet_mobile():
    with pytest.raises(UserError, match="timm has no NASNetMobile"):
        architectures.build("NASNetMobile", "torch", 3, weights="timm")


@pytest.mark.parametrize("arch", ["EfficientNetB0", "MobileNet", "ResNet50", "VGG16"])
def test_the_papers_heads_build_and_train(arch):
    network = architectures.build(arch, "torch", 6, image_size=96, head="paper")
    images = torch.from_numpy(pixels(network))
    loss = network.forward(images, training=True).logits.square().sum()
    loss.backward()
    heads = [p for n, p in network.module.named_parameters() if n.startswith("head")]
    assert all(p.grad is not None for p in heads)
    assert network.logits(pixels(network)).shape == (2, 6)
