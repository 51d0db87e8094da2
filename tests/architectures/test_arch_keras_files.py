"""Files as Keras writes them, made by hand: what is read; `test_arch_keras_refused` has faults."""

import importlib
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import architectures
from architectures.pixels import EFFICIENTNET_RESCALE
from benchmark.errors import UserError

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

sys.path.insert(0, str(Path(__file__).parent))
keras_made = importlib.import_module("keras_made")
build, write, same = keras_made.build, keras_made.write, keras_made.same
DENSE, POOL, SIZE = keras_made.DENSE, keras_made.POOL, keras_made.SIZE


@pytest.fixture(scope="module")
def network():
    return keras_made.trained()


@pytest.fixture(scope="module")
def layers(network):
    return keras_made.layers_of(network, head=True)


@pytest.fixture(scope="module")
def base(network):
    return keras_made.layers_of(network)


@pytest.mark.parametrize("kind", keras_made.KINDS)
def test_a_whole_network_is_read_in_every_layout(network, layers, kind, tmp_path):
    other = build()
    assert other.load_keras_weights(write(kind, tmp_path / "model", layers))
    assert same(network, other, head=True)


@pytest.mark.parametrize("kind", keras_made.KINDS)
def test_a_backbone_alone_leaves_the_head(network, base, kind, tmp_path):
    other = build()
    before = other.tensors()["head/dense_1/kernel"]
    assert not other.load_keras_weights(write(kind, tmp_path / "base", base, tail=()))
    assert same(network, other, head=False)
    np.testing.assert_array_equal(other.tensors()["head/dense_1/kernel"], before)


@pytest.mark.parametrize("kind", keras_made.KINDS)
def test_weights_to_start_with_take_the_backbone_whatever_the_classes(
    network, layers, kind, tmp_path
):
    path = write(kind, tmp_path / "model", layers)
    other = architectures.build("MobileNet", "torch", 7, image_size=SIZE, weights=path)
    assert same(network, other, head=False)
    assert other.weights == str(path)


def test_the_head_of_mobilenet_has_a_convolution_for_its_first_dense_layer(tmp_path):
    network = keras_made.trained(head="paper")
    layers = keras_made.layers_of(network, head=True)
    for layer in layers:
        if layer[0] == "dense_2":
            layer[1] = "conv"
            layer[2][0] = layer[2][0][None, None]
    other = build(head="paper")
    assert other.load_keras_weights(keras_made.numbered(tmp_path / "m.weights.h5", layers))
    assert same(network, other, head=True)


@pytest.mark.parametrize(
    "tail",
    [
        (POOL, ("Dropout", {"rate": 0.5}), DENSE),
        (("Dropout", {"rate": 0.5}), POOL, DENSE),
        (POOL, ("Dense", {}), ("Softmax", {})),
        (POOL, ("Dense", {}), ("Activation", {"activation": "softmax"})),
    ],
)
def test_dropout_and_where_the_softmax_stands_do_not_matter(network, layers, tail, tmp_path):
    other = build()
    assert other.load_keras_weights(write("keras", tmp_path / "model", layers, tail))
    assert same(network, other, head=True)


def test_augmentation_in_front_does_not_matter(network, layers, tmp_path):
    front = [("RandomFlip", {"mode": "horizontal"}), ("Dropout", {"rate": 0.1})]
    other = build()
    assert other.load_keras_weights(write("keras", tmp_path / "model", layers, front=front))
    assert same(network, other, head=True)


@pytest.mark.parametrize("size", [(64, 64), (None, None)])
def test_a_backbone_is_read_whatever_the_image_size(network, layers, size, tmp_path):
    path = write("keras", tmp_path / "model", layers, size=size)
    other = build()
    assert not other.load_keras_weights(path, head=False)
    assert same(network, other, head=False)


def test_a_head_for_images_of_any_size_is_read(network, layers, tmp_path):
    other = build()
    path = write("keras", tmp_path / "model", layers, size=(None, None))
    assert other.load_keras_weights(path)
    assert same(network, other, head=True)


@pytest.mark.parametrize(
    "tail",
    [
        (("GlobalMaxPooling2D", {}), DENSE),
        (("Lambda", {}), POOL, DENSE),
        (POOL, ("Dense", {"activation": "sigmoid"})),
    ],
)
def test_a_backbone_is_read_whatever_its_head_does(network, layers, tail, tmp_path):
    path = write("keras", tmp_path / "model", layers, tail)
    other = build()
    assert not other.load_keras_weights(path, head=False)
    assert same(network, other, head=False)


def test_what_is_no_numbered_array_is_passed_over(network, layers, tmp_path):
    path = write("weights.h5", tmp_path / "model", layers)
    with h5py.File(path, "a") as file:
        file["layers/conv2d/vars/abc"] = np.zeros(3)
    other = build()
    assert other.load_keras_weights(path)
    assert same(network, other, head=True)


# ---- EfficientNetB0's input layers


@pytest.fixture(scope="module")
def efficientnet():
    return keras_made.trained("EfficientNetB0")


def rescaled(path, layers, scales, operation=False):
    """A whole EfficientNetB0 that scales its input so."""
    front = [("Rescaling", {"scale": scales[0]})]
    for scale in scales[1:]:
        layer = ("Rescaling", {"scale": list(scale)})
        if operation:
            layer = ("TFOpLambda", {"function": "math.multiply", "name": "tf.math.multiply"})
            nodes = [["normalization", 0, 0, {"y": [[[list(scale)]]]}]]
        front.append(layer)
    config = keras_made.described(layers, front=front, arch="EfficientNetB0")
    for layer in config["config"]["layers"]:
        if layer["class_name"] == "TFOpLambda":
            layer["inbound_nodes"] = nodes
    return keras_made.archive(path, layers, config)


@pytest.mark.parametrize("operation", [False, True], ids=["Keras 3", "TensorFlow 2.15"])
def test_efficientnets_second_scaling_is_ours(efficientnet, operation, tmp_path):
    layers, scales = keras_made.layers_of(efficientnet), [1 / 255, EFFICIENTNET_RESCALE]
    path = rescaled(tmp_path / "model.keras", layers, scales, operation)
    other = build(arch="EfficientNetB0")
    other.load_keras_weights(path)
    assert same(efficientnet, other, head=False)


def test_an_efficientnet_that_scales_once_is_the_same_function_here(efficientnet, tmp_path):
    """As TensorFlow before 2.10 builds it, and every Keras without ImageNet weights."""
    layers = keras_made.layers_of(efficientnet)
    layers[0][2][:2] = np.array([0.4, 0.5, 0.6]), np.array([0.05, 0.06, 0.07])
    other = build(arch="EfficientNetB0")
    other.load_keras_weights(rescaled(tmp_path / "model.keras", layers, [1 / 255]))
    pixels = torch.arange(0.0, 256.0, 5)[None, :, None, None].expand(1, 52, 1, 3)
    ours = other.module.pixels(pixels, torch.float32)[0, :, :, 0].T
    expected = (pixels[0, :, 0] / 255 - torch.tensor([0.4, 0.5, 0.6])) / torch.sqrt(
        torch.tensor([0.05, 0.06, 0.07])
    )
    torch.testing.assert_close(ours, expected)


def test_an_efficientnet_of_unknown_input_layers_is_refused(efficientnet, tmp_path):
    layers = keras_made.layers_of(efficientnet)
    other = build(arch="EfficientNetB0")
    other.load_keras_weights(keras_made.legacy(tmp_path / "good.h5", layers))
    layers[0][2][1][...] = 1.0
    with pytest.raises(UserError, match=r"input layer's variance is .* save the whole model"):
        other.load_keras_weights(keras_made.legacy(tmp_path / "bad.h5", layers))


@pytest.mark.parametrize("scales", [[1.0], [1 / 255, (2.0, 2.0, 2.0)], [1 / 255, (1.0,), (1.0,)]])
def test_an_efficientnet_that_scales_otherwise_is_refused(efficientnet, scales, tmp_path):
    path = rescaled(tmp_path / "model.keras", keras_made.layers_of(efficientnet), scales)
    with pytest.raises(UserError, match="goes through scaling by"):
        build(arch="EfficientNetB0").load_keras_weights(path)
