"""Grad-CAM of tf-keras-vis, called as its documentation does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from architectures.network import Network
from benchmark.speed.sides.gradcam import asked, shown
from benchmark.speed.sides.made import CLASSES
from benchmark.speed.worker import Prepared


def tf_keras_vis(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """tf-keras-vis; maps neither enlarged nor scaled, which would cost it more."""
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.scores import CategoricalScore

    network, images, targets = asked(settings)
    model = _flat(network)
    library = Gradcam(model, clone=False)
    score = CategoricalScore(targets.tolist())
    floats = images.astype(np.float32)

    def work() -> np.ndarray:
        maps = library(
            score,
            floats,
            penultimate_layer=network.architecture.keras_cam,
            seek_penultimate_conv_layer=False,
            expand_cam=False,
            normalize_cam=False,
        )
        return np.asarray(maps)

    return Prepared(work, lambda maps: shown(maps, settings["size"]))


def _flat(network: Network) -> keras.Model:
    """The same function without a model inside a model, which the library cannot look into."""
    images = keras.Input((*network.image_size, 3))
    pixels = network.module.get_layer("pixels")
    base = getattr(keras.applications, network.architecture.name)(
        include_top=False, weights=None, input_tensor=pixels(images)
    )
    own = [layer for layer in network.module.get_layer("backbone").layers if layer.weights]
    flat = [layer for layer in base.layers if layer.weights and layer is not pixels]
    for ours, theirs in zip(own, flat, strict=True):
        theirs.set_weights(ours.get_weights())
    features = keras.layers.GlobalAveragePooling2D()(base.output)
    last = keras.layers.Dense(CLASSES)
    model = keras.Model(images, last(features))
    (dense,) = [layer for layer in network.module.get_layer("tail").layers if layer.weights]
    last.set_weights(dense.get_weights())
    return model
