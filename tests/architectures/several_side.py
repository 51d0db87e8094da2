"""Networks with a head for each of two diseases, in one framework.

Run as `python several_side.py FOLDER JOB...` for the Keras half; the tests call the torch half
first. A job is "Architecture-HEIGHTxWIDTH-head".
"""

import os
import sys
from pathlib import Path

import gradcam_side
import numpy as np
import seeded
from both_sides import digest

import architectures
from benchmark.errors import UserError

SIZES = (5, 3)
SEED = 3
# Of both diseases, and the last class of all.
TARGETS = np.array([[0, 6], [7, 4]])


def built(job, framework, classes=SIZES):
    """A new network of a job, and two images."""
    name, size, head = job.split("-")
    height, width = map(int, size.split("x"))
    network = architectures.build(
        name, framework, classes, image_size=(height, width), head=head, seed=SEED
    )
    return network, seeded.images((height, width))


def fresh(job, framework, run):
    """What new networks say in training, with dropout: {name: array}.

    "whole/N" and "alone/N" are logits of disease N by the network of both and by that of N alone,
    "whole/N/kernel" and so on the last layer's; `run` makes numpy logits of (network, images).
    """
    network, images = built(job, framework)
    tensors = network.tensors()
    layers = architectures.heads.last_layers(network.head, SIZES)
    found = {"digest": np.array(digest(network))}
    parts = np.split(run(network, images), np.cumsum(SIZES)[:-1], axis=1)
    for number, size in enumerate(SIZES):
        single, _ = built(job, framework, size)
        kernel, bias = single.classifier()
        found[f"alone/{number}/kernel"], found[f"alone/{number}/bias"] = kernel, bias
        for role in ("kernel", "bias"):
            found[f"whole/{number}/{role}"] = tensors[f"head/{layers[number]}/{role}"]
        found[f"whole/{number}"] = parts[number]
        found[f"alone/{number}"] = run(single, images)
    return found


def maps(network, images, plain):
    """Grad-CAM of TARGETS by the network, and by plain differentiation: two (2, 2, h, w)."""
    slow = [plain(network, images, target, False) for target in TARGETS.T]
    return {"gradcam": network.gradcam(images, TARGETS), "plain": np.stack(slow, 1)}


def refusal(framework):
    """What is said of a cosine head for several diseases."""
    try:
        architectures.build("MobileNetV2", framework, SIZES, image_size=65, head="cosine")
    except UserError as error:
        return str(error)
    return "built"


def torch_outputs(job, folder):
    """Save a seeded network for Keras; what it says in float64, and the fresh ones."""
    import torch

    def run(network, images):
        torch.manual_seed(0)
        return network.forward(torch.from_numpy(images), training=True).logits.detach().numpy()

    found = fresh(job, "torch", run)
    network, images = built(job, "torch")
    network.assign(seeded.weights(network))
    network.save(folder / f"{job}.safetensors")
    found |= {f"tensors/{name}": array for name, array in network.tensors().items()}
    found |= maps(network, images, gradcam_side.plain_torch)
    network.module.double()
    logits = network.forward(torch.from_numpy(images), training=False).logits
    return found | {"logits": logits.detach().numpy()}


def keras_outputs(job, folder):
    """The same of the network that the torch half saved, whose twin is saved once more."""
    import keras
    import tensorflow as tf

    def run(network, images):
        return network.forward(tf.constant(images), training=True).logits.numpy()

    found = fresh(job, "keras", run)
    path = folder / f"{job}.safetensors"
    network, images = built(job, "keras")
    network.load(path)
    network.twin().save(folder / f"{job}_keras.safetensors")
    found |= maps(network, images, gradcam_side.plain_keras)
    keras.utils.clear_session()  # of the precision that layers have so far
    keras.config.set_floatx("float64")
    network, images = built(job, "keras")
    network.load(path)
    found["logits"] = network.forward(tf.constant(images), training=False).logits.numpy()
    keras.utils.clear_session()
    keras.config.set_floatx("float32")
    return found


def main(folder, jobs):
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    (folder / "refusal.txt").write_text(refusal("keras"))
    for job in jobs:
        np.savez(folder / f"{job}_keras.npz", **keras_outputs(job, folder))


if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # oneDNN reorders sums; without it float64 is compared with float64.
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    main(Path(sys.argv[1]), sys.argv[2:])
