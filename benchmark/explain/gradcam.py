"""Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391) at the layer the catalogue names."""

from typing import ClassVar

import numpy as np

from architectures.cams import Cam
from architectures.network import Network
from benchmark.explain.base import Explainer


class GradCam(Explainer):
    """Channels of the last map, weighted by the mean gradient of the logit."""

    name = "gradcam"
    summary = "the last map's channels, weighted by the mean gradient of the logit"
    paper = "Selvaraju et al., Grad-CAM, ICCV 2017, arXiv 1610.02391, eq. 1 and 2"
    settings: ClassVar[dict[str, str]] = {
        "layer": "the catalogue's, the last map before pooling: `describe` an architecture (ours)",
        "score": "the logit, not the probability (as the paper)",
        "cost": "one forward pass, one gradient through the head",
    }
    every_class = True

    def _maps(self, network: Network, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return network.gradcam(images, targets)

    def class_maps(self, network: Network, images: np.ndarray) -> np.ndarray:
        """See `Explainer.class_maps`; one forward pass."""
        return network.gradcam(images, _every_class(network, images))

    def beside_published(
        self, network: Network, images: np.ndarray, targets: np.ndarray | None, said: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Explainer.beside_published`."""
        asked = _every_class(network, images) if targets is None else targets
        own, published = network.gradcams(images, [Cam(asked), Cam(said, paper=True)])
        return own, published


def _every_class(network: Network, images: np.ndarray) -> np.ndarray:
    return np.tile(np.arange(network.classes), (len(images), 1))
