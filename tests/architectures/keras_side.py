"""The Keras half of the tests, in a process of its own: TensorFlow and torchvision never meet.

Run as `python keras_side.py FOLDER`. Reads FOLDER/jobs.json and the networks saved beside it by the
torch half, writes what Keras makes of them: facts.json and one .npz per job.
"""

import hashlib
import json
import os
import random
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
# oneDNN reorders sums; without it float64 is compared with float64.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import h5py
import keras
import numpy as np
import tensorflow as tf
from keras.src.legacy.saving import legacy_h5_format

import architectures

KINDS = {
    "Conv2D": "conv",
    "DepthwiseConv2D": "depthwise",
    "SeparableConv2D": "separable",
    "BatchNormalization": "batchnorm",
    "Normalization": "normalization",
}


def facts(name):
    """What keras.applications says about one architecture, for the catalogue to be held against."""
    keras.utils.clear_session()
    row = architectures.find(name)
    made, constructor = [], getattr(keras.applications, name)

    def recorded(**arguments):
        made.append(constructor(**arguments))
        return made[-1]

    setattr(keras.applications, name, recorded)
    size = (row.least_size, row.least_size + 5)
    state = random.getstate()
    network = architectures.build(name, "keras", 4, image_size=size)
    kept = random.getstate() == state
    setattr(keras.applications, name, constructor)
    base = made[0]
    weighted = [layer for layer in base.layers if layer.weights]
    position = base.layers.index(base.get_layer(row.settings.last_fixed_layer))
    norms = [x for x in weighted if isinstance(x, keras.layers.BatchNormalization)]
    found = {
        "base_parameters": base.count_params(),
        "map": list(base.get_layer(row.keras_cam).output.shape[1:]),
        "rows": [[layer.name, KINDS[type(layer).__name__]] for layer in weighted],
        "fixed_rows": sum(bool(layer.weights) for layer in base.layers[: position + 1]),
        "bn": sorted({(norm.epsilon, norm.momentum) for norm in norms}),
        "drop": [x.rate for x in base.layers if isinstance(x, keras.layers.Dropout)],
        "global_generator_kept": kept,
        "new_weights": digest(network),
    }
    for policy in ("none", "paper", "backbone"):
        network.freeze(policy)
        found[f"trainable_{policy}"] = sum(int(np.prod(v.shape)) for v in network.trainable())
    return found


def digest(network):
    """Of all weights of a network."""
    found = hashlib.sha256()
    for name, array in network.tensors().items():
        found.update(name.encode() + array.tobytes())
    return found.hexdigest()


def outputs(job, folder):
    """Everything a network computes, for one saved network and one batch."""
    keras.utils.clear_session()
    keras.config.set_floatx(job["dtype"])
    network = architectures.build(
        job["arch"], "keras", 5, image_size=tuple(job["size"]), head=job["head"]
    )
    network.load(folder / f"{job['id']}.safetensors")
    images = np.load(folder / f"{job['id']}_images.npy")
    maps, features, logits = network._whole(tf.constant(images))
    with tf.GradientTape() as tape:
        tape.watch(maps)
        score = tf.reduce_sum(network._tail(maps, training=False)[1][:, 1])
    slope = tf.reduce_mean(tape.gradient(score, maps), (1, 2), keepdims=True)
    for layer in (*network._backbone._flatten_layers(), *network._tail._flatten_layers()):
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    targets = np.ones(len(images), int)
    found = {
        "maps": maps,
        "features": features,
        "logits": logits,
        "cam": tf.nn.relu(tf.reduce_sum(slope * maps, -1)),
        "numpy_logits": network.logits(images, batch_size=1),
        "numpy_features": network.features(images),
        "numpy_maps": network.feature_map(images),
        "numpy_cam": network.gradcam(images, targets, batch_size=1),
        "module": network.module(images),
        "train_logits": network.forward(tf.constant(images), training=True).logits,
    }
    found |= {f"after/{name}": array for name, array in network.tensors().items()}
    network.save(folder / f"{job['id']}_keras.safetensors")
    np.savez(folder / f"{job['id']}_keras.npz", **{k: np.asarray(v) for k, v in found.items()})
    keras.config.set_floatx("float32")


def stock_file(name, size, folder):
    """A legacy .h5 as keras.applications publishes, and what the stock network makes of it."""
    keras.utils.clear_session()
    generator = np.random.default_rng(3)
    base = getattr(keras.applications, name)(include_top=False, weights=None, input_shape=size)
    for layer in base.layers:
        if isinstance(layer, keras.layers.Normalization):
            mean, variance = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
            layer.set_weights([np.array(mean), np.array(variance), np.array(0)])
        elif layer.weights:
            layer.set_weights([_random(weight, generator) for weight in layer.weights])
    path = folder / f"{name}.h5"
    with h5py.File(path, "w") as stored:
        legacy_h5_format.save_weights_to_hdf5_group(stored, base)
    # The real loading path of keras.applications, without the download.
    module = sys.modules[f"keras.src.applications.{SOURCES[name]}"]
    module.file_utils.get_file = lambda *args, **kwargs: str(path)
    stock = getattr(keras.applications, name)(
        include_top=False, weights="imagenet", input_shape=size, pooling="avg"
    )
    images = np.random.default_rng(4).integers(0, 256, (2, *size)).astype(np.uint8)
    features = stock(module.preprocess_input(images.astype("f")))
    architectures.published.imagenet = lambda architecture: path
    ours = architectures.build(name, "keras", 3, image_size=size[:2], weights="imagenet")
    np.savez(
        folder / f"{name}_stock.npz",
        images=images,
        features=features,
        ours=ours.features(images),
    )


SOURCES = {"MobileNetV2": "mobilenet_v2", "EfficientNetB0": "efficientnet"}


def _random(weight, generator):
    shape = tuple(weight.shape)
    if "kernel" in weight.name:
        fan = 9 if shape[-1] == 1 else np.prod(shape[:-1])
        return generator.standard_normal(shape) * np.sqrt(2 / fan)
    if weight.name in ("gamma", "moving_variance"):
        return generator.uniform(0.6, 1.4, shape)
    return 0.1 * generator.standard_normal(shape)


def main(folder):
    tf.config.threading.set_intra_op_parallelism_threads(2)
    jobs = json.loads((folder / "jobs.json").read_text())
    for job in jobs["outputs"]:
        outputs(job, folder)
    for name, size in jobs["stock"]:
        stock_file(name, (*size, 3), folder)
    found = {name: facts(name) for name in jobs["facts"]}
    (folder / "facts.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
