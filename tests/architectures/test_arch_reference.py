"""PyTorch against stored features of Keras: parity where TensorFlow is not installed.

This is also what sees a change inside a timm module's `forward`; its structure is watched by
test_arch_topology.py.
"""

import copy
import importlib
import importlib.util
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import architectures

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))
seeded = importlib.import_module("seeded")
torch_side = importlib.import_module("torch_side")
mends = importlib.import_module("architectures.torch_mends")
torch_nets = importlib.import_module("architectures.torch_nets")

REFERENCE = dict(np.load(HERE / "keras_reference.npz"))
COMMAND = "python tests/architectures/make_reference.py"
# Of max|a-b| / max|b|; float32's rounding is less than a tenth of it in all eleven.
TOLERANCE = 1e-4


def build(arch):
    """The torch network with the seeded weights; they and the images must be the reference's."""
    network = architectures.build(arch, "torch", 3, image_size=seeded.SIZES["144x160"])
    drawn = seeded.weights(network)
    found = {f"{arch}/weights": seeded.digest(drawn.values())}
    for label, size in seeded.SIZES.items():
        found[f"images/{label}"] = seeded.digest([seeded.images(size)])
    other = [name for name, digest in found.items() if digest != REFERENCE[name]]
    assert not other, (
        f"{other} are not those of keras_reference.npz (made with {REFERENCE['made_with']}): numpy"
        f" {np.__version__} draws others, or a tensor came or went. This says nothing about parity;"
        f" if it is meant, make the reference anew under TensorFlow: {COMMAND}"
    )
    network.assign(drawn)
    return network


def errors(network):
    """max|a-b| / max|b| of the pooled features, per size."""
    found = {}
    for label, size in seeded.SIZES.items():
        expected = REFERENCE[f"{network.architecture.name}/{label}"]
        with torch.no_grad():
            images = torch.from_numpy(seeded.images(size))
            features = network.forward(images, training=False).features.numpy()
        found[label] = torch_side.error(features, expected)
    return found


@pytest.fixture(scope="module", params=architectures.names())
def network(request):
    return build(request.param)


def test_the_features_are_those_that_keras_stored(network):
    found = errors(network)
    assert max(found.values()) <= TOLERANCE, (
        f"under timm {timm.__version__} and torch {torch.__version__} {network.architecture.name}"
        f" is not the function that Keras computed ({REFERENCE['made_with']}): {found}. Where"
        f" TensorFlow is, pytest -m slow {Path(__file__).name} tells whether the reference still"
        f" holds; only if it does not, make it anew: {COMMAND}"
    )


def test_training_differs_from_inference_in_batch_statistics_and_dropout_alone(network):
    """A `forward` that does more in training is not seen by the stored features."""
    network = copy.deepcopy(network)
    network.module.double()  # in float32 InceptionV3 comes to 1.4e-4 by rounding alone
    torch_side.without_dropout(network)
    samples = {}
    for norm in mends.batchnorms(network.module.backbone):
        norm.register_forward_pre_hook(
            lambda norm, given: samples.update({norm: given[0][:, 0].numel()})
        )
    network.set_bn_momentum(0.0)
    images = torch.from_numpy(seeded.images(seeded.SIZES["144x160"]))
    with torch.no_grad():
        trained = network.forward(images, training=True).features
        for norm, count in samples.items():
            # torch divides a batch's variance by n to normalise, by n - 1 to keep it.
            norm.running_var *= (count - 1) / count
        inferred = network.forward(images, training=False).features
    assert torch_side.error(trained.numpy(), inferred.numpy()) <= 1e-10


@pytest.mark.parametrize("arch", architectures.names())
def test_the_reference_tells_images_and_channels_apart(arch):
    """Features that are dead or alike would agree with those of a faulty network."""
    for label in seeded.SIZES:
        features = REFERENCE[f"{arch}/{label}"]
        assert features.shape == (2, architectures.find(arch).channels)
        assert np.isfinite(features).all()
        assert (features == 0).mean() < 0.35
        assert np.abs(features[0] - features[1]).max() > 0.05 * np.abs(features).max()
        assert features.std(1).min() > 0.5 * np.abs(features).mean()


def resnet50_biases(net):
    """The mend of ResNet50 but for its strides."""
    mends._add_bias(*(m for m in net.modules() if isinstance(m, torch.nn.Conv2d)))


def resnet50v2_biases(net):
    """The mend of ResNet50V2 but for its strides."""
    blocks = [block for stage in net.stages for block in stage.blocks]
    shortcuts = [block.downsample.conv for block in blocks if block.downsample is not None]
    mends._add_bias(net.stem.conv, *(block.conv3 for block in blocks), *shortcuts)


def unpadded(arch):
    """timm's own padding: the constructor arguments of `arch` left out."""
    return {**torch_nets._ARGUMENTS, arch: {}}


# Mends that can be left out without changing the tensors: what, of which network, by what.
MENDED = {
    "pools": ("Xception", "torch_mends.SamePool", lambda: torch.nn.MaxPool2d(3, 2, 1)),
    "averages": ("InceptionV3", "torch_mends.EdgeAverage", lambda branch: branch),
    "even": ("MobileNet", "torch_mends.EndPaddedConv", partial(torch.nn.Conv2d, padding=1)),
    "same": ("MobileNet", "torch_nets.MENDS", {}),
    "arguments": ("MobileNet", "torch_nets._ARGUMENTS", unpadded("MobileNet")),
    "arguments-v2": ("MobileNetV2", "torch_nets._ARGUMENTS", unpadded("MobileNetV2")),
    "stem": ("ResNet50V2", "torch_nets._ARGUMENTS", unpadded("ResNet50V2")),
    "strides": ("ResNet50", "torch_nets.MENDS", {"ResNet50": resnet50_biases}),
    "strides-v2": ("ResNet50V2", "torch_nets.MENDS", {"ResNet50V2": resnet50v2_biases}),
}


@pytest.mark.parametrize(("arch", "mend", "other"), MENDED.values(), ids=list(MENDED))
def test_without_its_mend_a_network_is_another_function(arch, mend, other, monkeypatch):
    monkeypatch.setattr(f"architectures.{mend}", other)
    assert max(errors(build(arch)).values()) > 10 * TOLERANCE


# DenseNet121 and the ResNets have 1.001e-5, which no test could tell from timm's 1e-5.
TOLD_APART = [row.name for row in architectures.ARCHITECTURES if row.bn_epsilon == 1e-3]


@pytest.mark.parametrize("arch", TOLD_APART)
def test_with_timms_epsilon_a_network_is_another_function(arch):
    network = build(arch)
    for norm in mends.batchnorms(network.module.backbone):
        norm.eps = 1e-5
    assert max(errors(network).values()) > 10 * TOLERANCE


@pytest.mark.slow
def test_the_reference_is_what_the_installed_keras_computes(tmp_path):
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("TensorFlow is not installed")
    path = tmp_path / "reference.npz"
    # One size: tracing all eleven networks takes minutes.
    size = min(seeded.SIZES, key=lambda label: np.prod(seeded.SIZES[label]))
    done = subprocess.run(
        [sys.executable, str(HERE / "make_reference.py"), str(path), size],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    now = dict(np.load(path))
    others = {f"/{label}" for label in seeded.SIZES if label != size}
    assert now.keys() == {name for name in REFERENCE if not name.endswith(tuple(others))}
    for name in now:
        stored = REFERENCE[name]
        if stored.dtype == np.float32:
            assert torch_side.error(now[name], stored) <= 1e-6, name
        elif name != "made_with":
            assert now[name] == stored, name
