"""Training in Keras without us: a bare traced step on tensors, and `fit` on tf.data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from benchmark.speed.sides import made, nets
from benchmark.speed.sides.pipeline_keras import dataset
from benchmark.speed.sides.recipes import recipe
from benchmark.speed.sides.training import trained, warmed
from benchmark.speed.worker import Prepared
from benchmark.training.engine import ADAM_EPSILON


def _optimiser(settings: Mapping[str, Any]) -> keras.optimizers.Optimizer:
    asked = recipe(settings)
    return keras.optimizers.AdamW(
        asked.learning_rate, weight_decay=asked.weight_decay, epsilon=ADAM_EPSILON
    )


def bare(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """The limit: batches that are tensors in memory already, not augmented."""
    return _bare(settings)


def compiled(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """The bare step, compiled by XLA."""
    return warmed(_bare(settings, xla=True))


def _bare(settings: Mapping[str, Any], xla: bool = False) -> Prepared:
    network = nets.engine(settings).network
    variables, optimiser = network.trainable(), _optimiser(settings)
    optimiser.build(variables)
    count, size, batch = settings["images"], settings["size"], settings["batch"]
    images = tf.constant(made.pixels(count, size, size))
    labels = tf.constant(made.labels(count))

    @tf.function(jit_compile=xla or None)
    def step(some: Any, those: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = network.forward(some, training=True).logits
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(those, logits)
            loss = tf.reduce_mean(losses)
        optimiser.apply(tape.gradient(loss, variables), variables)
        return loss

    def work() -> int:
        found = [
            step(images[start : start + batch], labels[start : start + batch])
            for start in range(0, count, batch)
        ]
        float(tf.reduce_mean(tf.stack(found)))
        return len(found) * batch

    return Prepared(work, trained)


def fit(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """Keras' `fit`, one epoch at a time, on tf.data."""
    model = nets.engine(settings).network.module
    model.compile(
        _optimiser(settings), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    batches = dataset(settings, scratch).batches

    def work() -> int:
        model.fit(batches, epochs=1, verbose=0)
        return len(batches) * settings["batch"]

    return Prepared(work, trained)
