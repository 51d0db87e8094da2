"""What the tests of the explainers share: real images, a network whose maps are of order 1.

Run as `python explained.py FOLDER NAME...` it is their Keras half: reads FOLDER/network.safetensors
and FOLDER/images.npy, writes FOLDER/keras.npz. TensorFlow and torchvision never meet.
"""

import os
import sys
from pathlib import Path

import cv2
import numpy as np

import architectures
from benchmark.explain.base import mean_colours, plain
from benchmark.registry import EXPLAINERS

SIDE, CLASSES = 96, 7
TARGETS, OTHERS = np.array([1, 4]), np.array([2, 0])
# One forward pass for each of 1280 channels.
QUICK = tuple(name for name in EXPLAINERS.names() if name != "scorecam")


def photographs(folder):
    """(2, 96, 96, 3) uint8: real photographs of skin lesions."""
    files = sorted((folder / "ham10000-lesion-masks").glob("*/*.jpg"))[:2]
    assert len(files) == 2
    size = (SIDE, SIDE)
    images = [cv2.resize(cv2.imread(str(f)), size, interpolation=cv2.INTER_AREA) for f in files]
    return np.stack(images)[..., ::-1].copy()


def planted(images):
    """In torch; an untrained one has maps of 1e-13, the last scale makes them of order 1."""
    network = architectures.build("MobileNetV2", "torch", CLASSES, SIDE, seed=3)
    tensors = network.tensors()
    tensors["Conv_1_bn/gamma"] /= network.feature_map(images).mean()
    network.assign(tensors)
    return network


def rise(network, images, targets):
    """(B,): the logit of the target above that of the plain image of the mean colour."""
    above = network.logits(images) - network.logits(plain(mean_colours(images), images))
    return above[np.arange(len(images)), targets]


def explain(network, images, names):
    """Name to maps; of the first image, name + " other" of another class, + " signed" too."""
    found = {"rise": rise(network, images, TARGETS)}
    first = slice(1)
    for name in names:
        explainer = EXPLAINERS.get(name)()
        found[name] = explainer.maps(network, images, TARGETS)
        found[f"{name} other"] = explainer.maps(network, images[first], OTHERS[first])
        if hasattr(explainer, "attributions"):
            found[f"{name} signed"] = explainer.attributions(network, images[first], TARGETS[first])
        if explainer.every_class:
            found[f"{name} every"] = explainer.class_maps(network, images)
    return found


def keras_half(folder, names):
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    network = architectures.build("MobileNetV2", "keras", CLASSES, SIDE)
    network.load(folder / "network.safetensors")
    found = explain(network, np.load(folder / "images.npy"), names)
    assert "torch" not in sys.modules
    np.savez(folder / "keras.npz", **found)


if __name__ == "__main__":
    keras_half(Path(sys.argv[1]), sys.argv[2:])
