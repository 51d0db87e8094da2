"""The Keras engine on TensorFlow: a traced step per stage, losses through keras.ops."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from architectures.network import Network
from benchmark.config import Recipe
from benchmark.methods.base import Batch, Stage
from benchmark.training.engine import ADAM_EPSILON, SGD_MOMENTUM, Engine, no_cuda


class KerasEngine(Engine):
    """Trains a Keras network with TensorFlow."""

    def __init__(self, network: Network, device: str, seed: int) -> None:
        gpus = tf.config.list_physical_devices("GPU")
        if device == "cuda" and not gpus:
            raise no_cuda("TensorFlow")
        self.network = network
        self._place = "/GPU:0" if gpus and device != "cpu" else "/CPU:0"
        keras.utils.set_random_seed(seed)
        shape = (None, *network.image_size, 3)
        self._images = tf.TensorSpec(shape, tf.uint8)
        self._infer = tf.function(self._probabilities, input_signature=[self._images])

    def begin(self, stage: Stage) -> None:
        """Freeze what the stage freezes, start a fresh optimiser, trace the step."""
        self.network.freeze(stage.recipe.freeze)
        if stage.recipe.bn_momentum is not None:
            self.network.set_bn_momentum(stage.recipe.bn_momentum)
        # What is frozen is decided when a function is traced, so both are traced anew.
        self._infer = tf.function(self._probabilities, input_signature=[self._images])
        variables = self.network.trainable()
        optimiser = _optimiser(stage.recipe)
        optimiser.build(variables)
        self._optimiser = optimiser
        # torch's SGD and Adam add the decay to the gradient; Keras' own would decouple it.
        coupled = 0.0 if stage.recipe.optimiser == "adamw" else stage.recipe.weight_decay

        def step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                batch = Batch(images, labels)
                loss = stage.loss(lambda pixels: self.network.forward(pixels, True), batch)
            gradients = tape.gradient(loss, variables)
            if coupled:
                gradients = [g + coupled * v for g, v in zip(gradients, variables, strict=True)]
            optimiser.apply(gradients, variables)
            return loss

        self._step = tf.function(
            step, input_signature=[self._images, tf.TensorSpec((None,), tf.int64)]
        )

    def train_step(self, images: np.ndarray, labels: np.ndarray, learning_rate: float) -> Any:
        """One optimiser step."""
        with tf.device(self._place):
            self._optimiser.learning_rate.assign(learning_rate)
            return self._step(images, labels)

    def predict(self, batches: Iterator[np.ndarray]) -> np.ndarray:
        """Softmax probabilities in inference mode: (N, K) float32."""
        with tf.device(self._place):
            return np.concatenate([self._infer(images).numpy() for images in batches])

    def optimiser_state(self) -> dict[str, np.ndarray]:
        """The optimiser's variables by position, and the seeds of the dropout layers."""
        state = {f"{i}": v.numpy() for i, v in enumerate(self._optimiser.variables)}
        return state | {f"seed/{i}": s.numpy() for i, s in enumerate(self._seeds())}

    def restore_optimiser(self, state: dict[str, np.ndarray]) -> None:
        """Put back what `optimiser_state` gave."""
        for position, variable in enumerate(self._optimiser.variables):
            variable.assign(state[f"{position}"])
        for position, seed in enumerate(self._seeds()):
            seed.assign(state[f"seed/{position}"])

    def device(self) -> dict[str, str]:
        """Where and how it computes."""
        name = "cpu"
        if self._place != "/CPU:0":
            gpu = tf.config.list_physical_devices("GPU")[0]
            name = tf.config.experimental.get_device_details(gpu).get("device_name", "gpu")
        return {"device": name, "precision": keras.config.dtype_policy().name, "layout": "NHWC"}

    def peak_device_memory(self) -> int | None:
        """Most bytes held on the GPU so far."""
        if self._place == "/CPU:0":
            return None
        return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])

    def _probabilities(self, images: tf.Tensor) -> tf.Tensor:
        logits = self.network.forward(images, training=False).logits
        return tf.nn.softmax(tf.cast(logits, tf.float32))

    def _seeds(self) -> list[Any]:
        variables = self.network.module.variables
        return [v for v in variables if v.path.endswith("seed_generator_state")]


def _optimiser(recipe: Recipe) -> keras.optimizers.Optimizer:
    rate = recipe.learning_rate
    if recipe.optimiser == "sgd":
        return keras.optimizers.SGD(rate, SGD_MOMENTUM, nesterov=True)
    if recipe.optimiser == "adam":
        return keras.optimizers.Adam(rate, epsilon=ADAM_EPSILON)
    return keras.optimizers.AdamW(rate, epsilon=ADAM_EPSILON, weight_decay=recipe.weight_decay)
