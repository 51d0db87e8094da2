"""Make `keras_reference.npz`: what Keras computes with the weights and images of `seeded`.

Run as `python tests/architectures/make_reference.py [FILE [SIZE ...]]` where TensorFlow is
installed, when the weights, images or sizes of `seeded` change, or numpy draws others. SIZE is one
of theirs, for a check that takes less time. Keras computes in float64, so
the file does not depend on the processor or on how sums are ordered; it holds float32.

The file's entries: "<arch>/<height>x<width>" pooled features (2, D); "<arch>/weights" and
"images/<height>x<width>" digests; "made_with" the versions.
"""

import os
import sys
from pathlib import Path
from unittest.mock import patch

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # oneDNN reorders sums

import keras
import numpy as np
import seeded
import tensorflow as tf
from keras.src.utils import file_utils

import architectures

REFERENCE = Path(__file__).with_name("keras_reference.npz")


def stock_features(network, images):
    """The same features by keras.applications' own network and preprocessing, (N, D)."""
    constructor = getattr(keras.applications, network.architecture.name)
    # EfficientNetB0 gets its second Rescaling only while it loads its ImageNet file.
    no_file = patch.object(file_utils, "get_file", return_value="no file")
    with no_file, patch.object(keras.Model, "load_weights") as load:
        stock = constructor(
            include_top=False, weights="imagenet", input_shape=images.shape[1:], pooling="avg"
        )
    load.assert_called_once()
    weighted = [layer for layer in stock.layers if layer.weights]
    for layer, (row, slots) in zip(weighted, network.base_slots(), strict=True):
        arrays = [slot.read() for slot in slots]
        if row.kind == "normalization":
            layer.set_weights([*arrays, np.array(0)])  # the number of samples, for `adapt`
            layer.finalize_state()
        else:
            layer.set_weights(arrays)
    preprocess = sys.modules[constructor.__module__].preprocess_input
    return stock.predict(preprocess(images.astype("float64")), verbose=0)


def reference(arch, sizes):
    """The file's entries of one architecture."""
    found = {}
    for label, size in sizes.items():
        keras.utils.clear_session()
        network = architectures.build(arch, "keras", 3, image_size=size)
        drawn = seeded.weights(network)
        network.assign(drawn)
        images = seeded.images(size)
        features = network.features(images)
        stock = stock_features(network, images)
        error = np.abs(features - stock).max() / np.abs(stock).max()
        print(f"{arch} {label}: {error:.1e} from keras.applications", flush=True)
        assert error <= 1e-6, "our Keras network is not the one of keras.applications"
        found[f"{arch}/weights"] = seeded.digest(drawn.values())
        found[f"{arch}/{label}"] = features
    return found


def main(path, sizes):
    keras.config.set_floatx("float64")
    versions = (f"{x.__name__} {x.__version__}" for x in (keras, tf, np))
    entries = {"made_with": ", ".join(versions)}
    for label, size in sizes.items():
        entries[f"images/{label}"] = seeded.digest([seeded.images(size)])
    for arch in architectures.names():
        entries |= reference(arch, sizes)
    np.savez_compressed(path, **entries)


if __name__ == "__main__":
    main(
        Path(sys.argv[1]) if len(sys.argv) > 1 else REFERENCE,
        {label: seeded.SIZES[label] for label in sys.argv[2:] or seeded.SIZES},
    )
