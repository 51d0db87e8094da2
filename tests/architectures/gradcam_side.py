"""Grad-CAM of seeded networks in one framework, by the network and by plain differentiation.

Run as `python gradcam_side.py keras FILE.npz JOB...` for the Keras half; the tests call the torch
half. A job is "Architecture-HEIGHTxWIDTH-head".
"""

import os
import sys

import numpy as np
import seeded

import architectures

CLASSES = 4
# Two classes of each of the two images, neither the same ones nor in the same order.
TARGETS = np.array([[0, 3], [2, 1]])


def outputs(job, framework):
    """{"<rule>/<what>": array} of one job; the rules are "ours" and "paper".

    "several" the maps of `TARGETS` at once, "single" one by one, (2, 2, h, w); "plain" from the
    gradient of the whole network; "probabilities" (2, CLASSES).
    """
    network, images = built(job, framework)
    plain = plain_torch if framework == "torch" else plain_keras
    logits = network.logits(images)
    found = {"probabilities": np.exp(logits) / np.exp(logits).sum(1, keepdims=True)}
    for rule, paper in (("ours", False), ("paper", True)):
        found[f"{rule}/several"] = network.gradcam(images, TARGETS, paper=paper)
        singles = [network.gradcam(images, one, batch_size=1, paper=paper) for one in TARGETS.T]
        found[f"{rule}/single"] = np.stack(singles, 1)
        found[f"{rule}/plain"] = np.stack([plain(network, images, t, paper) for t in TARGETS.T], 1)
    return found


def built(job, framework):
    """The seeded network of a job, its probabilities far from 0 and 1, and two images."""
    name, size, head = job.split("-")
    height, width = map(int, size.split("x"))
    network = architectures.build(
        name, framework, CLASSES, image_size=(height, width), head=head, seed=1
    )
    tensors = seeded.weights(network)
    network.assign(tensors)
    images = seeded.images((height, width))
    # Seeded maps differ by orders of magnitude; logits of at most about 1 keep the slopes alive.
    dense = max(key for key in tensors if key.startswith("head/dense") and key.endswith("kernel"))
    tensors[dense] = tensors[dense] / np.abs(network.logits(images)).max()
    network.assign(tensors)
    return network, images


def is_probability(row, paper):
    """Whether the published maps differentiate the probability: of all but VGG16."""
    return paper and row.name != "VGG16"


def plain_torch(network, images, targets, paper):
    """(N, h, w) from one backward pass through everything, the layer's output kept by a hook."""
    import torch

    row = network.architecture
    name = row.torch_paper_cam[0] if paper and row.torch_paper_cam else row.torch_cam
    if row.name == "VGG16":
        name = name.removeprefix("features.")
    kept = []
    module = network.module.backbone.get_submodule(name)
    hook = module.register_forward_hook(lambda *call: kept.append(call[-1]))
    scores = network.module(torch.from_numpy(images))
    hook.remove()
    if is_probability(row, paper):
        scores = scores.softmax(1)
    score = scores[range(len(images)), targets].sum()
    (slope,) = torch.autograd.grad(score, kept[0])
    return torch.relu((slope.mean((2, 3), keepdim=True) * kept[0]).sum(1)).detach().numpy()


def plain_keras(network, images, targets, paper):
    """(N, h, w) from one tape over everything, the layer's output kept by a wrapped call."""
    import tensorflow as tf

    row = network.architecture
    layer = network._backbone.get_layer(row.settings.cam_layer if paper else row.keras_cam)
    call, kept = layer.call, []

    def keep(*given, **options):
        kept.append(call(*given, **options))
        return kept[-1]

    layer.call = keep
    with tf.GradientTape() as tape:
        scores = network.forward(tf.constant(images), training=False).logits
        if is_probability(row, paper):
            scores = tf.nn.softmax(scores)
        score = tf.reduce_sum(tf.gather(scores, targets, batch_dims=1))
    layer.call = call
    slope = tf.reduce_mean(tape.gradient(score, kept[0]), (1, 2), keepdims=True)
    return tf.nn.relu(tf.reduce_sum(slope * kept[0], -1)).numpy()


def main(path, jobs):
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    found = {f"{job}/{k}": v for job in jobs for k, v in outputs(job, "keras").items()}
    np.savez(path, **found)


if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    main(sys.argv[2], sys.argv[3:])
