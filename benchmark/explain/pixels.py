"""Explainers that work on pixels: of gradients with respect to them, and by hiding them."""

from typing import ClassVar

import numpy as np

from architectures.network import Network
from benchmark.explain.base import Attributor, Explainer, mean_colours, plain, side

_STEPS = 100
_SAMPLES = 32
_NOISE = 0.15
_WINDOWS = 8


class IntegratedGradients(Attributor):
    """Gradients summed along the straight line from a plain image to the image."""

    name = "integrated-gradients"
    summary = "gradients summed on the way from a plain image to the image"
    paper = "Sundararajan et al., Axiomatic attribution, ICML 2017, arXiv 1703.01365, eq. 1 and 3"
    modules: ClassVar[dict[str, str]] = {"torch": "captum"}
    library = "captum in torch; in keras ours, since no library does it there"
    settings: ClassVar[dict[str, str]] = {
        "score": "the logit, with respect to pixels of 0..255",
        "baseline": "the image's mean colour everywhere (ours)",
        "steps": f"{_STEPS} Gauss-Legendre nodes (ours; captum's default is 50)",
        "map": "sum over the colours, positive part (ours)",
        "cost": f"{_STEPS} forward and backward passes per image",
    }
    additive = (
        "completeness: the attributions sum to f(image) - f(baseline), as near as the steps come"
    )

    def _maps(self, network: Network, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
        baselines = plain(mean_colours(images), images)
        return side(network).integrated_gradients(network, images, targets, baselines, _STEPS)


class SmoothGrad(Explainer):
    """The gradient with respect to the pixels, averaged over noisy copies of the image."""

    name = "smoothgrad"
    summary = "gradient with respect to the pixels, averaged over noisy copies"
    paper = "Smilkov et al., SmoothGrad, 2017, arXiv 1706.03825"
    modules: ClassVar[dict[str, str]] = {"torch": "captum"}
    library = "gradients by captum in torch, TensorFlow's own in keras; noise and mean are ours"
    settings: ClassVar[dict[str, str]] = {
        "score": "the logit, with respect to pixels of 0..255",
        "noise": f"standard deviation {_NOISE:.0%} of the image's range (the paper advises 10 to 20"
        " %), drawn from seed 0, the same for every image and in both frameworks (ours)",
        "copies": f"{_SAMPLES} (ours; the paper: little gain beyond 50)",
        "map": "largest absolute value of the three colours (as the paper draws it: whether a pixel"
        " should be brighter or darker says nothing of for or against)",
        "cost": f"{_SAMPLES} forward and backward passes per image",
    }

    def _maps(self, network: Network, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
        gradients = side(network).gradients
        noise = np.random.default_rng(0).normal(size=(_SAMPLES, *images.shape[1:]))
        found = []
        for image, target in zip(images, targets, strict=True):
            deviation = _NOISE * float(np.ptp(image))
            noisy = (image + deviation * noise).astype(np.float32)
            mean = gradients(network, noisy, np.full(_SAMPLES, target)).mean(0)
            found.append(np.abs(mean).max(-1))
        return np.stack(found)


class Occlusion(Attributor):
    """How much the logit falls when a window of the image is hidden."""

    name = "occlusion"
    summary = "fall of the logit when a window of the image is hidden"
    paper = "Zeiler and Fergus, Visualizing and understanding, ECCV 2014, arXiv 1311.2901"
    modules: ClassVar[dict[str, str]] = {"torch": "captum"}
    library = "captum in torch; in keras ours, since no library does it there"
    settings: ClassVar[dict[str, str]] = {
        "window": f"1/{_WINDOWS} of each side, in steps of half a window (ours); a pixel has the"
        " mean of the windows over it (captum's)",
        "hidden pixels": "the image's mean colour (ours)",
        "map": "positive part (ours)",
        "cost": f"about {(2 * _WINDOWS) ** 2} forward passes per image",
    }

    def _maps(self, network: Network, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
        baselines = plain(mean_colours(images), images)
        window = (max(images.shape[1] // _WINDOWS, 1), max(images.shape[2] // _WINDOWS, 1))
        stride = (max(window[0] // 2, 1), max(window[1] // 2, 1))
        return side(network).occlusion(network, images, targets, baselines, window, stride)
