"""Explainers in PyTorch, on real photographs."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import explained
from explained import COSTLY, LIBRARIES, NAMES, OTHERS, TARGETS

from benchmark.errors import UserError
from benchmark.explain.base import Explainer, mean_colours, plain
from benchmark.explain.pixels import Occlusion
from benchmark.registry import EXPLAINERS

torch = pytest.importorskip("torch")
for _library in ("captum", "pytorch_grad_cam", "torchcam", "shap"):
    pytest.importorskip(_library)


@pytest.fixture(scope="module")
def images(real_data):
    return explained.photographs(real_data)


@pytest.fixture(scope="module")
def network(images):
    return explained.planted(images)


@pytest.fixture(scope="module")
def found(network, images):
    return explained.explain(network, images, NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_maps_are_finite_positive_and_of_the_class(found, name):
    maps, other = found[name], found[f"{name} other"]
    assert maps.dtype == np.float32
    assert maps.shape[0] == (1 if name in COSTLY else 2)
    assert maps.ndim == 3
    assert np.isfinite(maps).all()
    assert maps.min() >= 0
    assert maps.max() > 0
    assert np.abs(maps[:1] - other).max() > 0.01 * maps.max()


@pytest.mark.parametrize("name", ["gradcam", "gradcam++", "layercam"])
def test_maps_of_every_class_are_those_asked_for_one_by_one(found, name):
    rows = np.arange(2)
    every = found[f"{name} every"]
    assert every.shape == (2, 7, 3, 3)
    np.testing.assert_allclose(every[rows, TARGETS], found[name], rtol=1e-5)
    np.testing.assert_allclose(every[0, OTHERS[0]], found[f"{name} other"][0], rtol=1e-5)


def test_shap_shares_out_the_whole_rise_of_the_logit(found):
    np.testing.assert_allclose(found["shap signed"].sum(), found["rise"][0], atol=1e-5)


def test_integrated_gradients_sum_to_the_rise_of_the_logit(found):
    np.testing.assert_allclose(
        found["integrated-gradients signed"].sum(), found["rise"][0], atol=0.02
    )


@pytest.mark.parametrize("name", ["integrated-gradients", "occlusion", "shap"])
def test_a_map_is_the_positive_part_of_the_attributions(found, name):
    np.testing.assert_allclose(
        found[name][:1], np.maximum(found[f"{name} signed"], 0), rtol=1e-3, atol=1e-6
    )


def test_the_corner_is_explained_by_hiding_the_first_window(network, images, found):
    # Windows of 8 pixels in steps of 4: only the first one covers the corner of 4 x 4.
    hidden = images[:1].copy()
    hidden[0, :8, :8] = mean_colours(images)[0]
    fall = (network.logits(images[:1]) - network.logits(hidden))[0, TARGETS[0]]
    assert abs(fall) > 1e-3
    np.testing.assert_allclose(found["occlusion signed"][0, :4, :4], fall, atol=1e-5)


def test_gradcam_is_the_librarys_of_the_same_layer(images, found):
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    # The library leaves gradients behind: a network of its own.
    module = explained.planted(images).module
    library = GradCAM(module, [module.backbone.bn2])
    targets = [ClassifierOutputTarget(target) for target in TARGETS]
    library(torch.from_numpy(images).float(), targets)
    hooked = library.activations_and_grads
    # Its map before it is enlarged and normalised.
    theirs = library.get_cam_image(
        None, None, targets, hooked.activations[0].numpy(), hooked.gradients[0].numpy()
    )
    difference = np.abs(found["gradcam"] - np.maximum(theirs, 0)).max((1, 2))
    assert (difference < 1e-4 * found["gradcam"].max((1, 2))).all()


def test_layercam_is_the_librarys_on_the_whole_network(network, images, found):
    from torchcam.methods import LayerCAM

    class Whole(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.module = network.module

        def forward(self, x):
            return self.module(x)

    whole = Whole()
    # The layer before the pooling, hooked by its own name in timm's network.
    with LayerCAM(whole, "module.backbone.bn2") as library:
        scores = whole(torch.from_numpy(images).float())
        (expected,) = library(TARGETS.tolist(), scores, normalized=False)
    np.testing.assert_allclose(found["layercam"], expected.numpy(), rtol=1e-4)


def test_gradcam_plus_plus_is_equation_19(network, images, found):
    maps = torch.from_numpy(network.feature_map(images)).double().permute(0, 3, 1, 2)
    maps.requires_grad_()
    logits = network.module.tail(maps.float()).logits
    (slope,) = torch.autograd.grad(logits[np.arange(2), TARGETS].sum(), maps)
    alphas = slope**2 / (2 * slope**2 + maps.sum((2, 3), keepdim=True) * slope**3)
    weights = (alphas * slope.clamp(min=0)).sum((2, 3), keepdim=True)
    expected = (weights * maps).sum(1).clamp(min=0).detach().numpy()
    np.testing.assert_allclose(found["gradcam++"], expected, rtol=1e-4)


def test_gradcam_plus_plus_is_the_librarys_whole_but_for_its_small_addend(images, found):
    from pytorch_grad_cam import GradCAMPlusPlus
    from pytorch_grad_cam.utils.image import scale_cam_image
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    # The library leaves gradients behind: a network of its own.
    module = explained.planted(images).module
    library = GradCAMPlusPlus(module, [module.backbone.bn2])
    targets = [ClassifierOutputTarget(target) for target in TARGETS]
    theirs = library(torch.from_numpy(images).float(), targets)
    # It takes the last two axes of the input, here (width, 3), for the size of its map.
    ours = scale_cam_image(scale_cam_image(found["gradcam++"], theirs.shape[:0:-1]))
    assert np.abs(ours - theirs).max() < 0.05


def test_smoothgrad_has_no_noise_of_its_own_and_leaves_generators_alone(network, images, found):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    again = EXPLAINERS.get("smoothgrad")().maps(network, images[1:], TARGETS[1:])
    np.testing.assert_allclose(again[0], found["smoothgrad"][1], rtol=1e-3, atol=1e-7)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_no_explainer_leaves_gradients_or_another_network_behind(network, images, found):
    assert all(parameter.grad is None for parameter in network.module.parameters())
    np.testing.assert_array_equal(network.logits(images), explained.planted(images).logits(images))


def test_hidden_pixels_have_the_mean_colour_of_their_own_image():
    images = np.zeros((2, 2, 2, 3), np.uint8)
    images[1, 0] = 255
    np.testing.assert_array_equal(mean_colours(images), [[0, 0, 0], [128, 128, 128]])
    assert (plain(mean_colours(images), images)[1] == 128).all()


@pytest.mark.slow
def test_scorecam_is_a_softmax_over_channels_seen_through_their_masks(network, images, found):
    maps = torch.from_numpy(network.feature_map(images[:1])[0]).permute(2, 0, 1)
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    masks = torch.nn.functional.interpolate(
        ((maps - low) / (high - low + 1e-8))[:, None], images.shape[1:3], mode="bilinear"
    )
    colour = torch.from_numpy(mean_colours(images[:1])).float()
    centred = torch.from_numpy(images[:1]).float() - colour
    with torch.no_grad():
        scores = torch.cat(
            [
                network.module(some.permute(0, 2, 3, 1) * centred + colour)[:, TARGETS[0]]
                for some in masks.split(64)
            ]
        )
    expected = (scores.softmax(0)[:, None, None] * maps).sum(0).clamp(min=0)
    np.testing.assert_allclose(found["scorecam"][0], expected.numpy(), rtol=1e-4)


def test_an_explainer_of_another_framework_says_so_before_any_network_is_built(network, images):
    class TheirOnly(Occlusion):
        name = "theirs"
        frameworks = frozenset({"keras"})

    TheirOnly.require("keras")
    with pytest.raises(UserError, match="'theirs' runs in keras only, not in torch"):
        TheirOnly.require("torch")
    with pytest.raises(UserError, match="'theirs' runs in keras only, not in torch"):
        TheirOnly().maps(network, images, TARGETS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", ["torch", "keras"])
def test_a_missing_library_is_told_by_name_with_the_remedy(monkeypatch, name, where):
    explainer = EXPLAINERS.get(name)
    own = explainer.modules.get(where)
    for library in set(LIBRARIES) - {own}:
        monkeypatch.setitem(sys.modules, library, None)
    explainer.require(where)
    if own is not None:
        monkeypatch.setitem(sys.modules, own, None)
        package = {"pytorch_grad_cam": "grad-cam", "tf_keras_vis": "tf-keras-vis"}.get(own, own)
        remedy = re.escape(f"--explainer {name} needs {package}, which is not installed: pip")
        with pytest.raises(UserError, match=rf"^{remedy} install 'dermbench\[explain\]'$"):
            explainer.require(where)


# Score-CAM's takes seconds and has LayerCAM's library.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "scorecam"])
def test_an_explainer_needs_no_library_but_its_own(monkeypatch, network, images, found, name):
    own = EXPLAINERS.get(name).modules.get("torch")
    for module in explained.loaded(set(LIBRARIES) - {own}):
        monkeypatch.setitem(sys.modules, module, None)
    # To be imported anew.
    monkeypatch.delitem(sys.modules, "benchmark.explain.torch_explainers", raising=False)
    alone = EXPLAINERS.get(name)().maps(network, images[:1], TARGETS[:1])
    np.testing.assert_allclose(alone, found[name][:1], rtol=1e-3, atol=1e-6)


def test_an_explainer_without_its_library_draws_nothing(monkeypatch, network, images):
    monkeypatch.setitem(sys.modules, "torchcam", None)
    with pytest.raises(UserError, match=r"layercam needs torchcam.*'dermbench\[explain\]'"):
        EXPLAINERS.get("layercam")().maps(network, images, TARGETS)


def test_images_and_targets_that_do_not_fit_are_refused(network, images):
    explainer: Explainer = EXPLAINERS.get("layercam")()
    with pytest.raises(UserError, match="65, 65"):
        explainer.maps(network, images[:, :50], TARGETS)
    with pytest.raises(ValueError, match="one target per image"):
        explainer.maps(network, images, TARGETS[:1])
    with pytest.raises(ValueError, match=r"0\.\.6"):
        explainer.maps(network, images, TARGETS + 5)
