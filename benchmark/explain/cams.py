"""Class activation maps other than Grad-CAM: of the same layer, the output of the catalogue's."""

from typing import ClassVar

import numpy as np

from architectures.network import Network
from benchmark.explain.base import Explainer, OfLastMap, mean_colours, side

_LAYER = "the catalogue's Grad-CAM layer, as `gradcam` (ours)"


class GradCamPlusPlus(OfLastMap):
    """Grad-CAM++: channel weights from the positive gradients, each position weighted."""

    name = "gradcam++"
    same_in_both = False
    summary = "Grad-CAM with positive gradients, weighted by position"
    paper = "Chattopadhay et al., Grad-CAM++, WACV 2018, arXiv 1710.11063, eq. 19"
    modules: ClassVar[dict[str, str]] = {"torch": "pytorch_grad_cam", "keras": "tf_keras_vis"}
    library = "grad-cam in torch, tf-keras-vis in keras"
    settings: ClassVar[dict[str, str]] = {
        "layer": _LAYER,
        "score": "the logit S; the paper's exp(S) would only scale the map, and is left out (ours)",
        "alphas, torch": "eq. 19 as it stands. grad-cam adds 1e-6 to the denominator; gradients are"
        " scaled to a maximum of 1 and activations inversely, which leaves eq. 19 as it is and"
        " makes that addition small (ours)",
        "alphas, keras": "normalised to a sum of 1 per channel, as tf-keras-vis does; after a head"
        " of pooling and one dense layer the map is then LayerCAM's, scaled",
        "cost": "one forward pass, one gradient through the head",
    }

    def _of_features(
        self, network: Network, features: np.ndarray, targets: np.ndarray
    ) -> np.ndarray:
        return side(network).gradcam_plus_plus(network, features, targets)


class LayerCam(OfLastMap):
    """LayerCAM: each activation weighted by its own positive gradient."""

    name = "layercam"
    summary = "activations, each weighted by its own positive gradient"
    paper = "Jiang et al., LayerCAM, IEEE TIP 2021, doi 10.1109/TIP.2021.3089943"
    modules: ClassVar[dict[str, str]] = {"torch": "torchcam", "keras": "tf_keras_vis"}
    library = "torchcam in torch, tf-keras-vis in keras"
    settings: ClassVar[dict[str, str]] = {
        "layer": _LAYER,
        "score": "the logit (the libraries')",
        "cost": "one forward pass, one gradient through the head",
    }

    def _of_features(
        self, network: Network, features: np.ndarray, targets: np.ndarray
    ) -> np.ndarray:
        return side(network).layercam(network, features, targets)


class ScoreCam(Explainer):
    """Score-CAM: each channel weighted by the score of the image seen through it; no gradient."""

    name = "scorecam"
    last_map = True
    same_in_both = False
    summary = "activations, each weighted by the score of the image seen through it"
    paper = "Wang et al., Score-CAM, CVPR Workshops 2020, arXiv 1910.01279"
    modules: ClassVar[dict[str, str]] = {"torch": "torchcam", "keras": "tf_keras_vis"}
    library = "torchcam in torch, tf-keras-vis in keras"
    settings: ClassVar[dict[str, str]] = {
        "layer": _LAYER,
        "hidden pixels": "the image's mean colour (ours)",
        "weights, torch": "softmax over the channels of the rise of the logit (torchcam)",
        "weights, keras": "probability of the class (tf-keras-vis)",
        "cost": "one forward pass per channel, 512 (VGG16) to 2048 (Xception), and image",
    }

    def _maps(self, network: Network, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return side(network).scorecam(network, images, targets, mean_colours(images))
