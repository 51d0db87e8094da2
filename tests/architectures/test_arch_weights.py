"""Weight files: what is read, and what is refused with which reason."""

import h5py
import numpy as np
import pytest

import architectures
from architectures import published, weights
from benchmark.errors import UserError

torch = pytest.importorskip("torch")
pytest.importorskip("timm")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Images this small gain nothing from more, and lose much when the processors are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def network():
    return architectures.build("MobileNet", "torch", 3, image_size=95, seed=4)


def write_keras(path, network, change=None, chunk=None, group=None):
    """A legacy Keras .h5 of the network's backbone; `change` may edit the list of layers."""
    layers = [
        (f"layer_{number}", [slot.read() for slot in slots])
        for number, (_, slots) in enumerate(network.base_slots())
    ]
    # A Keras file also lists the layers without weights.
    layers.insert(0, ("input_1", []))
    if change:
        change(layers)
    with h5py.File(path, "w") as file:
        root = file.create_group(group) if group else file
        names = [name.encode() for name, _ in layers]
        if chunk:
            for number in range(0, len(names), chunk):
                root.attrs[f"layer_names{number // chunk}"] = names[number : number + chunk]
        else:
            root.attrs["layer_names"] = names
        for name, arrays in layers:
            layer = root.create_group(name)
            layer.attrs["weight_names"] = [f"w_{i}:0".encode() for i in range(len(arrays))]
            for i, array in enumerate(arrays):
                layer[f"w_{i}:0"] = array
    return path


@pytest.fixture(scope="module")
def keras_file(network, tmp_path_factory):
    return write_keras(tmp_path_factory.mktemp("keras") / "mobilenet.h5", network)


def same_backbone(one, other):
    ours, theirs = one.tensors(), other.tensors()
    return all(np.array_equal(ours[k], theirs[k]) for k in ours if not k.startswith("head/"))


@pytest.mark.parametrize("options", [{}, {"chunk": 20}, {"group": "model_weights"}], ids=str)
def test_a_keras_file_gives_its_backbone(network, tmp_path, options):
    path = write_keras(tmp_path / "weights.h5", network, **options)
    other = architectures.build("MobileNet", "torch", 7, image_size=95, weights=path, seed=9)
    assert same_backbone(network, other)
    assert other.weights == str(path)


def test_imagenet_reads_the_file_in_keras_cache(network, keras_file, tmp_path, monkeypatch):
    cache = tmp_path / "models"
    cache.mkdir()
    (cache / "mobilenet_1_0_224_tf_no_top.h5").write_bytes(keras_file.read_bytes())
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("requests.get", lambda *given, **named: pytest.fail("downloads"))
    other = architectures.build("MobileNet", "torch", 3, image_size=95, weights="imagenet")
    assert same_backbone(network, other)


def offline(*given, **named):
    raise ConnectionError("no network")


def test_offline_one_line_names_the_file_its_address_and_its_place(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("requests.get", offline)
    with pytest.raises(UserError) as caught:
        architectures.build("Xception", "torch", 3, weights="imagenet")
    line = str(caught.value)
    file = published.KERAS_FILES["Xception"]
    assert str(tmp_path / "models" / file.name) in line
    assert file.address in line
    assert "\n" not in line


def test_a_damaged_file_in_the_cache_is_not_used(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / published.KERAS_FILES["VGG16"].name).write_bytes(b"half a file")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("requests.get", offline)
    with pytest.raises(UserError, match="is damaged"):
        architectures.build("VGG16", "torch", 3, weights="imagenet")


def drop_last(layers):
    layers.pop()


def swap_shapes(layers):
    layers[1], layers[3] = layers[3], layers[1]


def drop_gamma(layers):
    layers[2][1].pop(0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop_last, "holds 53 layers with weights, expected 54"),
        (swap_shapes, "layer conv1 holds arrays of"),
        (drop_gamma, "layer conv1_bn holds arrays of"),
    ],
)
def test_a_keras_file_of_another_network_is_refused(network, tmp_path, change, message):
    path = write_keras(tmp_path / "other.h5", network, change)
    before = network.tensors()
    with pytest.raises(UserError, match=message):
        network.load_keras_weights(path)
    assert all(np.array_equal(before[k], v) for k, v in network.tensors().items())


def test_efficientnets_input_layer_is_checked(tmp_path):
    network = architectures.build("EfficientNetB0", "torch", 3, image_size=65)

    def count(layers):
        layers[1][1].append(np.array(0))

    def unscaled(layers):
        count(layers)
        layers[1][1][1][...] = 1.0

    network.load_keras_weights(write_keras(tmp_path / "good.h5", network, count))
    with pytest.raises(UserError, match="input layer's variance is"):
        network.load_keras_weights(write_keras(tmp_path / "bad.h5", network, unscaled))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>not found</html>", "is a web page"),
        (b"\x80\x04\x95pickled", "not an HDF5 file"),
    ],
)
def test_what_is_not_hdf5_is_refused(network, tmp_path, content, message):
    path = tmp_path / "weights.h5"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        network.load_keras_weights(path)


def test_a_truncated_keras_file_is_refused(network, keras_file, tmp_path):
    path = tmp_path / "half.h5"
    path.write_bytes(keras_file.read_bytes()[: keras_file.stat().st_size // 2])
    with pytest.raises(UserError, match="truncated or damaged"):
        network.load_keras_weights(path)


def test_hdf5_without_keras_layers_is_refused(network, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.zeros(3)
    with pytest.raises(UserError, match="no layer_names"):
        network.load_keras_weights(tmp_path / "other.h5")


@pytest.fixture(scope="module")
def saved(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "network.safetensors"
    network.save(path)
    return path


def test_only_the_backbone_is_taken_for_another_number_of_classes(network, saved):
    other = architectures.build("MobileNet", "torch", 8, image_size=(95, 100), weights=saved)
    assert same_backbone(network, other)
    with pytest.raises(UserError, match="classes 3, expected 8: load it with head=False"):
        other.load(saved)


def test_a_file_of_another_architecture_is_refused(saved):
    other = architectures.build("VGG16", "torch", 3, image_size=48)
    with pytest.raises(UserError, match="architecture MobileNet, expected VGG16"):
        other.load(saved, head=False)


def test_a_truncated_file_is_refused(network, saved, tmp_path):
    path = tmp_path / "half.safetensors"
    path.write_bytes(saved.read_bytes()[:-1000])
    with pytest.raises(UserError, match="not a whole safetensors file"):
        network.load(path)


def test_a_foreign_safetensors_file_is_refused(network, tmp_path):
    from safetensors.numpy import save_file

    save_file({"x": np.zeros(3)}, tmp_path / "foreign.safetensors")
    with pytest.raises(UserError, match="not written by this suite"):
        network.load(tmp_path / "foreign.safetensors")


def test_tensors_that_do_not_fit_are_refused(network):
    tensors = network.tensors()
    name = next(iter(tensors))
    with pytest.raises(ValueError, match="missing"):
        network.assign({k: v for k, v in tensors.items() if k != name})
    with pytest.raises(ValueError, match="not expected"):
        network.assign(tensors | {"more": np.zeros(1)})
    with pytest.raises(ValueError, match="expected"):
        network.assign(tensors | {name: np.zeros((1, 2))})


def test_tensors_are_copies(network):
    before = network.tensors()
    changed = network.tensors()
    for array in changed.values():
        array += 1
    assert all(np.array_equal(before[k], v) for k, v in network.tensors().items())


def test_a_file_that_cannot_be_written_says_so(network, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write"):
        network.save(tmp_path / "file" / "network.safetensors")


def test_every_format_is_known_by_its_first_bytes(keras_file, saved):
    assert weights.is_keras(keras_file)
    assert not weights.is_keras(saved)
