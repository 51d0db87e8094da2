"""A network of two numbers per image, in both frameworks, and Gaussian classes to train it on."""

from dataclasses import replace

import keras
import numpy as np

import architectures
from architectures.heads import last_layers
from architectures.network import Forward, Network
from architectures.weights import Row, Slot
from benchmark.data.pipeline import Samples

SIDE, HIDDEN = 2, 16
CENTRES, SPREAD = np.array([[0.35, 0.6], [0.6, 0.35]]), 0.11


def build(
    arch, framework, classes, image_size=None, weights=None, seed=0, head="plain", cam_layer=""
):
    """In place of `architectures.build`, for whole runs of seconds."""
    return PointNetwork(seed, classes, image_size)


class PointNetwork(Network):
    """An image's point is its mean red and green; two dense layers, perhaps normalised between.

    Written once, in keras on whatever backend runs. Its weights are drawn as those of `build`. Of
    several diseases, the last layers stand side by side.

    Attributes:
        passes: whether each forward pass was in training mode, in order; in a traced function, each
            pass while it was traced.
    """

    def __init__(self, seed, classes=2, image_size=(SIDE, SIDE), normalised=False):
        architecture = replace(architectures.find("MobileNetV2"), channels=HIDDEN)
        sizes = classes if isinstance(classes, tuple) else (classes,)
        super().__init__(architecture, sizes, image_size, ("pool", "dense"))
        self.framework = {"torch": "torch", "tensorflow": "keras"}[keras.backend.backend()]
        self.seed, self.passes = seed, []
        self._normalised, self._head_alone = normalised, False
        weighted = [keras.layers.Dense(HIDDEN, name="hidden")]
        if normalised:
            weighted.append(keras.layers.BatchNormalization(name="normalised"))
        self._weighted = weighted
        self._last = Heads(sizes, last_layers(self.head, sizes))
        self._base = keras.Sequential([*weighted, keras.layers.ReLU()])
        self.module = keras.Sequential([self._base, self._last])
        with keras.device("cpu"):
            self.module.build((None, 2))
        self.initialise(seed)

    def forward(self, images, training):
        self.passes.append(training)
        with keras.device("cpu"):
            colours = keras.ops.mean(keras.ops.cast(images, "float32"), axis=(1, 2))
            features = self._base(colours[:, :2] / 32 - 4, training=training)
            return Forward(features, self._last(features))

    def _infer(self, images):
        found = self.forward(keras.ops.convert_to_tensor(images), False)
        return Forward(*map(_numpy, found))

    def trainable(self):
        layer = self._last if self._head_alone else self.module
        return self._tensors(layer.trainable_variables)

    def averaged(self):
        return self._tensors(self.module.trainable_variables)

    def statistics(self):
        return self._tensors(self.module.non_trainable_variables)

    def _tensors(self, variables):
        return [v.value for v in variables] if self.framework == "torch" else list(variables)

    def twin(self):
        other = PointNetwork(self.seed, self.sizes, self.image_size, self._normalised)
        other.assign(self.tensors())
        return other

    def base_slots(self):
        return [(Row(layer.name, "conv", ()), _slots(layer)) for layer in self._weighted]

    def head_slots(self):
        return [slot for layer in self._last.layers for slot in _slots(layer, "head/")]

    def _freeze(self, policy):
        self._head_alone = policy.startswith("backbone")

    def set_bn_momentum(self, momentum):
        for layer in self._weighted[1:]:
            layer.momentum = momentum

    def _unasked(self, *arguments):
        raise NotImplementedError

    _infer_map = _infer_gradcams = _unasked


class Heads(keras.layers.Layer):
    """Dense layers side by side."""

    def __init__(self, sizes, names):
        super().__init__()
        named = zip(sizes, names, strict=True)
        self.layers = [keras.layers.Dense(size, name=name) for size, name in named]

    def call(self, features):
        return keras.ops.concatenate([layer(features) for layer in self.layers], axis=1)


def _slots(layer, prefix=""):
    def slot(variable):
        name, shape = f"{prefix}{layer.name}/{variable.name}", tuple(variable.shape)
        return Slot(name, variable.name, shape, lambda: _numpy(variable), variable.assign)

    return [slot(variable) for variable in layer.variables]


def _numpy(tensor):
    return keras.ops.stop_gradient(tensor).numpy().copy()


def gaussians(counts, seed):
    """Samples of these many points of class 0 and of class 1, in this order."""
    generator = np.random.default_rng(seed)
    labels = np.repeat([0, 1], counts)
    points = generator.normal(CENTRES[labels], SPREAD)
    pixels = np.zeros((len(labels), SIDE, SIDE, 3), np.uint8)
    pixels[..., :2] = np.rint(255 * np.clip(points, 0, 1))[:, None, None]
    return Samples(pixels, np.arange(len(labels)), labels)
