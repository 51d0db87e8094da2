"""What the torch half and the Keras half of the parity tests do alike; no framework here."""

import hashlib

import numpy as np

CLASSES = 5
# Ends of the names of what no gradient moves: statistics, and EfficientNet's input layer.
FIXED = ("mean", "variance")


def public(network, images, batch_size=2):
    """What the numpy level offers, float32."""
    return {
        "logits": network.logits(images, batch_size),
        "features": network.features(images, batch_size),
        "map": network.feature_map(images, batch_size),
        "gradcam": network.gradcam(images, np.ones(len(images), int), batch_size),
    }


def digest(network):
    """Of all weights of a network."""
    found = hashlib.sha256()
    for name, array in network.tensors().items():
        found.update(name.encode() + array.tobytes())
    return found.hexdigest()
