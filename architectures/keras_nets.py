"""Catalogue row -> Keras network on TensorFlow: keras.applications without top, pixels in front.

Only `architectures.build` imports this module, once the Keras backend is settled.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from architectures.architecture import Architecture
from architectures.cams import Cam
from architectures.heads import COSINE_FLOOR, COSINE_SCALE, HEAD_DROPOUT, last_layers
from architectures.network import Forward, Network
from architectures.pixels import EFFICIENTNET_RESCALE, EFFICIENTNET_SCALE, PREPROCESSING
from architectures.weights import Row, Slot, table

_MOVING = ("moving_mean", "moving_variance")


class Pixels(keras.layers.Layer):
    """(N, H, W, 3) RGB of 0..255, as the architecture's `preprocess_input` leaves it."""

    def __init__(self, architecture: Architecture) -> None:
        # Full precision even under a mixed policy: the next layer casts.
        super().__init__(name="pixels", dtype=keras.config.floatx(), trainable=False)
        self.spec = PREPROCESSING[architecture.preprocessing]

    def call(self, images: Any) -> Any:
        """Same shape out, floating point."""
        x = keras.ops.cast(images, self.compute_dtype)
        if self.spec.bgr:
            x = x[..., ::-1]
        mean = keras.ops.array(self.spec.mean, self.compute_dtype)
        deviation = keras.ops.array(self.spec.deviation, self.compute_dtype)
        return (x / self.spec.divisor - mean) / deviation


class EfficientNetPixels(keras.layers.Layer):
    """EfficientNetB0's input layers: Rescaling, Normalization, Rescaling.

    keras.applications adds the second Rescaling only while it loads its ImageNet weights.
    """

    def __init__(self) -> None:
        super().__init__(name="pixels", dtype=keras.config.floatx(), trainable=False)

    def build(self, input_shape: Any) -> None:
        """Mean and variance, which a weights file brings."""
        self.mean = self.add_weight(shape=(3,), name="mean", trainable=False)
        self.variance = self.add_weight(
            shape=(3,), name="variance", initializer="ones", trainable=False
        )

    def call(self, images: Any) -> Any:
        """(N, H, W, 3) in and out."""
        x = keras.ops.cast(images, self.compute_dtype) * EFFICIENTNET_SCALE
        rescale = keras.ops.array(EFFICIENTNET_RESCALE, self.compute_dtype)
        return (x - self.mean) / keras.ops.sqrt(self.variance) * rescale


class Cosine(keras.layers.Layer):
    """COSINE_SCALE times the cosine of each feature vector with each column of the kernel.

    As LDAM's NormedLinear (Cao et al., arXiv 1906.07413), whose loss multiplies by s.
    """

    def __init__(self, classes: int, **options: Any) -> None:
        super().__init__(**options)
        self.classes = classes

    def build(self, input_shape: Any) -> None:
        """The kernel, (D, classes)."""
        self.kernel = self.add_weight(shape=(input_shape[-1], self.classes), name="kernel")

    def call(self, features: Any) -> Any:
        """(N, D) -> (N, classes)."""
        return COSINE_SCALE * keras.ops.matmul(_unit(features, 1), _unit(self.kernel, 0))


def _unit(vectors: Any, axis: int) -> Any:
    squares = keras.ops.sum(keras.ops.square(vectors), axis, keepdims=True)
    return vectors * keras.ops.rsqrt(keras.ops.maximum(squares, COSINE_FLOOR))


class KerasNetwork(Network):
    """A `Network` in Keras on TensorFlow."""

    framework = "keras"
    module: keras.Model

    def __init__(
        self,
        architecture: Architecture,
        sizes: tuple[int, ...],
        image_size: tuple[int, int],
        head: tuple[str, ...],
        seed: int,
    ) -> None:
        """Build the network; the weights are those of `initialise`, `seed` is for its dropout."""
        super().__init__(architecture, sizes, image_size, head)
        self._seed = seed
        # Of dropout, and of weights, which are replaced.
        with drawn_from(seed):
            self._build(architecture)
        self._backbone_fixed = False
        # Traced at the first use; three to five times as fast as eager layers.
        signature = tf.TensorSpec((None, *image_size, 3), tf.uint8)
        self._graph = tf.function(self._whole, input_signature=[signature])
        self._early_graph = tf.function(self._to_early, input_signature=[signature])
        self._cam_graph = tf.function(self._cams, reduce_retracing=True)

    def _build(self, architecture: Architecture) -> None:
        shape = (*self.image_size, 3)
        base = getattr(keras.applications, architecture.name)(
            include_top=False, weights=None, input_shape=shape
        )
        start, end = base.input, base.output
        self._pixels: keras.layers.Layer
        if architecture.preprocessing == "none":
            self._pixels = EfficientNetPixels()
            start = base.get_layer("stem_conv_pad").input
        else:
            self._pixels = Pixels(architecture)
        if architecture.name == "VGG16":
            end = base.get_layer(architecture.keras_cam).output
        self._backbone = keras.Model(start, end, name="backbone")
        # The same layers in two parts, where the paper's Grad-CAM map comes before ours.
        self._early: keras.Model | None = None
        self._rest: keras.Model | None = None
        if architecture.torch_paper_cam is not None:
            cut = base.get_layer(architecture.settings.cam_layer).output
            self._early = keras.Model(start, cut, name="early")
            self._rest = keras.Model(cut, end, name="rest")
        self._layers = [layer for layer in base.layers if layer.weights]
        self._tail = self._build_tail(tuple(end.shape[1:]))
        images = keras.Input(shape, name="images", dtype=keras.config.floatx())
        self.module = keras.Model(
            images, self._tail(self._backbone(self._pixels(images)))[1], name=architecture.name
        )

    def _build_tail(self, map_shape: tuple[int, int, int]) -> keras.Model:
        """From the Grad-CAM map to [features, logits]."""
        exact = {"dtype": keras.config.floatx()}
        maps = keras.Input(map_shape)
        last = self._last_map(maps)
        features = keras.layers.GlobalAveragePooling2D(**exact)(last)
        x = keras.layers.Flatten(**exact)(last) if "flatten" in self.head else features
        self._head_layers = []
        for position, part in enumerate(self.head):
            if position == len(self.head) - 1 and len(self.sizes) > 1:
                names = last_layers(self.head, self.sizes)
                layers = [
                    keras.layers.Dense(size, name=name, **exact)
                    for name, size in zip(names, self.sizes, strict=True)
                ]
                x = keras.layers.Concatenate(**exact)([layer(x) for layer in layers])
                self._head_layers += layers
                continue
            if part == "dense":
                layer = keras.layers.Dense(self.classes, name=f"dense_{position}", **exact)
            elif part == "cosine":
                layer = Cosine(self.classes, name=f"cosine_{position}", **exact)
            elif part == "batchnorm":
                layer = keras.layers.BatchNormalization(name=f"batchnorm_{position}", **exact)
            elif part == "dropout":
                layer = keras.layers.Dropout(HEAD_DROPOUT, name=f"dropout_{position}", **exact)
            else:
                continue
            x = layer(x)
            self._head_layers.append(layer)
        return keras.Model(maps, [features, x], name="tail")

    def _last_map(self, maps: Any) -> Any:
        """What is pooled, from the Grad-CAM layer's output."""
        if self.architecture.name == "VGG16":
            return keras.layers.MaxPooling2D(2, dtype=keras.config.floatx())(maps)
        return maps

    # ---- numpy level

    def _infer(self, images: np.ndarray) -> Forward:
        _, features, logits = self._graph(images)
        return Forward(features.numpy(), logits.numpy())

    def _infer_map(self, images: np.ndarray) -> np.ndarray:
        return tf.cast(self._graph(images)[0], tf.float32).numpy()

    def _infer_gradcams(self, images: np.ndarray, asked: list[Cam]) -> list[np.ndarray]:
        early = [cam.paper and self._rest is not None for cam in asked]
        # By whether it is the earlier one.
        maps = {
            before: self._early_graph(images) if before else self._graph(images)[0]
            for before in set(early)
        }
        # A tuple: its length, unlike an axis, is known when the function is traced.
        return [
            self._cam_graph(maps[before], tuple(cam.targets.T), cam.paper).numpy()
            for before, cam in zip(early, asked, strict=True)
        ]

    def _whole(self, images: Any) -> tuple[Any, Any, Any]:
        maps = self._backbone(self._pixels(images), training=False)
        return maps, *self._tail(maps, training=False)

    def _to_early(self, images: Any) -> Any:
        assert self._early is not None
        return self._early(self._pixels(images), training=False)

    def _cams(self, maps: Any, targets: tuple[Any, ...], paper: bool) -> Any:
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(maps)
            last = maps if self._rest is None or not paper else self._rest(maps, training=False)
            scores = self._tail(last, training=False)[1]
            if paper and self.architecture.settings.cam_score == "probability":
                scores = tf.nn.softmax(scores)
            # In inference mode no image touches another, so one gradient of the sum serves all.
            sums = [tf.reduce_sum(tf.gather(scores, target, batch_dims=1)) for target in targets]
        weights = [tf.reduce_mean(tape.gradient(one, maps), (1, 2)) for one in sums]
        found = tf.einsum("ntc,nhwc->nthw", tf.stack(weights, 1), maps)
        return tf.cast(tf.nn.relu(found), tf.float32)

    # ---- tensor level

    def forward(self, images: Any, training: bool) -> Forward:
        """See `Network.forward`."""
        backbone = training and not self._backbone_fixed
        maps = self._backbone(self._pixels(images), training=backbone)
        return Forward(*self._tail(maps, training=training))

    def trainable(self) -> list[Any]:
        """See `Network.trainable`."""
        return list(self.module.trainable_variables)

    def _freeze(self, policy: str) -> None:
        self._backbone_fixed = policy == "backbone"
        # TensorFlow drops a setting that equals the last one, unseen by the layers below it.
        self._backbone.trainable = False
        self._backbone.trainable = not self._backbone_fixed
        if policy == "backbone-weights":
            # By variables: a layer that is not trainable normalises as in inference.
            for variable in self._backbone.trainable_variables:
                variable.trainable = False
        if policy == "paper":
            for layer in self._layers[: self.architecture.settings.fixed_rows]:
                if not isinstance(layer, keras.layers.BatchNormalization):
                    layer.trainable = False

    def set_bn_momentum(self, momentum: float) -> None:
        """See `Network.set_bn_momentum`."""
        for layer in (*self._layers, *self._head_layers):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = momentum

    def twin(self) -> "KerasNetwork":
        """See `Network.twin`."""
        other = type(self)(self.architecture, self.sizes, self.image_size, self.head, self._seed)
        other.weights = self.weights
        other.assign(self.tensors())
        return other

    def averaged(self) -> list[Any]:
        """See `Network.averaged`."""
        return [variable for variable in self._variables() if variable.name not in _MOVING]

    def statistics(self) -> list[Any]:
        """See `Network.statistics`."""
        return [variable for variable in self._variables() if variable.name in _MOVING]

    def _variables(self) -> Iterator[Any]:
        for layer in (*self._layers, *self._head_layers):
            yield from layer.weights

    # ---- weights

    def base_slots(self) -> list[tuple[Row, list[Slot]]]:
        """See `Network.base_slots`."""
        slots = []
        for row, layer in zip(table(self.architecture.name), self._layers, strict=True):
            variables = layer.weights
            if row.kind == "normalization":
                # Our layer stands in for Keras' own.
                variables = self._pixels.weights
            roles = {"kernel": "depthwise_kernel"} if row.kind == "depthwise" else {}
            named = [(v, roles.get(v.name, v.name)) for v in variables]
            slots.append(
                (row, [variable_slot(f"{row.layer}/{role}", v, role) for v, role in named])
            )
        return slots

    def head_slots(self) -> list[Slot]:
        """See `Network.head_slots`."""
        return [
            variable_slot(f"head/{layer.name}/{v.name}", v, v.name)
            for layer in self._head_layers
            for v in layer.weights
        ]


@contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """Within, what Keras draws follows from the seed: it takes its own seeds from `random`."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


def variable_slot(name: str, variable: Any, role: str) -> Slot:
    """One variable under a name."""

    def read() -> np.ndarray:
        return variable.numpy()

    return Slot(name, role, tuple(variable.shape), read, variable.assign)
