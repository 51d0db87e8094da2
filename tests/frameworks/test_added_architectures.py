"""An architecture of somebody else's, from a plugin file."""

import numpy as np
import pytest

import architectures
from architectures import Backbone
from benchmark.errors import UserError
from benchmark.explain.gradcam import GradCam
from benchmark.registry import ADDED_ARCHITECTURES
from benchmark.show.things import describe, listing
from benchmark.training.frameworks import select_backend

SIZE = (40, 56)


class Own(Backbone):
    name = "own"
    paper = "Nobody, 2026"
    mean = (0.5, 0.4, 0.3)
    deviation = (0.2, 0.2, 0.2)
    torch_cam = "0"

    def torch(self, image_size):
        from torch import nn

        return nn.Sequential(nn.Conv2d(3, 4, 3, stride=8), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def keras(self, image_size):
        import keras

        images = keras.Input((*image_size, 3))
        return keras.Model(images, keras.layers.Conv2D(4, 3, strides=8)(images))


class OfTorch(Backbone):
    name = "of-torch"
    torch = Own.torch


@pytest.fixture(autouse=True)
def added(monkeypatch):
    """Two, as if a file had announced them."""
    things = {each.name: each for each in (Own, OfTorch)}
    monkeypatch.setattr(ADDED_ARCHITECTURES, "_loaded", things)
    monkeypatch.setattr(ADDED_ARCHITECTURES, "_files", dict.fromkeys(things))


@pytest.fixture
def network(framework):
    select_backend(framework)
    return architectures.build("own", framework, 3, image_size=SIZE, seed=4)


def test_pixels_are_normalised_as_it_says_and_the_features_are_its_own(network, framework):
    images = np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3), dtype=np.uint8)
    kernel, bias = (
        next(value for name, value in network.tensors().items() if name.endswith(ending))
        for ending in (("weight", "bias") if framework == "torch" else ("/0", "/1"))
    )
    if framework == "torch":
        kernel = kernel.transpose(2, 3, 1, 0)
    given = (images / 255 - np.array(Own.mean)) / np.array(Own.deviation)
    expected = np.stack(
        [
            np.einsum("nhwc,hwck->nk", given[:, top : top + 3, left : left + 3], kernel) + bias
            for top in range(0, SIZE[0] - 2, 8)
            for left in range(0, SIZE[1] - 2, 8)
        ]
    ).mean(0)
    np.testing.assert_allclose(network.features(images), expected, rtol=1e-4, atol=1e-5)
    assert network.map_shape == (5, 7)


def test_it_is_drawn_from_the_seed_and_explained(network, framework):
    images = np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3), dtype=np.uint8)
    same, other = (
        architectures.build("own", framework, 3, image_size=SIZE, seed=seed) for seed in (4, 5)
    )
    np.testing.assert_array_equal(same.logits(images), network.logits(images))
    assert not np.array_equal(other.logits(images), network.logits(images))
    maps = GradCam().maps(network, images, np.array([0, 2]))
    assert maps.shape[0] == 2
    assert maps.max() > 0


def test_it_is_in_no_framework_that_it_is_not_written_for():
    assert architectures.find("of-torch").frameworks == ("torch",)
    told = "of-torch is in torch alone: give --framework torch, or write the method 'keras'"
    with pytest.raises(UserError, match=told):
        architectures.find("of-torch").require("keras")
    assert "none named: give --cam-layer (torch)" in describe("of-torch").to_string()


def test_it_is_listed_described_and_suggested():
    assert list(listing("architectures")["architectures"]["name"])[-2:] == ["of-torch", "own"]
    told = describe("own").to_string()
    assert "Nobody, 2026" in told
    assert "torch and keras" in told
    with pytest.raises(UserError, match=r"unknown architecture 'owm'.*own"):
        architectures.find("owm")


def test_none_takes_the_name_of_one_of_the_eleven(monkeypatch):
    monkeypatch.setitem(ADDED_ARCHITECTURES._files, "vgg-16", None)
    with pytest.raises(UserError, match="added an architecture 'vgg-16', which is one of the"):
        architectures.find("vgg-16")


def test_weights_of_the_libraries_are_refused(framework):
    select_backend(framework)
    for weights in ("imagenet", "timm"):
        with pytest.raises(UserError, match=f"'{weights}' are not of own: give a file that a run"):
            architectures.build("own", framework, 3, image_size=SIZE, weights=weights)


def test_one_without_a_framework_is_refused(monkeypatch):
    monkeypatch.setitem(
        ADDED_ARCHITECTURES._loaded, "own", type("Own", (Backbone,), {"name": "own"})
    )
    with pytest.raises(UserError, match="'own' has neither the method torch nor keras: write one"):
        architectures.find("own")


def test_what_a_torch_network_lacks_is_told(framework, monkeypatch):
    if framework != "torch":
        pytest.skip("of torch: a Keras network ends in its map")
    select_backend(framework)
    with pytest.raises(UserError, match=r"no map of of-torch .* or as torch_cam of its class"):
        architectures.build("of-torch", framework, 3, image_size=SIZE)

    from torch import nn

    whole = Own().torch(SIZE)
    monkeypatch.setattr(Own, "torch", lambda self, size: whole[:1])
    with pytest.raises(UserError, match=r"shape \(1, 4, 5, 7\) .*: pool its last map and flatten"):
        architectures.build("own", framework, 3, image_size=SIZE)
    whole.unused = nn.Identity()
    whole.forward = lambda images: whole[2](whole[1](whole[0](images)))
    monkeypatch.setattr(Own, "torch", lambda self, size: whole)
    monkeypatch.setattr(Own, "torch_cam", "unused")
    with pytest.raises(UserError, match="layer unused of own is not passed: name another"):
        architectures.build("own", framework, 3, image_size=SIZE)


def test_what_gives_no_network_is_told(framework, monkeypatch):
    select_backend(framework)
    monkeypatch.setattr(Own, framework, lambda self, size: None)
    with pytest.raises(UserError, match=rf"own: `{framework}` gave no .* but None"):
        architectures.build("own", framework, 3, image_size=SIZE)
