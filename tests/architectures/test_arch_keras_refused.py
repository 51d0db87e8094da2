"""Files as Keras writes them, made by hand: what is refused, with which reason."""

import importlib
import sys
import zipfile
from pathlib import Path
from zipfile import ZipFile

import h5py
import numpy as np
import pytest

import architectures
from architectures import keras_files
from benchmark.errors import UserError

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

sys.path.insert(0, str(Path(__file__).parent))
keras_made = importlib.import_module("keras_made")
build, write = keras_made.build, keras_made.write
CLASSES, DENSE, POOL = keras_made.CLASSES, keras_made.DENSE, keras_made.POOL


@pytest.fixture(scope="module")
def layers():
    return keras_made.layers_of(keras_made.trained(), head=True)


def refuse(path, message, heads=(True, False), **built):
    """Hold that the file is refused and sets nothing, read with its head and without."""
    network = build(**built)
    before = network.tensors()
    for head in heads:
        with pytest.raises(UserError, match=message):
            network.load_keras_weights(path, head=head)
    assert all(np.array_equal(before[name], v) for name, v in network.tensors().items())


# ---- other networks


@pytest.mark.parametrize("kind", keras_made.KINDS)
def test_another_number_of_classes_is_refused(layers, kind, tmp_path):
    path = write(kind, tmp_path / "model", layers)
    refuse(path, r"for 3 classes, this network for 8.*head=False", heads=[True], classes=8)


@pytest.mark.parametrize("kind", keras_made.KINDS)
def test_another_head_is_refused(layers, kind, tmp_path):
    path = write(kind, tmp_path / "model", layers)
    refuse(path, "its head", heads=[True], head="paper")
    assert not build(head="paper").load_keras_weights(path, head=False)


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


def normalised(layers):
    arrays = [np.zeros(3), np.ones(3), np.array(0)]
    layers.insert(0, ["normalization", "normalization", arrays, ["mean", "variance", "count"]])


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
        (normalised, "h5", r"layer conv1 \(in the file normalization\) holds arrays of"),
        (normalised, "weights.h5", "has a Normalization, which keras.applications' MobileNet"),
    ],
)
def test_the_file_of_another_network_is_refused(tmp_path, change, kind, message):
    layers = keras_made.layers_of(keras_made.trained())
    change(layers)
    refuse(write(kind, tmp_path / "other", layers, tail=()), message)


@pytest.mark.parametrize(
    ("front", "message"),
    [
        (("Rescaling", {"scale": 1 / 127.5}), r"goes through scaling by \[0.0078"),
        (("Functional", {"name": "mobilenet"}), r"model inside a model \(mobilenet\).*get_layer"),
        (("Lambda", {}), "has 1 layers CustomScaleLayer before its head, .* MobileNet 0"),
        (("Multiply", {}), "has 1 layers Multiply before its head, .* MobileNet 0"),
        # Given its mean as an argument it has no weights.
        (("Normalization", {"mean": [0.5] * 3}), "goes through Normalization"),
    ],
)
def test_a_model_with_layers_in_front_is_another_function(layers, front, message, tmp_path):
    refuse(write("keras", tmp_path / "model", layers, front=[front]), message)


def test_a_model_that_lacks_an_activation_is_another_function(layers, tmp_path):
    config = keras_made.described(layers[:-1], (POOL, DENSE))
    kind, settings = keras_made.ACTIVATION["MobileNet"]
    config["config"]["layers"].remove({"class_name": kind, "config": settings})
    path = keras_made.archive(tmp_path / "model.keras", layers, config)
    refuse(path, "has 26 layers Activation before its head, .* MobileNet 27")


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("BatchNormalization", {"epsilon": 1e-5}, r"conv1_bn has epsilon 1e-05, here 0\.001"),
        ("BatchNormalization", {"epsilon": None}, "conv1_bn has epsilon None"),
        ("ReLU", {"max_value": None}, "layer relu has activation relu"),
        ("ReLU", {"max_value": 1.0}, "layer relu has activation relu up to 1"),
        ("Conv2D", {"activation": "relu"}, "layer conv1 has activation relu"),
        ("Conv2D", {"activation": {"config": "elu"}}, "layer conv1 has activation .*elu"),
    ],
)
def test_a_layer_of_other_settings_is_another_function(layers, kind, settings, message, tmp_path):
    config = keras_made.described(layers[:-1], (POOL, DENSE))
    first = next(x for x in config["config"]["layers"] if x["class_name"] == kind)
    first["config"] = {**first["config"], **settings}
    refuse(keras_made.archive(tmp_path / "model.keras", layers, config), message)


# ---- other heads


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        ((("GlobalMaxPooling2D", {}), DENSE), "in the head is a GlobalMaxPooling2D"),
        ((("MaxPooling2D", {}), POOL, DENSE), "in the head is a MaxPooling2D"),
        ((("Reshape", {}), POOL, DENSE), "in the head is a Reshape"),
        ((("Dropout", {}), ("Activation", {}), POOL, DENSE), "in the head is a Activation"),
        ((POOL, ("LayerNormalization", {}), DENSE), "in the head is a LayerNormalization"),
        ((POOL, ("MaxPooling2D", {}), DENSE), "in the head is a MaxPooling2D"),
        ((POOL, ("Lambda", {}), DENSE), "in the head is a Lambda"),
        ((POOL, ("Rescaling", {"scale": 2.0}), DENSE), "in the head is a Rescaling"),
        ((POOL, DENSE, ("Functional", {"name": "x"})), r"model inside a model \(x\)"),
        ((POOL, ("Dense", {"activation": "sigmoid"})), r"pool, dense \(sigmoid\)"),
        ((POOL, ("Dense", {"activation": "relu"}), DENSE), r"pool, dense \(relu\), dense"),
        ((POOL, ("ReLU", {}), DENSE), r"pool \(relu\), dense \(softmax\)"),
        ((POOL, ("Dense", {}), ("Activation", {"activation": "tanh"})), r"dense \(tanh\)"),
        ((), r"its head is ; this network's is pool, dense"),
    ],
)
def test_a_head_of_other_parts_is_another_function(layers, tail, message, tmp_path):
    refuse(write("keras", tmp_path / "model", layers, tail), message, heads=[True])


def test_another_epsilon_in_the_head_is_another_function(tmp_path):
    paper = {"arch": "EfficientNetB0", "head": "paper"}
    network = keras_made.trained(**paper)
    layers = keras_made.layers_of(network, head=True)
    for epsilon in (1e-5, 1e-3):
        norm = ("BatchNormalization", {"name": "norm", "epsilon": epsilon})
        front = [("Rescaling", {"scale": 1 / 255})]
        path = tmp_path / f"{epsilon}.keras"
        config = keras_made.described(
            [layer for layer in layers if layer[0] not in ("batchnorm_1", "dense_3")],
            (POOL, norm, DENSE),
            front,
            arch="EfficientNetB0",
        )
        keras_made.archive(path, layers, config)
    refuse(tmp_path / "1e-05.keras", "layer norm has epsilon", [True], **paper)
    assert build(**paper).load_keras_weights(tmp_path / "0.001.keras")


def test_the_head_of_another_image_size_is_refused(layers, tmp_path):
    path = write("keras", tmp_path / "model", layers, size=(64, 96))
    message = r"images of 64x96, this network of 95x95.*--image-size 64x96.*head=False"
    refuse(path, message, heads=[True])


def test_a_network_of_timms_weights_reads_no_keras_file(layers, tmp_path):
    network = build()
    network.weights = "timm"
    for head in (True, False):
        with pytest.raises(UserError, match="MobileNet is timm's, another function"):
            network.load_keras_weights(write("h5", tmp_path / "model", layers), head=head)


# ---- models inside models


def test_a_model_inside_a_model_is_named(tmp_path):
    with h5py.File(tmp_path / "outer.weights.h5", "w") as file:
        file["layers/functional/layers/conv2d/vars/0"] = np.zeros((3, 3, 3, 32))
    refuse(tmp_path / "outer.weights.h5", r"model inside a model \(functional\).*get_layer")


def test_a_model_inside_a_model_is_named_in_a_legacy_file(layers, tmp_path):
    *base, (_, _, arrays, roles) = layers
    names = [f"{name}/{role}" for name, _, _, inner in base for role in inner]
    values = [array for _, _, inner, _ in base for array in inner]
    outer = [["mobilenet", None, values, names], ["dense", "dense", arrays, roles]]
    path = keras_made.legacy(tmp_path / "outer.h5", outer)
    refuse(path, r"model inside a model \(mobilenet\).*get_layer")


# ---- files that are not whole, or not what they are called


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize("kind", ["h5", "weights.h5", "keras"])
def test_values_that_are_not_finite_are_refused(kind, value, tmp_path):
    layers = keras_made.layers_of(keras_made.trained())
    # The last: all others have been taken by then.
    layers[-1][2][-1] = layers[-1][2][-1].astype(np.float64)
    layers[-1][2][-1][7] = value
    path = write(kind, tmp_path / "diverged", layers, tail=())
    refuse(path, r"conv_pw_13_bn/moving_variance holds values that are not finite")


@pytest.mark.parametrize("kind", ["h5", "weights.h5", "keras"])
def test_a_truncated_file_is_refused(layers, kind, tmp_path):
    path = write(kind, tmp_path / "model", layers)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refuse(path, f"{path.name} is (truncated|not a whole)")


def test_a_damaged_name_is_refused(layers, tmp_path):
    path = write("h5", tmp_path / "model", layers)
    with h5py.File(path, "a") as file:
        file.attrs["layer_names"] = [b"\xff"]
    refuse(path, "truncated or damaged")


def test_a_damaged_archive_is_refused(layers, tmp_path):
    path = write("keras", tmp_path / "model", layers)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    path.write_bytes(content)
    refuse(path, "truncated or damaged")


def test_an_archive_whose_directory_is_damaged_is_refused(layers, tmp_path):
    path = write("keras", tmp_path / "model", layers)
    content = path.read_bytes()
    # The entries' signature; the record of their place stays, so the file is a zip still.
    path.write_bytes(content.replace(zipfile.stringCentralDir, b"PK\0\0"))
    assert zipfile.is_zipfile(path)
    refuse(path, "truncated or damaged")


def test_an_archive_that_unpacks_to_too_much_is_refused(layers, tmp_path, monkeypatch):
    path = write("keras", tmp_path / "model", layers)
    assert build().load_keras_weights(path)
    monkeypatch.setattr(keras_files, "_LARGEST", 1 << 20)
    refuse(path, "holds more than .* GiB")


@pytest.mark.parametrize("text", ["{", "[]", '{"config": {}}'])
def test_a_model_that_does_not_describe_itself_is_refused(layers, text, tmp_path):
    path = write("weights.h5", tmp_path / "model", layers)
    with ZipFile(tmp_path / "model.keras", "w") as file:
        file.writestr("config.json", text)
        file.write(path, "model.weights.h5")
    refuse(tmp_path / "model.keras", "no description of its layers")


def test_an_archive_without_weights_is_refused(tmp_path):
    path = tmp_path / "model.keras"
    with ZipFile(path, "w") as file:
        file.writestr("config.json", "{}")
    refuse(path, "truncated or damaged")


def test_a_pickle_is_not_read(tmp_path):
    torch.save(keras_made.trained().module.state_dict(), tmp_path / "network.pt")
    for name in ("network.pt", "network.keras"):
        (tmp_path / name).write_bytes((tmp_path / "network.pt").read_bytes())
        refuse(tmp_path / name, "Python pickle")
        with pytest.raises(UserError, match="Python pickle"):
            architectures.build("MobileNet", "torch", CLASSES, weights=tmp_path / name)


def test_a_saved_model_folder_is_named(tmp_path):
    (tmp_path / "saved_model").mkdir()
    refuse(tmp_path / "saved_model", "is a folder: save a TensorFlow SavedModel again")


def test_our_own_file_is_sent_to_load(tmp_path):
    keras_made.trained().save(tmp_path / "network.safetensors")
    refuse(tmp_path / "network.safetensors", r"Network\.load")


@pytest.mark.parametrize("name", ["x", "layers", "_layer_checkpoint_dependencies", "model_weights"])
def test_hdf5_without_keras_layers_is_refused(name, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file[name] = np.zeros(3)
    refuse(tmp_path / "other.h5", "is HDF5, but no Keras weights")


@pytest.mark.parametrize("depth", ["array", "group"])
@pytest.mark.parametrize("kind", ["h5", "weights.h5"])
@pytest.mark.parametrize("soft", [False, True], ids=["external", "soft onto external"])
def test_a_link_to_another_file_is_not_followed(layers, soft, kind, depth, tmp_path):
    elsewhere = write(kind, tmp_path / "elsewhere", layers)
    path = write(kind, tmp_path / "model", layers)
    place = {"h5": "conv1/conv1/kernel:0", "weights.h5": "layers/conv2d/vars/0"}[kind]
    place = place if depth == "array" else place.partition("/")[0]
    with h5py.File(path, "a") as file:
        del file[place]
        file["away"] = h5py.ExternalLink(elsewhere, place)
        file[place] = h5py.SoftLink("/away") if soft else h5py.ExternalLink(elsewhere, place)
        # h5py itself would follow it.
        assert file[place].name == f"/{place}"
    refuse(path, "is missing, or a link, which is not followed")


def test_arrays_that_lie_in_another_file_are_not_read(layers, tmp_path):
    path = write("weights.h5", tmp_path / "model", layers)
    with h5py.File(path, "a") as file:
        shape = file["layers/conv2d/vars/0"].shape
        del file["layers/conv2d/vars/0"]
        outside = [(tmp_path / "outside.raw", 0, int(np.prod(shape)) * 4)]
        file["layers/conv2d/vars"].create_dataset("0", shape, "f4", external=outside)
    refuse(path, "lies in another file")


def test_an_array_missing_from_a_legacy_file_is_named(layers, tmp_path):
    path = write("h5", tmp_path / "model", layers)
    with h5py.File(path, "a") as file:
        del file["conv1/conv1/kernel:0"]
    refuse(path, "conv1/kernel:0 is missing")


@pytest.mark.parametrize("made", ["text", "group"])
def test_what_is_no_number_is_refused(layers, made, tmp_path):
    path = write("weights.h5", tmp_path / "model", layers)
    with h5py.File(path, "a") as file:
        del file["layers/conv2d/vars/0"]
        if made == "text":
            file["layers/conv2d/vars/0"] = np.array([b"text"])
        else:
            file.create_group("layers/conv2d/vars/0")
    refuse(path, "0 holds no array of numbers")
