"""Files that Keras wrote: what is read of them, and what is refused with which reason."""

import copy
import functools
import importlib
import sys
from pathlib import Path
from zipfile import ZipFile

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

CLASSES = 3
SIZE = 95
POOL = ("GlobalAveragePooling2D", {"name": "pool"})
DENSE = ("Dense", {"name": "dense_1", "activation": "softmax"})


@functools.cache
def _built(arch, classes, head):
    return architectures.build(arch, "torch", classes, image_size=SIZE, seed=9, head=head)


def build(arch="MobileNet", classes=CLASSES, head="plain"):
    """A network to read into; copied, for building takes longer."""
    return copy.deepcopy(_built(arch, classes, head))


def trained(arch="MobileNet", head="plain"):
    """A network to write; its biases are not zero."""
    network = architectures.build(arch, "torch", CLASSES, image_size=SIZE, seed=4, head=head)
    tensors = network.tensors()
    for name, array in tensors.items():
        if name.endswith("/bias"):
            array[...] = np.arange(array.size)
    network.assign(tensors)
    return network


@pytest.fixture(scope="module")
def network():
    return trained()


@pytest.fixture(scope="module")
def layers(network):
    return keras_made.layers_of(network, head=True)


@pytest.fixture(scope="module")
def base(network):
    return keras_made.layers_of(network)


def write(kind, path, layers, tail=(POOL, DENSE)):
    """The layers in one of the layouts that Keras has had."""
    backbone = [layer for layer in layers if not layer[0].startswith("dense")]
    config = keras_made.described(backbone, tail)
    if kind == "keras":
        return keras_made.archive(path.with_suffix(".keras"), layers, config)
    if kind == "weights.h5":
        return keras_made.numbered(path.with_suffix(".weights.h5"), layers)
    if kind == "weights.h5 of TensorFlow 2.13":
        root = "_layer_checkpoint_dependencies"
        return keras_made.numbered(path.with_suffix(".weights.h5"), layers, root)
    options = {
        "h5": {},
        "h5 in chunks": {"chunk": 20},
        "whole h5": {"group": "model_weights", "config": config},
    }[kind]
    return keras_made.legacy(path.with_suffix(".h5"), layers, **options)


KINDS = ["h5", "h5 in chunks", "whole h5", "weights.h5", "weights.h5 of TensorFlow 2.13", "keras"]


def same(one, other, head):
    ours, theirs = one.tensors(), other.tensors()
    names = [name for name in ours if head or not name.startswith("head/")]
    return all(np.array_equal(ours[name], theirs[name]) for name in names)


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_network_is_read_in_every_layout(network, layers, kind, tmp_path):
    other = build()
    assert other.load_keras_weights(write(kind, tmp_path / "model", layers))
    assert same(network, other, head=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_backbone_alone_leaves_the_head(network, base, kind, tmp_path):
    other = build()
    before = other.tensors()["head/dense_1/kernel"]
    assert not other.load_keras_weights(write(kind, tmp_path / "base", base, tail=()))
    assert same(network, other, head=False)
    np.testing.assert_array_equal(other.tensors()["head/dense_1/kernel"], before)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_to_start_with_take_the_backbone_whatever_the_classes(
    network, layers, kind, tmp_path
):
    path = write(kind, tmp_path / "model", layers)
    other = architectures.build("MobileNet", "torch", 7, image_size=SIZE, weights=path)
    assert same(network, other, head=False)
    assert other.weights == str(path)


@pytest.mark.parametrize("kind", KINDS)
def test_another_number_of_classes_is_refused_and_nothing_is_set(layers, kind, tmp_path):
    other = build(classes=8)
    before = other.tensors()
    with pytest.raises(UserError, match=r"for 3 classes, this network for 8.*head=False"):
        other.load_keras_weights(write(kind, tmp_path / "model", layers))
    assert all(np.array_equal(before[name], v) for name, v in other.tensors().items())


@pytest.mark.parametrize("kind", KINDS)
def test_another_head_is_refused(layers, kind, tmp_path):
    other = build(head="paper")
    with pytest.raises(UserError, match="its head"):
        other.load_keras_weights(write(kind, tmp_path / "model", layers))
    assert not other.load_keras_weights(tmp_path / f"model.{_suffix(kind)}", head=False)


def _suffix(kind):
    return {"keras": "keras", "weights": "weights.h5"}.get(kind.partition(".")[0], "h5")


def test_the_head_of_mobilenet_has_a_convolution_for_its_first_dense_layer(tmp_path):
    network = trained(head="paper")
    layers = keras_made.layers_of(network, head=True)
    for layer in layers:
        if layer[0] == "dense_2":
            layer[1] = "conv"
            layer[2][0] = layer[2][0][None, None]
    other = build(head="paper")
    assert other.load_keras_weights(keras_made.numbered(tmp_path / "m.weights.h5", layers))
    assert same(network, other, head=True)


def shorter(layers):
    layers.pop()


def swapped(layers):
    layers[0], layers[2] = layers[2], layers[0]


def ungained(layers):
    layers[1][2].pop(0)
    layers[1][3].pop(0)


def renamed(layers):
    layers[3][0], layers[5][0] = layers[5][0], layers[3][0]


def misread(layers):
    layers[1][3][:2] = "beta", "gamma"


def deeper(layers):
    kernel = np.zeros((3, 3, 1024, 1024))
    layers.append(["conv_pw_14", "conv", [kernel], ["kernel"]])


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (shorter, "h5", "holds 53 layers that MobileNet has, expected 54"),
        (shorter, "weights.h5", "holds 53 layers that MobileNet has, expected 54"),
        (swapped, "h5", r"layer conv1 \(in the file conv_dw_1\) holds arrays of"),
        (ungained, "h5", "layer conv1_bn .* holds arrays of"),
        (ungained, "keras", "layer conv1_bn .* holds arrays of"),
        (renamed, "h5", "layer conv_pw_1_bn stands where keras.applications has conv_dw_1_bn"),
        (renamed, "keras", "layer conv_pw_1_bn stands where keras.applications has conv_dw_1_bn"),
        (misread, "h5", "conv1_bn has beta where MobileNet has gamma"),
        (deeper, "h5", "more convolutions than MobileNet"),
        (deeper, "weights.h5", "more convolutions than MobileNet"),
    ],
)
def test_the_file_of_another_network_is_refused(network, tmp_path, change, kind, message):
    layers = keras_made.layers_of(network)
    change(layers)
    path = write(kind, tmp_path / "other", layers, tail=())
    other = build()
    before = other.tensors()
    for head in (True, False):
        with pytest.raises(UserError, match=message):
            other.load_keras_weights(path, head=head)
    assert all(np.array_equal(before[name], v) for name, v in other.tensors().items())


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        ((("GlobalMaxPooling2D", {}), DENSE), "a GlobalMaxPooling2D, which none of the eleven"),
        ((POOL, ("LayerNormalization", {}), DENSE), "a LayerNormalization"),
        ((POOL, ("Dense", {"activation": "sigmoid"})), r"pool, dense \(sigmoid\)"),
        ((POOL, ("Dense", {"activation": "relu"}), DENSE), r"pool, dense \(relu\), dense"),
        ((POOL, ("Dense", {}), ("Activation", {"activation": "tanh"})), r"dense \(tanh\)"),
    ],
)
def test_a_head_of_other_parts_is_another_function(layers, tail, message, tmp_path):
    with pytest.raises(UserError, match=message):
        build().load_keras_weights(write("keras", tmp_path / "model", layers, tail))


@pytest.mark.parametrize(
    "tail",
    [
        (POOL, ("Dropout", {"rate": 0.5}), DENSE),
        (("Activation", {"activation": "relu"}), POOL, ("Dense", {}), ("Softmax", {})),
    ],
)
def test_dropout_and_where_the_softmax_stands_do_not_matter(network, layers, tail, tmp_path):
    other = build()
    assert other.load_keras_weights(write("keras", tmp_path / "model", layers, tail))
    assert same(network, other, head=True)


@pytest.mark.parametrize(
    ("first", "message"),
    [
        (("Rescaling", {"scale": 1 / 127.5}), "scales its input by"),
        (("Functional", {"name": "mobilenet"}), r"model inside a model \(mobilenet\).*get_layer"),
    ],
)
def test_a_model_with_layers_in_front_is_another_function(layers, base, first, message, tmp_path):
    config = keras_made.described(base, (POOL, DENSE))
    config["config"]["layers"].insert(0, {"class_name": first[0], "config": first[1]})
    path = keras_made.archive(tmp_path / "model.keras", layers, config)
    for head in (True, False):
        with pytest.raises(UserError, match=message):
            build().load_keras_weights(path, head=head)


def test_augmentation_in_front_does_not_matter(network, layers, base, tmp_path):
    config = keras_made.described(base, (POOL, DENSE))
    flip = {"class_name": "RandomFlip", "config": {"mode": "horizontal"}}
    config["config"]["layers"].insert(0, flip)
    other = build()
    assert other.load_keras_weights(keras_made.archive(tmp_path / "model.keras", layers, config))
    assert same(network, other, head=True)


def test_a_model_inside_a_model_is_named(tmp_path):
    with h5py.File(tmp_path / "outer.weights.h5", "w") as file:
        file["layers/functional/layers/conv2d/vars/0"] = np.zeros((3, 3, 3, 32))
    with pytest.raises(UserError, match=r"model inside a model \(functional\).*get_layer"):
        build().load_keras_weights(tmp_path / "outer.weights.h5")


# ---- EfficientNetB0's input layers


@pytest.fixture(scope="module")
def efficientnet():
    return trained("EfficientNetB0")


def rescaled(network, scales, operation=False):
    """Layers and configuration of a whole EfficientNetB0 that scales its input so."""
    layers = keras_made.layers_of(network)
    config = keras_made.described(layers)
    described = config["config"]["layers"]
    described.insert(0, {"class_name": "Rescaling", "config": {"scale": scales[0]}})
    for scale in scales[1:]:
        layer = {"class_name": "Rescaling", "config": {"scale": list(scale)}}
        if operation:
            layer = {
                "class_name": "TFOpLambda",
                "config": {"function": "math.multiply", "name": "tf.math.multiply"},
                "inbound_nodes": [["normalization", 0, 0, {"y": [[[list(scale)]]]}]],
            }
        described.insert(2, layer)
    return layers, config


@pytest.mark.parametrize("operation", [False, True], ids=["Keras 3", "TensorFlow 2.15"])
def test_efficientnets_second_scaling_is_ours(efficientnet, operation, tmp_path):
    made = rescaled(efficientnet, [1 / 255, EFFICIENTNET_RESCALE], operation)
    other = build(arch="EfficientNetB0")
    other.load_keras_weights(keras_made.archive(tmp_path / "model.keras", *made))
    assert same(efficientnet, other, head=False)


def test_an_efficientnet_that_scales_once_is_the_same_function_here(efficientnet, tmp_path):
    """As TensorFlow before 2.10 builds it, and every Keras without ImageNet weights."""
    layers, config = rescaled(efficientnet, [1 / 255])
    layers[0][2][:2] = np.array([0.4, 0.5, 0.6]), np.array([0.05, 0.06, 0.07])
    other = build(arch="EfficientNetB0")
    other.load_keras_weights(keras_made.archive(tmp_path / "model.keras", layers, config))
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


def test_an_efficientnet_that_scales_otherwise_is_refused(efficientnet, tmp_path):
    for number, scales in enumerate([[1.0], [1 / 255, (2.0, 2.0, 2.0)], [1 / 255] * 3]):
        scales = [scale if i == 0 else np.ravel(scale) for i, scale in enumerate(scales)]
        path = tmp_path / f"{number}.keras"
        keras_made.archive(path, *rescaled(efficientnet, scales))
        with pytest.raises(UserError, match="scales its input by"):
            build(arch="EfficientNetB0").load_keras_weights(path)


# ---- files that are not whole, or not what they are called


@pytest.mark.parametrize("kind", ["h5", "weights.h5", "keras"])
def test_a_truncated_file_is_refused(network, layers, kind, tmp_path):
    path = write(kind, tmp_path / "model", layers)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=f"{path.name} is (truncated|not a whole)"):
        build().load_keras_weights(path)


def test_a_damaged_archive_is_refused(layers, tmp_path):
    path = write("keras", tmp_path / "model", layers)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    path.write_bytes(content)
    with pytest.raises(UserError, match="truncated or damaged"):
        build().load_keras_weights(path)


@pytest.mark.parametrize("text", ["{", "[]", '{"config": {}}'])
def test_a_model_that_does_not_describe_itself_is_refused(layers, text, tmp_path):
    path = write("weights.h5", tmp_path / "model", layers)
    with ZipFile(tmp_path / "model.keras", "w") as file:
        file.writestr("config.json", text)
        file.write(path, "model.weights.h5")
    with pytest.raises(UserError, match="no description of its layers"):
        build().load_keras_weights(tmp_path / "model.keras")


def test_an_archive_without_weights_is_refused(layers, tmp_path):
    path = tmp_path / "model.keras"
    with ZipFile(path, "w") as file:
        file.writestr("config.json", "{}")
    with pytest.raises(UserError, match="truncated or damaged"):
        build().load_keras_weights(path)


def test_a_pickle_is_not_read(network, tmp_path):
    torch.save(network.module.state_dict(), tmp_path / "network.pt")
    for name in ("network.pt", "network.keras"):
        (tmp_path / name).write_bytes((tmp_path / "network.pt").read_bytes())
        with pytest.raises(UserError, match="Python pickle"):
            build().load_keras_weights(tmp_path / name)
        with pytest.raises(UserError, match="Python pickle"):
            architectures.build("MobileNet", "torch", CLASSES, weights=tmp_path / name)


def test_a_saved_model_folder_is_named(tmp_path):
    (tmp_path / "saved_model").mkdir()
    with pytest.raises(UserError, match="is a folder: save a TensorFlow SavedModel again"):
        build().load_keras_weights(tmp_path / "saved_model")


def test_hdf5_without_keras_layers_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.zeros(3)
    with pytest.raises(UserError, match="no Keras weights"):
        build().load_keras_weights(tmp_path / "other.h5")


@pytest.mark.parametrize("depth", ["array", "group"])
@pytest.mark.parametrize("kind", ["h5", "weights.h5"])
def test_a_link_to_another_file_is_not_followed(layers, kind, depth, tmp_path):
    elsewhere = write(kind, tmp_path / "elsewhere", layers)
    path = write(kind, tmp_path / "model", layers)
    place = {"h5": "conv1/conv1/kernel:0", "weights.h5": "layers/conv2d/vars/0"}[kind]
    place = place if depth == "array" else place.partition("/")[0]
    with h5py.File(path, "a") as file:
        del file[place]
        file[place] = h5py.ExternalLink(elsewhere, place)
    with pytest.raises(UserError, match="link to another file"):
        build().load_keras_weights(path)


def test_arrays_that_lie_in_another_file_are_not_read(layers, tmp_path):
    path = write("weights.h5", tmp_path / "model", layers)
    with h5py.File(path, "a") as file:
        shape = file["layers/conv2d/vars/0"].shape
        del file["layers/conv2d/vars/0"]
        outside = [(tmp_path / "outside.raw", 0, int(np.prod(shape)) * 4)]
        file["layers/conv2d/vars"].create_dataset("0", shape, "f4", external=outside)
    with pytest.raises(UserError, match="lies in another file"):
        build().load_keras_weights(path)


def test_what_is_no_number_is_refused(layers, tmp_path):
    path = write("weights.h5", tmp_path / "model", layers)
    with h5py.File(path, "a") as file:
        del file["layers/conv2d/vars/0"]
        file["layers/conv2d/vars/0"] = np.array([b"text"])
    with pytest.raises(UserError, match="expected numbers"):
        build().load_keras_weights(path)


def test_our_own_file_is_sent_to_load(network, tmp_path):
    network.save(tmp_path / "network.safetensors")
    with pytest.raises(UserError, match=r"Network\.load"):
        build().load_keras_weights(tmp_path / "network.safetensors")
