"""The torch half of the parity tests: networks whose weights hide nothing, what they compute."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import torch
from both_sides import CLASSES, FIXED, public
from torch import nn

import architectures
from architectures import weights
from architectures.weights import table
from benchmark.methods.losses import cross_entropy

HERE = Path(__file__).parent
ROOT = HERE.parent.parent

STEPS, BATCH = 10, 4
# Of the most strongly pulled weight. At ten times that, rounding grows to 1e-2 in ten steps.
FIRST_CHANGE = 3e-4
# Where the batch statistics of random weights are taken; every architecture has a map there.
CALIBRATION = (160, 173)


def job(arch, size, head="plain", freeze="none"):
    """One comparison in float64: an architecture, an image size, a head, what a step fixes."""
    name = f"{arch}-{size[0]}x{size[1]}-{head}-{freeze}"
    return {"id": name, "arch": arch, "size": list(size), "head": head, "freeze": freeze}


def randomise(network, images, seed=7):
    """Weights with biases, and batch statistics of the data, shaken: nothing is 0 or 1."""
    generator = np.random.default_rng(seed)
    tensors = network.tensors()
    for name, array in tensors.items():
        role = name.rpartition("/")[2]
        if role.endswith("kernel"):
            fan = 9 if role == "depthwise_kernel" else np.prod(array.shape[:-1])
            array[...] = generator.standard_normal(array.shape) * np.sqrt(2 / fan)
        elif role == "gamma":
            array[...] = generator.uniform(0.6, 1.4, array.shape)
        elif role in ("beta", "bias"):
            array[...] = 0.1 + 0.2 * generator.standard_normal(array.shape)
    network.assign(tensors)
    network.set_bn_momentum(0.0)
    with torch.no_grad():
        network.forward(torch.from_numpy(images), training=True)
    tensors = network.tensors()
    for name, array in tensors.items():
        if name.endswith("moving_variance"):
            array *= generator.uniform(0.7, 1.4, array.shape).astype("f")
        if name.endswith("moving_mean"):
            array += 0.1 * generator.standard_normal(array.shape).astype("f")
    network.assign(tensors)
    if network.architecture.bn_momentum is not None:
        network.set_bn_momentum(network.architecture.bn_momentum)


def without_dropout(network):
    """Switch dropout and stochastic depth off, in place."""
    for module in network.module.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if hasattr(module, "drop_prob"):
            module.drop_prob = 0.0


def outputs(job, folder):
    """Save a random network and its images for Keras; return what torch computes, as numpy."""
    size = tuple(job["size"])
    images = random_images(2, size)
    network = architectures.build(job["arch"], "torch", CLASSES, image_size=size, head=job["head"])
    without_dropout(network)
    randomise(network, images)
    network.save(folder / f"{job['id']}.safetensors")
    np.save(folder / f"{job['id']}_images.npy", images)
    found = {f"numpy_{k}": v for k, v in public(network, images, batch_size=1).items()}
    network.module.double()
    pixels = torch.from_numpy(images)
    found |= raw(network, images)
    found["module"] = network.module(pixels).detach().numpy()
    network.freeze(job["freeze"])
    trained = network.forward(pixels, training=True)
    found["train_logits"] = trained.logits.detach().numpy()
    return found | {f"after/{name}": array for name, array in network.tensors().items()}


def random_images(count, size):
    """(count, H, W, 3) uint8: blocks under noise, so that the images' averages differ too."""
    generator = np.random.default_rng(1)
    blocks = generator.integers(0, 192, (count, size[0] // 16 + 1, size[1] // 16 + 1, 3))
    coarse = blocks.repeat(16, 1).repeat(16, 2)[:, : size[0], : size[1]]
    return (coarse + generator.integers(0, 64, (count, *size, 3))).astype(np.uint8)


def raw(network, images):
    """The same in the precision of the weights.

    Grad-CAM from the gradient of the whole network, where the numpy level takes the tail's.
    """
    kept = []
    hook = network.module.last_pool.register_forward_pre_hook(lambda _, given: kept.append(*given))
    features, logits = network.forward(torch.from_numpy(images), training=False)
    hook.remove()
    maps = kept[0]
    (slope,) = torch.autograd.grad(logits[:, 1].sum(), maps)
    found = {
        "logits": logits,
        "features": features,
        "map": maps.permute(0, 2, 3, 1),
        "gradcam": torch.relu((slope.mean((2, 3), keepdim=True) * maps).sum(1)),
    }
    return {name: tensor.detach().numpy() for name, tensor in found.items()}


def save_random_weights(arch, size, head, path):
    """Weights for both frameworks; those of a plain head serve at every size."""
    network = architectures.build(arch, "torch", CLASSES, image_size=size, head=head)
    without_dropout(network)
    randomise(network, random_images(2, size))
    network.save(path)


def cells(arch, sizes, folder):
    """What torch computes at each size in both precisions: {"HxW-dtype": outputs}."""
    path = folder / f"{arch}.safetensors"
    save_random_weights(arch, CALIBRATION, "plain", path)
    found = {}
    for size in sizes:
        # Two at the smallest, in case images of a batch mix; one is as good elsewhere, and cheaper.
        images = random_images(2 if size == min(sizes) else 1, size)
        name = f"{size[0]}x{size[1]}"
        np.save(folder / f"{name}.npy", images)
        network = architectures.build(arch, "torch", CLASSES, image_size=size)
        network.assign(weights.read(path)[0])  # at any image size, which `load` refuses
        found[f"{name}-float32"] = public(network, images)
        network.module.double()
        found[f"{name}-float64"] = raw(network, images)
    return found


def training(arch, size, folder, head="paper"):
    """Ten steps of plain SGD in float64, dropout off.

    Returns:
        "logits" and "gradient/<tensor>" of the first batch; "before/<tensor>", "first/<tensor>",
        "last/<tensor>" weights and statistics at the start, after the first batch's pass, after
        the last step; "norm/<layer>" how many values each BatchNormalization averages, and which
        part of its statistics a batch leaves.
    """
    path = folder / f"{arch}-{head}-training.safetensors"
    save_random_weights(arch, size, head, path)
    images = random_images(STEPS * BATCH, size).reshape(STEPS, BATCH, *size, 3)
    labels = np.random.default_rng(2).integers(0, CLASSES, (STEPS, BATCH))
    network = architectures.build(arch, "torch", CLASSES, image_size=size, head=head)
    network.load(path)
    network.module.double()
    without_dropout(network)
    found = {f"before/{name}": array for name, array in network.tensors().items()}
    hooks = watch_norms(network, found)
    for step in range(STEPS):
        network.module.zero_grad()
        logits = network.forward(torch.from_numpy(images[step]), training=True).logits
        with keras.device("cpu"):
            cross_entropy(logits, torch.from_numpy(labels[step])).backward()
        if step == 0:
            found["logits"] = logits.detach().numpy()
            found |= {f"first/{name}": array for name, array in network.tensors().items()}
            found |= gradients(network)
            steepest = max(float(p.grad.abs().max()) for p in network.trainable())
            optimiser = torch.optim.SGD(network.trainable(), lr=FIRST_CHANGE / steepest)
        optimiser.step()
    for hook in hooks:
        hook.remove()
    rate = FIRST_CHANGE / steepest
    np.savez(folder / f"{arch}-{head}_batches.npz", images=images, labels=labels, rate=rate)
    return found | {f"last/{name}": array for name, array in network.tensors().items()}


def watch_norms(network, found):
    """Hooks that put (values averaged, part kept) of each BatchNormalization into `found`."""
    backbone, head = network.module.backbone, network.module.head
    norms = {
        row.layer: backbone.get_submodule(row.modules[0])
        for row in table(network.architecture.name)
        if row.kind == "batchnorm"
    }
    norms |= {f"head/{k}": m for k, m in head.layers.items() if k.startswith("batchnorm")}

    def watch(layer, norm):
        def note(module, given):
            count = given[0].numel() // given[0].shape[1]
            found[f"norm/{layer}"] = (count, 1 - norm.momentum)

        return norm.register_forward_pre_hook(note)

    return [watch(layer, norm) for layer, norm in norms.items()]


def gradients(network):
    """Of every trainable tensor, as "gradient/<tensor>" in the shared names and layout."""
    twin = copy.deepcopy(network)
    for own, tensor in zip(twin.trainable(), network.trainable(), strict=True):
        own.data = tensor.grad
    return {f"gradient/{k}": v for k, v in twin.tensors().items() if not k.endswith(FIXED)}


def run_keras(folder, jobs):
    """Run the Keras half on `folder` in a process of its own."""
    (folder / "jobs.json").write_text(json.dumps(jobs))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / "keras_side.py"), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def error(found, expected):
    """max|a-b| / max|b|; max|a| where b is zero throughout; infinite between unequal shapes."""
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found - expected).max() / (np.abs(expected).max() or 1.0))
