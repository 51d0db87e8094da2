"""A network of two numbers per image, in torch, and Gaussian classes to train it on in seconds."""

import numpy as np
import torch

from architectures.network import Forward, Network
from benchmark.data.pipeline import Samples

SIDE, HIDDEN = 2, 16
CENTRES, SPREAD = np.array([[0.35, 0.6], [0.6, 0.35]]), 0.11


class PointNetwork(Network):
    """An image's point is its mean red and green; two dense layers, no BatchNormalization.

    Attributes:
        passes: whether each forward pass was in training mode, in order.
    """

    framework = "torch"

    def __init__(self, seed, classes=2):
        self.seed, self.classes, self.passes = seed, classes, []
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.module = torch.nn.Sequential(
                torch.nn.Linear(2, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, classes)
            )

    def forward(self, images, training):
        self.passes.append(training)
        points = images.to(torch.float32).mean((1, 2))[:, :2] / 32 - 4
        features = self.module[:2](points)
        return Forward(features, self.module[2](features))

    def features(self, images, batch_size=32):
        with torch.no_grad():
            return self.forward(torch.from_numpy(images), False).features.numpy()

    def trainable(self):
        return list(self.module.parameters())

    def averaged(self, statistics):
        return self.trainable()

    def twin(self):
        other = PointNetwork(self.seed, self.classes)
        other.assign(self.tensors())
        return other

    def tensors(self):
        return {n: p.detach().numpy().copy() for n, p in self.module.named_parameters()}

    def assign(self, tensors):
        with torch.no_grad():
            for name, parameter in self.module.named_parameters():
                parameter.copy_(torch.from_numpy(tensors[name]))

    def _nothing(self, *arguments):
        pass

    freeze = _freeze = set_bn_momentum = _nothing
    base_slots = head_slots = _infer = _infer_map = _infer_gradcam = _nothing


def gaussians(counts, seed):
    """Samples of these many points of class 0 and of class 1, in this order."""
    generator = np.random.default_rng(seed)
    labels = np.repeat([0, 1], counts)
    points = generator.normal(CENTRES[labels], SPREAD)
    pixels = np.zeros((len(labels), SIDE, SIDE, 3), np.uint8)
    pixels[..., :2] = np.rint(255 * np.clip(points, 0, 1))[:, None, None]
    return Samples(pixels, np.arange(len(labels)), labels)
