"""What explains the test images of a trial, from a network to the arrays that the task scores."""

import numpy as np
import pytest

import architectures
from architectures.cams import Cam
from benchmark.common.progress import SilentDisplay
from benchmark.data.pipeline import Samples
from benchmark.explain.base import Explainer
from benchmark.explain.gradcam import GradCam
from benchmark.explain.outputs import explain

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

COUNT, SIDE, CLASSES = 3, 65, 2
IDS = ("a", "b", "c")


class Broken(GradCam):
    """Not a number on the second image."""

    name = "broken"
    every_class = False
    beside_published = Explainer.beside_published

    def maps(self, network, images, targets):
        found = super().maps(network, images, targets)
        if len(found) == COUNT:
            found[1] = np.nan
        return found


@pytest.fixture(scope="module")
def network():
    """As after a short training: near the weights that the seed gave, statistics of real values."""
    built = architectures.build("MobileNetV2", "torch", CLASSES, image_size=SIDE, seed=0)
    built.set_bn_momentum(0.0)
    with torch.no_grad():
        built.forward(torch.from_numpy(pixels()), training=True)
    return built


def pixels():
    return np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3), np.uint8)


def explained(network, explainer: Explainer, probed=COUNT):
    test = Samples(pixels(), np.arange(COUNT), np.array([0, 1, 0]))
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9]], np.float32)
    untrained = architectures.build("MobileNetV2", "torch", CLASSES, image_size=SIDE, seed=0)
    display = SilentDisplay()
    return explain(network, untrained, explainer, test, IDS, probabilities, probed, 0, display)


def test_true_and_predicted_maps_are_those_of_their_classes(network):
    found = explained(network, GradCam())
    assert found.every.shape[:2] == (COUNT, CLASSES)
    np.testing.assert_array_equal(found.true, found.every[[0, 1, 2], [0, 1, 0]])
    np.testing.assert_array_equal(found.predicted, found.every[[0, 1, 2], [0, 0, 1]])
    published = network.gradcam(pixels(), np.array([0, 0, 1]), paper=True)
    np.testing.assert_allclose(found.published, published, rtol=1e-5)


@pytest.mark.parametrize("arch", ["MobileNetV2", "EfficientNetB0"])
def test_rules_that_share_a_pass_give_the_maps_of_their_own(arch):
    """EfficientNetB0's published maps are of an earlier layer than ours."""
    built = architectures.build(arch, "torch", CLASSES, image_size=SIDE, seed=0)
    passes: list[int] = []
    built.module.backbone.conv_stem.register_forward_hook(lambda *_: passes.append(1))
    every, said = np.array([[0, 1]] * COUNT), np.array([0, 0, 1])
    together = built.gradcams(pixels(), [Cam(every), Cam(said, paper=True)])
    assert len(passes) == 1
    np.testing.assert_array_equal(together[0], built.gradcam(pixels(), every))
    np.testing.assert_array_equal(together[1], built.gradcam(pixels(), said, paper=True))


def test_an_explainer_too_slow_for_every_class_gives_the_same_two_maps(network):
    class Slow(GradCam):
        every_class = False

    fast, slow = explained(network, GradCam()), explained(network, Slow())
    assert slow.every is None
    # Where a map is small beside its largest value, another batch may round away more than 1e-5.
    np.testing.assert_allclose(slow.true, fast.true, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(slow.predicted, fast.predicted, rtol=1e-5, atol=1e-6)


def test_a_map_that_is_not_a_number_does_not_end_the_run(network):
    found = explained(network, Broken())
    assert np.isnan(found.true[1]).all()
    assert np.isfinite(found.probes.insertion).all()


def test_probes_are_of_the_same_images_whatever_their_order_and_of_no_more_than_asked(network):
    assert explained(network, GradCam(), probed=2).probes.insertion.shape[0] == 2
    assert len(explained(network, GradCam(), probed=99).probes.ids) == COUNT


def test_randomised_weights_are_not_those_that_the_run_began_with(network):
    """A network that hardly left its first weights would pass for one that ignores its head."""
    found = explained(network, GradCam()).probes
    assert found.stages[0] == "head"
    assert np.nanmax(found.similarity[0]) < 0.999
