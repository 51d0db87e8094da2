"""Networks outside the eleven: whatever the library has, trained, explained, kept and ranked."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

import architectures
from benchmark.config import configure
from benchmark.errors import UserError
from benchmark.explain.randomisation import cascade
from benchmark.leaderboard import build
from benchmark.methods.base import Batch, Stage, on_logits
from benchmark.registry import EXPLAINERS
from benchmark.run import run
from benchmark.training.frameworks import make_engine, select_backend

sys.path.insert(0, str(Path(__file__).parent))
coloured = importlib.import_module("coloured")

SIZE = 96
# Both end in global average pooling, so that their Grad-CAM can be written down.
NAMES = {"torch": "timm:resnet18", "keras": "keras:MobileNetV3Small"}
EARLIER = {"torch": "layer3", "keras": "expanded_conv_5_add"}
UNKNOWN = {"torch": "timm:resnet19x", "keras": "keras:MobileNetV9"}


@pytest.fixture(scope="module")
def name(framework):
    select_backend(framework)
    return NAMES[framework]


@pytest.fixture(scope="module")
def network(framework, name):
    return architectures.build(name, framework, 3, image_size=SIZE, seed=1)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)


def test_it_is_drawn_from_the_seed_alone(framework, name, network, images):
    again, other = (
        architectures.build(name, framework, 3, image_size=SIZE, seed=seed) for seed in (1, 2)
    )
    np.testing.assert_array_equal(network.logits(images), again.logits(images))
    assert not np.array_equal(network.features(images), other.features(images))
    assert network.features(images).shape == (3, network.width)


def test_drawing_it_anew_makes_the_network_of_that_seed(framework, name, images):
    network, other = (
        architectures.build(name, framework, 3, image_size=SIZE, seed=seed) for seed in (1, 2)
    )
    network.initialise(2)
    np.testing.assert_array_equal(network.logits(images), other.logits(images))
    network.new_head(1)
    np.testing.assert_array_equal(network.features(images), other.features(images))
    assert not np.array_equal(network.logits(images), other.logits(images))


def test_randomising_it_from_the_top_reaches_all_of_it_and_leaves_it_as_it_was(network, images):
    before = network.tensors()
    targets = np.zeros(len(images), int)
    found = cascade(network, lambda net: net.gradcam(images, targets), seed=5)
    assert list(found.shares) == sorted(found.shares)
    assert found.shares[0] < 0.1
    assert found.shares[-1] == 1
    assert len(set(found.shares)) == len(found.shares)
    after = network.tensors()
    assert all(np.array_equal(before[key], after[key]) for key in before)


def test_gradcam_is_that_of_the_definition(network, images):
    """After pooling and a dense layer, the mean slope of channel k is W[k, c] / (h w)."""
    maps = network.feature_map(images)
    kernel, _ = network.classifier()
    height, width = network.map_shape
    assert maps.shape[1:3] == (height, width)
    targets = np.array([[0, 2], [1, 0], [2, 1]])
    expected = np.maximum(np.einsum("nhwk,knt->nthw", maps, kernel[:, targets]), 0)
    np.testing.assert_allclose(
        network.gradcam(images, targets), expected / (height * width), rtol=1e-4, atol=1e-7
    )
    # By the published rule the slope is the probability's.
    said = np.exp(network.logits(images))
    said /= said.sum(1, keepdims=True)
    slopes = said[:, :1] * (np.eye(3)[0] - said)
    weights = np.einsum("nc,kc->nk", slopes, kernel)
    published = np.maximum(np.einsum("nhwk,nk->nhw", maps, weights), 0) / (height * width)
    found = network.gradcam(images, np.zeros(3, int), paper=True)
    np.testing.assert_allclose(found, published, rtol=1e-3, atol=1e-8)


def test_a_layer_that_is_named_is_explained_and_changes_nothing_else(
    framework, name, network, images
):
    named = architectures.build(
        name, framework, 3, image_size=SIZE, seed=1, cam_layer=EARLIER[framework]
    )
    np.testing.assert_allclose(named.logits(images), network.logits(images), rtol=1e-5, atol=1e-6)
    assert named.map_shape == (6, 6)
    maps = named.gradcam(images, np.tile(np.arange(3), (3, 1)))
    assert maps.shape == (3, 3, 6, 6)
    assert maps.max() > 0


def test_a_file_gives_the_same_network_again_and_fits_no_other(
    framework, name, network, images, tmp_path
):
    network.save(tmp_path / "a.safetensors")
    other = architectures.build(name, framework, 3, image_size=SIZE, seed=2)
    other.load(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(other.logits(images), network.logits(images))
    twin = network.twin()
    np.testing.assert_array_equal(twin.logits(images), network.logits(images))
    eleven = architectures.build("MobileNetV2", framework, 3, image_size=SIZE)
    with pytest.raises(UserError, match="holds another network: architecture"):
        eleven.load(tmp_path / "a.safetensors")


@pytest.mark.parametrize("policy", ["none", "backbone", "backbone-weights"])
def test_what_is_frozen_stays_and_the_rest_is_trained(framework, name, images, policy):
    from benchmark.methods.losses import cross_entropy

    network = architectures.build(name, framework, 3, image_size=SIZE, seed=1)
    engine = make_engine(network, "cpu", 0)
    recipe = configure("MobileNetV2", "diagnosis", budget="smoke").recipe
    recipe = recipe.model_copy(update={"freeze": policy, "weight_decay": 0.0})
    engine.begin(Stage("train", on_logits(cross_entropy), recipe, choose=False))
    before = network.tensors()
    loss = float(engine.train_step(Batch((images,), np.array([0, 1, 2])), 1e-2))
    assert np.isfinite(loss)
    after = network.tensors()
    moved = {key for key in before if not np.array_equal(before[key], after[key])}
    assert any(key.startswith("head/") for key in moved)
    backbone = {key for key in moved if key.startswith("backbone/")}
    statistics = len(network.statistics())
    if policy == "backbone":
        assert not backbone
    elif policy == "backbone-weights":
        assert 0 < len(backbone) <= statistics
    else:
        assert len(backbone) > statistics


def test_several_diseases_stand_side_by_side(framework, name, images):
    network = architectures.build(name, framework, (5, 3), image_size=SIZE, seed=1)
    alone = architectures.build(name, framework, 5, image_size=SIZE, seed=1)
    assert network.logits(images).shape == (3, 8)
    np.testing.assert_allclose(
        network.logits(images)[:, :5], alone.logits(images), rtol=1e-5, atol=1e-6
    )


def test_a_name_that_the_library_lacks_is_refused_before_data_are_read(
    framework, tmp_path, monkeypatch
):
    monkeypatch.setattr("benchmark.run.load", lambda *_, **__: pytest.fail("data were read"))
    with pytest.raises(UserError, match="unknown network of"):
        run(UNKNOWN[framework], "diagnosis", framework=framework, out=tmp_path)


def test_what_cannot_be_is_refused_with_a_remedy(framework, name):
    build_it = architectures.build
    with pytest.raises(UserError, match="unknown network of"):
        build_it(UNKNOWN[framework], framework, 3, image_size=SIZE)
    with pytest.raises(UserError, match=r"(less than|no map of) 3x3.* larger images"):
        build_it(name, framework, 3, image_size=48)
    with pytest.raises(UserError, match="unknown layer of"):
        build_it(name, framework, 3, image_size=SIZE, cam_layer="nothing")
    with pytest.raises(UserError, match=r"are not of .*: give"):
        build_it(name, framework, 3, image_size=SIZE, weights="imagenet")
    with pytest.raises(UserError, match="explained at the layer that both frameworks have"):
        build_it("MobileNetV2", framework, 3, image_size=SIZE, cam_layer="top")
    with pytest.raises(UserError, match="not in the DermXDB benchmark"):
        build_it(name, framework, 3, image_size=SIZE).freeze("paper")
    other = {"torch": "keras", "keras": "torch"}[framework]
    with pytest.raises(UserError, match=f"in {framework} alone: give --framework {framework}"):
        configure(name, "diagnosis", framework=other)
    with pytest.raises(UserError, match="no paper budget"):
        configure(name, "diagnosis", framework=framework, budget="paper")


def test_settings_of_the_eleven_are_those_of_before(framework):
    assert "cam_layer" not in configure("MobileNetV2", "diagnosis").identity()
    named = configure(NAMES[framework], "diagnosis", framework=framework, cam_layer="x")
    assert named.identity()["cam_layer"] == "x"


def test_every_explainer_of_ours_explains_it(framework, network, images):
    for explainer in EXPLAINERS.names():
        made = EXPLAINERS.get(explainer)()
        if made.last_map and framework == "torch":
            with pytest.raises(UserError, match="choose gradcam, or an explainer of pixels"):
                made.maps(network, images[:1], np.array([1]))
            continue
        try:
            made.require(framework)
        except UserError:
            continue  # its library is not installed
        maps = made.maps(network, images[:1], np.array([1]))
        assert np.isfinite(maps).all(), explainer
        assert maps.ndim == 3


def test_a_run_stands_on_the_board_and_is_marked(framework, name, tmp_path):
    coloured.write_folder(tmp_path / "images", SIZE)
    settings = {"framework": framework, "budget": "smoke", "dataset": "folder"}
    for arch in (name, "MobileNetV2"):
        record = run(
            arch,
            "diagnosis",
            **settings,
            data_dir=tmp_path / "images",
            image_size=SIZE,
            out=tmp_path,
        )
    assert record.parameters is not None
    build(tmp_path)
    for page in ("leaderboard.md", "site/index.html"):
        text = (tmp_path / "v1" / page).read_text()
        (line,) = (each for each in text.splitlines() if "Outside the eleven" in each)
        assert name in line
        assert "MobileNetV2" not in line
