"""The torch half of the parity tests: networks whose weights hide nothing, and their outputs."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

import architectures

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def job(arch, size, head="plain", dtype="float64"):
    """One comparison: an architecture, an image size, a head, a precision."""
    name = f"{arch}-{size[0]}x{size[1]}-{head}-{dtype}"
    return {"id": name, "arch": arch, "size": list(size), "head": head, "dtype": dtype}


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
    images = np.random.default_rng(1).integers(0, 256, (2, *size, 3)).astype(np.uint8)
    network = architectures.build(job["arch"], "torch", 5, image_size=size, head=job["head"])
    without_dropout(network)
    randomise(network, images)
    network.save(folder / f"{job['id']}.safetensors")
    np.save(folder / f"{job['id']}_images.npy", images)
    targets = np.ones(2, int)
    found = {
        "numpy_logits": network.logits(images, batch_size=1),
        "numpy_features": network.features(images),
        "numpy_maps": network.feature_map(images),
        "numpy_cam": network.gradcam(images, targets, batch_size=1),
    }
    if job["dtype"] == "float64":
        network.module.double()
    pixels = torch.from_numpy(images)
    features, logits = network.forward(pixels, training=False)
    # Of the whole network, not of its tail: another way to the same gradient.
    kept = []
    last = network.module.last_pool
    hook = last.register_forward_pre_hook(lambda module, given: kept.append(given[0]))
    score = network.forward(pixels, training=False).logits[:, 1].sum()
    hook.remove()
    (slope,) = torch.autograd.grad(score, kept[0])
    found |= {
        "maps": kept[0].permute(0, 2, 3, 1),
        "features": features,
        "logits": logits,
        "module": network.module(pixels),
        "cam": torch.relu((slope.mean((2, 3), keepdim=True) * kept[0]).sum(1)),
        "train_logits": network.forward(pixels, training=True).logits,
    }
    found |= {f"after/{name}": torch.from_numpy(a) for name, a in network.tensors().items()}
    return {k: v.detach().numpy() if isinstance(v, torch.Tensor) else v for k, v in found.items()}


def digest(network):
    """Of all weights of a network, as in keras_side.py."""
    found = hashlib.sha256()
    for name, array in network.tensors().items():
        found.update(name.encode() + array.tobytes())
    return found.hexdigest()


def run_keras(folder, jobs):
    """Run the Keras half on `folder` in a process of its own."""
    (folder / "jobs.json").write_text(json.dumps(jobs))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"}
    command = [sys.executable, str(HERE / "keras_side.py"), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def error(found, expected):
    """max|a-b| / max|b|; max|a| where b is zero throughout, as a Grad-CAM map may be."""
    return float(np.abs(found - expected).max() / (np.abs(expected).max() or 1.0))
