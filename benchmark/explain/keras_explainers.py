"""The Keras side of the explainers: networks as tf-keras-vis wants them.

Which explainer this is, and with which settings, is said in `cams` and `pixels`. tf-keras-vis 0.8.7
works with Keras 3 but has neither integrated gradients nor occlusion: small ones are here. It is
imported where it is used, so that these need no library.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from architectures.network import Network

_BATCH = 16
# Each part costs one more forward pass; larger ones take more memory, for their masked copies.
_CHANNELS = 128

# The map as it is: neither enlarged nor normalised.
_RAW = {"expand_cam": False, "normalize_cam": False, "seek_penultimate_conv_layer": False}


class Shift(keras.layers.Layer):
    """Adds one colour: a mask's zeros become it."""

    def build(self, input_shape: Any) -> None:
        """The colour, set per image."""
        self.colour = self.add_weight(shape=(3,), trainable=False, name="colour")

    def call(self, images: Any) -> Any:
        """(N, H, W, 3) in and out."""
        return images + self.colour


class Channels(keras.layers.Layer):
    """Some of the channels of a map, from `start` on."""

    def __init__(self, start: int) -> None:
        super().__init__()
        self.start = start

    def call(self, maps: Any) -> Any:
        """(N, h, w, C) in, fewer channels out."""
        return maps[..., self.start : self.start + _CHANNELS]


class Silent(keras.Model):
    """A model whose `predict` draws no progress bar."""

    def predict(self, x: Any, batch_size: int | None = None) -> np.ndarray:
        """As keras.Model's."""
        return super().predict(x, batch_size=batch_size, verbose=0)


def gradcam_plus_plus(network: Network, features: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(B, h, w), see `cams.GradCamPlusPlus`; features (B, h, w, C)."""
    from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus

    logit = _logit(targets)

    def score(logits: Any) -> Any:
        # The library takes exp of the score; this one is 0, with the logit's gradient.
        return logit(logits) - tf.stop_gradient(logit(logits))

    tail, maps = _tail(network)
    found = GradcamPlusPlus(tail)(score, features, maps, **_RAW)
    return np.asarray(found)


def layercam(network: Network, features: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(B, h, w), see `cams.LayerCam`; features (B, h, w, C)."""
    from tf_keras_vis.layercam import Layercam

    tail, maps = _tail(network)
    found = Layercam(tail)(_logit(targets), features, maps, **_RAW)
    return np.asarray(found)


def scorecam(
    network: Network, images: np.ndarray, targets: np.ndarray, colours: np.ndarray
) -> np.ndarray:
    """(B, h, w), see `cams.ScoreCam`; colours (B, 3) of hidden pixels.

    The library masks all channels at once, gigabytes for one photograph. Its map is a sum over the
    channels, so it is asked for some of them at a time.
    """
    from tf_keras_vis.scorecam import Scorecam

    shift = Shift()
    centred = keras.Input((*network.image_size, 3))
    module = network.module
    maps = module.get_layer("backbone")(module.get_layer("pixels")(shift(centred)))
    parts = [Channels(start) for start in range(0, maps.shape[-1], _CHANNELS)]
    for part in parts:
        part(maps)
    library = Scorecam(Silent([centred], [module.get_layer("tail")(maps)[1]]))
    found = []
    for image, target, colour in zip(images, targets, colours, strict=True):
        shift.colour.assign(colour)
        seed = image[None].astype(np.float32) - colour
        sums = [
            library(
                _logit([target]),
                seed,
                part,
                batch_size=_BATCH,
                activation_modifier=None,
                **_RAW,
            )
            for part in parts
        ]
        found.append(np.sum(sums, 0)[0])
    return np.stack(found)


def gradients(network: Network, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(N, H, W, 3) float32: the gradient of the target's logit; images (N, H, W, 3) float32."""
    parts = []
    for start in range(0, len(images), _BATCH):
        pixels = tf.constant(images[start : start + _BATCH])
        logit = _logit(targets[start : start + _BATCH])
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pixels)
            score = logit(network.module(pixels, training=False))
        parts.append(tape.gradient(score, pixels).numpy())
    return np.concatenate(parts)


def integrated_gradients(
    network: Network, images: np.ndarray, targets: np.ndarray, baselines: np.ndarray, steps: int
) -> np.ndarray:
    """(B, H, W), see `pixels.IntegratedGradients`; the nodes are captum's."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    shares, weights = (nodes + 1) / 2, weights / 2
    found = []
    for image, target, baseline in zip(images, targets, baselines, strict=True):
        way = image.astype(np.float32) - baseline
        points = (baseline + shares[:, None, None, None] * way).astype(np.float32)
        slopes = gradients(network, points, np.full(steps, target))
        found.append((np.einsum("s,shwc->hwc", weights, slopes) * way).sum(-1))
    return np.stack(found)


def occlusion(
    network: Network,
    images: np.ndarray,
    targets: np.ndarray,
    baselines: np.ndarray,
    window: tuple[int, int],
    stride: tuple[int, int],
) -> np.ndarray:
    """(B, H, W), see `pixels.Occlusion`; windows lie as captum lays them, the last ones cut."""
    height, width = images.shape[1:3]
    rows, columns = (
        [slice(i * step, i * step + side) for i in range(-(-(length - side) // step) + 1)]
        for length, side, step in zip((height, width), window, stride, strict=True)
    )
    places = [(row, column) for row in rows for column in columns]
    found = []
    for image, target, baseline in zip(images, targets, baselines, strict=True):
        whole = network.logits(image[None])[0, target]
        total, count = np.zeros((2, height, width))
        for start in range(0, len(places), _BATCH):
            some = places[start : start + _BATCH]
            hidden = np.repeat(image[None], len(some), 0)
            for copy, place in zip(hidden, some, strict=True):
                copy[place] = baseline[place]
            for place, logit in zip(some, network.logits(hidden)[:, target], strict=True):
                total[place] += whole - logit
                count[place] += 1
        found.append(total / count)
    return np.stack(found)


def _tail(network: Network) -> tuple[keras.Model, keras.layers.Layer]:
    """From the Grad-CAM layer's output to the logits, and the layer that libraries hook."""
    tail = network.module.get_layer("tail")
    start = keras.Input(tail.input_shape[1:])
    maps = keras.layers.Identity()
    return keras.Model(start, tail(maps(start))[1]), maps


def _logit(targets: Any) -> Callable[[Any], Any]:
    """Logits (N, K) -> those of the targets, (N,)."""
    return lambda logits: tf.gather(logits, np.asarray(targets, np.int64), batch_dims=1)
