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

# The smallest whose maps are 3 x 3.
SIDE, CLASSES = 65, 7
TARGETS, OTHERS = np.array([1, 4]), np.array([2, 0])
NAMES = tuple(EXPLAINERS.names())
# Seconds per image: one is enough.
COSTLY = ("integrated-gradients", "scorecam", "shap")
LIBRARIES = ("captum", "pytorch_grad_cam", "shap", "tf_keras_vis", "torchcam")


def photographs(folder):
    """(2, 65, 65, 3) uint8: real photographs of skin lesions."""
    files = sorted((folder / "ham10000-lesion-masks").glob("*/*.jpg"))[:2]
    assert len(files) == 2
    size = (SIDE, SIDE)
    images = [cv2.resize(cv2.imread(str(f)), size, interpolation=cv2.INTER_AREA) for f in files]
    return np.stack(images)[..., ::-1].copy()


def planted(images):
    """In torch; an untrained one has maps of 1e-13, the last scale makes them of order 1."""
    network = architectures.build("MobileNetV2", "torch", CLASSES, SIDE, seed=5)
    tensors = network.tensors()
    tensors["Conv_1_bn/gamma"] /= network.feature_map(images).mean()
    network.assign(tensors)
    return network


def rise(network, images, targets):
    """(B,): the logit of the target above that of the plain image of the mean colour."""
    above = network.logits(images) - network.logits(plain(mean_colours(images), images))
    return above[np.arange(len(images)), targets]


def loaded(libraries):
    """The modules of these libraries that this process has imported, and their own names."""
    return {*libraries, *(name for name in sys.modules if name.split(".")[0] in libraries)}


def explain(network, images, names):
    """Name to maps; of the first image, name + " other" of another class, + " signed" too."""
    found = {"rise": rise(network, images, TARGETS)}
    first = slice(1)
    for name in names:
        explainer = EXPLAINERS.get(name)()
        some = first if name in COSTLY else slice(None)
        found[name] = explainer.maps(network, images[some], TARGETS[some])
        found[f"{name} other"] = explainer.maps(network, images[first], OTHERS[first])
        if hasattr(explainer, "attributions"):
            found[f"{name} signed"] = explainer.attributions(network, images[first], TARGETS[first])
        if explainer.every_class:
            found[f"{name} every"] = explainer.class_maps(network, images)
    return found


def gradcam_of_tf_keras_vis(network, images):
    """(B, 3, 3), of the whole network and the catalogue's layer, as they are before display."""
    import keras
    import tensorflow as tf
    from tf_keras_vis.gradcam import Gradcam

    pixels, backbone, tail = (network.module.get_layer(n) for n in ("pixels", "backbone", "tail"))
    start, layer = keras.Input((SIDE, SIDE, 3)), keras.layers.Identity()
    whole = keras.Model([start], [tail(layer(backbone(pixels(start))))[1]])
    maps = Gradcam(whole)(
        lambda logits: tf.gather(logits, TARGETS, batch_dims=1),
        images.astype(np.float32),
        penultimate_layer=layer,
        seek_penultimate_conv_layer=False,
        expand_cam=False,
        normalize_cam=False,
    )
    return np.asarray(maps)


def keras_half(folder, names):
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    network = architectures.build("MobileNetV2", "keras", CLASSES, SIDE)
    network.load(folder / "network.safetensors")
    images = np.load(folder / "images.npy")
    free = [name for name in names if "keras" not in EXPLAINERS.get(name).modules]
    for library in LIBRARIES:
        sys.modules[library] = None  # as if it were not installed
    found = explain(network, images, free)
    for library in LIBRARIES:
        del sys.modules[library]
    found |= explain(network, images, [name for name in names if name not in free])
    assert "torch" not in sys.modules
    found["gradcam of tf-keras-vis"] = gradcam_of_tf_keras_vis(network, images)
    np.savez(folder / "keras.npz", **found)


if __name__ == "__main__":
    keras_half(Path(sys.argv[1]), sys.argv[2:])
