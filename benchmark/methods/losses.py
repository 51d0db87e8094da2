"""Losses as scalars, means over the batch, on whatever tensors the running Keras backend has.

Importing this module imports keras: set KERAS_BACKEND first (the engines do).
"""

from typing import Any

from keras import ops

Tensor = Any


def cross_entropy(logits: Tensor, labels: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Softmax cross-entropy.

    Args:
        logits: (N, K) float.
        labels: (N,) integers in 0..K-1.
        class_weights: (K,) float; each image's loss is multiplied by its class's weight and the
            mean is taken over N (Keras' `class_weight` rule; torch divides by the weights' sum).
    """
    logits = ops.cast(logits, "float32")
    picked = ops.one_hot(labels, logits.shape[-1], dtype="float32")
    losses = -ops.sum(picked * ops.log_softmax(logits, axis=-1), axis=-1)
    if class_weights is not None:
        losses = losses * ops.take(ops.convert_to_tensor(class_weights, "float32"), labels)
    return ops.mean(losses)
