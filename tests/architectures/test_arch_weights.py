"""Weight files: what is read, and what is refused with which reason."""

import functools
import hashlib
import importlib
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import requests

import architectures
from architectures import published, weights
from benchmark.errors import UserError

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

sys.path.insert(0, str(Path(__file__).parent))
keras_made = importlib.import_module("keras_made")


@pytest.fixture(scope="module")
def network():
    return architectures.build("MobileNet", "torch", 3, image_size=95, seed=4)


@pytest.fixture(scope="module")
def keras_file(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("keras") / "mobilenet.h5"
    return keras_made.legacy(path, keras_made.layers_of(network))


def same_backbone(one, other):
    ours, theirs = one.tensors(), other.tensors()
    return all(np.array_equal(ours[k], theirs[k]) for k in ours if not k.startswith("head/"))


def offline(*given, **named):
    raise requests.ConnectionError("no network")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Keras' folder of weights, empty, and nothing to be had from anywhere."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("requests.get", offline)
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def test_imagenet_reads_the_file_in_keras_cache(network, keras_file, cache):
    (cache / "mobilenet_1_0_224_tf_no_top.h5").write_bytes(keras_file.read_bytes())
    other = architectures.build("MobileNet", "torch", 3, image_size=95, weights="imagenet")
    assert same_backbone(network, other)


def test_imagenet_reads_the_file_with_top_if_only_that_is_there(network, cache):
    layers = keras_made.layers_of(network)
    layers.append(
        ["conv_preds", "conv", [np.ones((1, 1, 1024, 7)), np.ones(7)], ["kernel", "bias"]]
    )
    keras_made.legacy(cache / "mobilenet_1_0_224_tf.h5", layers)
    other = architectures.build("MobileNet", "torch", 3, image_size=95, weights="imagenet")
    assert same_backbone(network, other)


def test_a_file_with_top_of_another_hash_is_not_used(cache):
    (cache / published.KERAS_FILES["VGG16"].top).write_bytes(b"half a file")
    with pytest.raises(UserError, match="is missing"):
        architectures.build("VGG16", "torch", 3, weights="imagenet")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *given):
        """Nothing."""


@pytest.fixture
def server(tmp_path):
    """The address of a folder that is served."""
    (tmp_path / "served").mkdir()
    handler = functools.partial(Quiet, directory=tmp_path / "served")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield tmp_path / "served", f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


@pytest.mark.parametrize("intact", [True, False])
def test_imagenet_is_downloaded_once_and_verified(
    network, keras_file, server, intact, tmp_path, monkeypatch, capfd
):
    folder, address = server
    content = keras_file.read_bytes()
    (folder / "mobilenet.h5").write_bytes(content if intact else content[:-1])
    file = published.Published(
        f"{address}/mobilenet.h5", hashlib.md5(content).hexdigest(), "top.h5", None
    )
    monkeypatch.setitem(published.KERAS_FILES, "MobileNet", file)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    def build():
        return architectures.build("MobileNet", "torch", 3, image_size=95, weights="imagenet")

    if intact:
        assert same_backbone(network, build())
        assert "100%" in capfd.readouterr().err
        (folder / "mobilenet.h5").unlink()
        assert same_backbone(network, build())
    else:
        with pytest.raises(UserError, match="is not the published file"):
            build()
        assert not list((tmp_path / "models").glob("*.h5"))


def test_offline_one_line_names_the_file_its_address_and_its_place(cache):
    with pytest.raises(UserError) as caught:
        architectures.build("Xception", "torch", 3, weights="imagenet")
    line = str(caught.value)
    file = published.KERAS_FILES["Xception"]
    assert str(cache / file.name) in line
    assert file.address in line
    assert "\n" not in line


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"cannot be written \(.*set KERAS_HOME"):
        architectures.build("VGG16", "torch", 3, weights="imagenet")


def test_a_file_that_has_the_start_of_its_hash_in_its_name_is_verified(tmp_path):
    content = b"some weights"
    start = hashlib.sha256(content).hexdigest()[:8]
    (tmp_path / f"net-{start}.pth").write_bytes(content)
    found = published.timm_weights(None, f"http://x.invalid/net-{start}.pth", tmp_path)
    assert found == tmp_path / f"net-{start}.pth"
    (tmp_path / "net-00000000.pth").write_bytes(content)
    with pytest.raises(UserError, match="is damaged: delete it"):
        published.timm_weights(None, "http://x.invalid/net-00000000.pth", tmp_path)


def test_a_damaged_file_in_the_cache_is_not_used(cache):
    (cache / published.KERAS_FILES["VGG16"].name).write_bytes(b"half a file")
    with pytest.raises(UserError, match="is damaged"):
        architectures.build("VGG16", "torch", 3, weights="imagenet")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>not found</html>", "is a web page"),
        (b"\x80\x04\x95pickled", "is a Python pickle"),
        (b"a text of some length", "is not a whole weights file"),
    ],
)
def test_what_holds_no_weights_is_refused_whoever_reads_it(network, tmp_path, content, message):
    path = tmp_path / "weights.h5"
    path.write_bytes(content)
    for read in (network.load_keras_weights, network.load):
        with pytest.raises(UserError, match=message):
            read(path)


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


def test_every_format_is_known_by_its_content(keras_file, saved):
    assert weights.file_format(keras_file) == "hdf5"
    assert weights.file_format(saved) == "safetensors"
