"""Our Grad-CAM, and the forward pass that no Grad-CAM can do without."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from architectures.network import Network
from benchmark.speed.sides import made, nets
from benchmark.speed.worker import Prepared


def asked(settings: Mapping[str, Any]) -> tuple[Network, np.ndarray, np.ndarray]:
    """The network, (B, H, W, 3) uint8 images and (B,) int64 targets."""
    count, size = settings["batch"], settings["size"]
    images = made.pixels(count, size, size)
    return nets.engine(settings).network, images, made.labels(count)


def ours(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """`Network.gradcam`."""
    network, images, targets = asked(settings)
    return Prepared(
        lambda: network.gradcam(images, targets), lambda maps: shown(maps, settings["size"])
    )


def forward(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """The logits alone; its result is that of Grad-CAM, made once outside the clock."""
    network, images, targets = asked(settings)
    return Prepared(
        lambda: network.logits(images),
        lambda _: shown(network.gradcam(images, targets), settings["size"]),
    )


def shown(maps: np.ndarray, size: int) -> np.ndarray:
    """Maps (B, h, w) as libraries hand them out: 0..1 in each image, of the image's size."""
    return scaled(np.stack([cv2.resize(_scaled(one), (size, size)) for one in maps]))


def scaled(maps: np.ndarray) -> np.ndarray:
    """Maps (B, h, w) from 0 to 1 in each image."""
    return np.stack([_scaled(one) for one in maps])


def _scaled(one: np.ndarray) -> np.ndarray:
    lifted = np.asarray(one, np.float32) - one.min()
    return lifted / max(float(lifted.max()), 1e-12)
