"""The same files through tf.data and Keras' random layers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmark.speed.sides import made
from benchmark.speed.sides.pipeline import WORKERS, Loading


def dataset(settings: Mapping[str, Any], scratch: Path) -> Loading:
    """The changes of our recipe in Keras' terms; every epoch decodes the files."""
    paths = made.files(scratch / "images", settings["images"])
    size = (settings["size"], settings["size"])
    changes = keras.Sequential(
        [
            keras.layers.RandomFlip(),
            keras.layers.RandomRotation(0.5),
            keras.layers.RandomZoom(0.1),
            keras.layers.RandomBrightness(0.1),
        ]
    )

    def read(path: Any, label: Any) -> tuple[Any, Any]:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.image.resize(image, size, method="area"), label

    def change(images: Any, labels: Any) -> tuple[Any, Any]:
        return changes(images, training=True), labels

    names = [str(path) for path in paths]
    files = tf.data.Dataset.from_tensor_slices((names, made.labels(len(paths))))
    batches = (
        files.shuffle(len(paths), seed=0)
        .map(read, num_parallel_calls=WORKERS)
        .batch(settings["batch"], drop_remainder=True)
        .map(change, num_parallel_calls=WORKERS)
        .prefetch(2)
    )

    def work() -> int:
        return sum(len(labels) for _, labels in batches)

    return Loading(work, np.atleast_1d, facts={"workers": WORKERS}, batches=batches)
