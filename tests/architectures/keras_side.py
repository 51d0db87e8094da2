"""The Keras half of the tests, in a process of its own: TensorFlow and torchvision never meet.

Run as `python keras_side.py FOLDER`. Reads FOLDER/jobs.json and the networks saved beside it by the
torch half, writes what Keras makes of them: facts.json and .npz files.
"""

import json
import os
import random
import sys
from collections import Counter, defaultdict
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
# oneDNN reorders sums; without it float64 is compared with float64.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import h5py
import keras
import numpy as np
import tensorflow as tf
from both_sides import CLASSES, FIXED, digest, public
from keras.src.legacy.saving import legacy_h5_format
from keras_writer import draw

import architectures
from architectures import weights
from architectures.network import FREEZE_POLICIES
from benchmark.methods.losses import cross_entropy

KINDS = {
    "Conv2D": "conv",
    "DepthwiseConv2D": "depthwise",
    "SeparableConv2D": "separable",
    "BatchNormalization": "batchnorm",
    "Normalization": "normalization",
}


def weightless(model):
    """Layers without weights by class, as weightless.tsv counts them."""
    counted = Counter(type(layer).__name__ for layer in model.layers if not layer.weights)
    for name in ("InputLayer", "Dropout", "Rescaling"):
        del counted[name]
    counted["Activation"] += counted.pop("ReLU", 0)
    return {name: count for name, count in counted.items() if count}


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
        "weightless": weightless(base),
        "fixed_rows": sum(bool(layer.weights) for layer in base.layers[: position + 1]),
        "bn": sorted({(norm.epsilon, norm.momentum) for norm in norms}),
        "drop": [x.rate for x in base.layers if isinstance(x, keras.layers.Dropout)],
        "global_generator_kept": kept,
        "new_weights": digest(network),
    }
    for policy in FREEZE_POLICIES:
        network.freeze(policy)
        found[f"trainable_{policy}"] = sum(int(np.prod(v.shape)) for v in network.trainable())
    return found


def outputs(job, folder):
    """Everything a network computes, for one saved network and one batch."""
    path = folder / f"{job['id']}.safetensors"
    network = loaded(path, job["arch"], job["size"], "float64", job["head"])
    images = np.load(folder / f"{job['id']}_images.npy")
    found = raw(network, images)
    found |= {f"numpy_{k}": v for k, v in public(network, images, batch_size=1).items()}
    found["module"] = network.module(images)
    without_dropout(network)
    network.freeze(job["freeze"])
    found["train_logits"] = network.forward(tf.constant(images), training=True).logits
    found |= {f"after/{name}": array for name, array in network.tensors().items()}
    network.save(folder / f"{job['id']}_keras.safetensors")
    save(folder / f"{job['id']}_keras.npz", found)


def loaded(path, arch, size, dtype, head="plain"):
    """A network of its own graph and precision, with the weights of the torch half."""
    keras.utils.clear_session()
    keras.config.set_floatx(dtype)
    network = architectures.build(arch, "keras", CLASSES, image_size=tuple(size), head=head)
    network.assign(weights.read(path)[0])  # at any image size, which `load` refuses
    return network


def raw(network, images):
    """The same in the precision of the weights, layer by layer."""
    maps, features, logits = network._whole(tf.constant(images))
    with tf.GradientTape() as tape:
        tape.watch(maps)
        score = tf.reduce_sum(network._tail(maps, training=False)[1][:, 1])
    slope = tf.reduce_mean(tape.gradient(score, maps), (1, 2), keepdims=True)
    cam = tf.nn.relu(tf.reduce_sum(slope * maps, -1))
    return {"logits": logits, "features": features, "map": maps, "gradcam": cam}


def without_dropout(network):
    """Switch dropout and stochastic depth off, in place."""
    for layer in (*network._backbone._flatten_layers(), *network._tail._flatten_layers()):
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0


def save(path, found):
    """Tensors of TensorFlow or numpy as one .npz."""
    np.savez(path, **{name: np.asarray(array) for name, array in found.items()})


def cells(arch, sizes, folder):
    """The numpy level in float32 and the raw one in float64, at every size."""
    for size in sizes:
        name = f"{size[0]}x{size[1]}"
        images = np.load(folder / f"{name}.npy")
        for dtype, level in (("float32", public), ("float64", raw)):
            network = loaded(folder / f"{arch}.safetensors", arch, size, dtype)
            save(folder / f"{name}-{dtype}_keras.npz", level(network, images))


def training(arch, size, folder, head="paper"):
    """The steps that torch_side.py takes."""
    network = loaded(folder / f"{arch}-{head}-training.safetensors", arch, size, "float64", head)
    without_dropout(network)
    stored = np.load(folder / f"{arch}-{head}_batches.npz")
    variables = network.trainable()
    optimiser = keras.optimizers.SGD(float(stored["rate"]))
    optimiser.build(variables)

    @tf.function
    def pulled(images, labels):
        with tf.GradientTape() as tape:
            logits = network.forward(images, training=True).logits
            loss = cross_entropy(logits, labels)
        return logits, tape.gradient(loss, variables)

    found = {}
    for images, labels in zip(stored["images"], stored["labels"], strict=True):
        logits, gradients = pulled(tf.constant(images), tf.constant(labels))
        if not found:
            found["logits"] = logits
            found |= {f"first/{name}": array for name, array in network.tensors().items()}
            found |= named(network, gradients)
        optimiser.apply(gradients, variables)
    found |= {f"last/{name}": array for name, array in network.tensors().items()}
    save(folder / f"{arch}-{head}_training.npz", found)


def named(network, gradients):
    """Of every trainable tensor, as "gradient/<tensor>": put in its place and read there."""
    before = network.tensors()
    for variable, gradient in zip(network.trainable(), gradients, strict=True):
        variable.assign(gradient)
    found = network.tensors()
    network.assign(before)
    return {f"gradient/{k}": v for k, v in found.items() if not k.endswith(FIXED)}


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
            layer.set_weights([draw(weight, generator) for weight in layer.weights])
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


def main(folder):
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    # Of each kind of job, those that were given.
    jobs = defaultdict(list, json.loads((folder / "jobs.json").read_text()))
    for job in jobs["outputs"]:
        outputs(job, folder)
    for arch, sizes in jobs["cells"]:
        cells(arch, sizes, folder)
    for arch, size, head in jobs["training"]:
        training(arch, size, folder, head)
    keras.config.set_floatx("float32")
    for name, size in jobs["stock"]:
        stock_file(name, (*size, 3), folder)
    found = {name: facts(name) for name in jobs["facts"]}
    (folder / "facts.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
