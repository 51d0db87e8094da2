"""Losses as scalars, means over the batch, on whatever tensors the running Keras backend has.

Importing this module imports keras: set KERAS_BACKEND first (the engines do).
"""

from typing import Any

from keras import backend, ops

Tensor = Any


def cross_entropy(logits: Tensor, labels: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Softmax cross-entropy.

    Args:
        logits: (N, K) float; the loss is float32 for anything below, or small probabilities vanish.
        labels: (N,) integers in 0..K-1.
        class_weights: (K,) float; each image's loss is multiplied by its class's weight and the
            mean is taken over N (Keras' `class_weight` rule; torch divides by the weights' sum).
    """
    # Keras' own result_type takes float64 down to float32 on torch.
    dtype = "float64" if backend.standardize_dtype(logits.dtype) == "float64" else "float32"
    logits = ops.cast(logits, dtype)
    picked = ops.one_hot(labels, logits.shape[-1], dtype=dtype)
    losses = -ops.sum(picked * ops.log_softmax(logits, axis=-1), axis=-1)
    if class_weights is not None:
        losses = losses * ops.take(ops.convert_to_tensor(class_weights, dtype), labels)
    return ops.mean(losses)
