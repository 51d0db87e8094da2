"""Writes networks as users of Keras do, in a process of its own, for the readers to be tested.

Run as `python keras_writer.py FOLDER PACKAGE ARCHITECTURE HxW`, PACKAGE being "keras" (Keras 3) or
"tf_keras" (Keras 2, with which the DermXDB benchmark was trained). Writes one model with the
benchmark's head in every format of the package, the network of keras.applications with top as
weights, and reference.npz: images and what both answer.
"""

import importlib
import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import numpy as np

# Where each architecture's `preprocess_input` is, as both packages have it.
MODULES = {
    "DenseNet121": "densenet",
    "EfficientNetB0": "efficientnet",
    "InceptionV3": "inception_v3",
    "InceptionResNetV2": "inception_resnet_v2",
    "MobileNet": "mobilenet",
    "MobileNetV2": "mobilenet_v2",
    "NASNetMobile": "nasnet",
    "ResNet50": "resnet",
    "ResNet50V2": "resnet_v2",
    "VGG16": "vgg16",
    "Xception": "xception",
}
CLASSES = 6
# Enough to see what the layers in front add to a file of either package.
AUGMENTED = ("MobileNet", "InceptionV3")


def randomise(model, seed):
    """Weights that hide nothing; the input layers keep what their file brought."""
    generator = np.random.default_rng(seed)
    for layer in model.layers:
        if layer.weights and type(layer).__name__ != "Normalization":
            layer.set_weights([draw(weight, generator) for weight in layer.weights])


def draw(weight, generator):
    """Values for a variable of Keras, by its role."""
    shape = tuple(weight.shape)
    name = weight.name.partition(":")[0].rpartition("/")[2]
    if name.endswith("kernel"):
        fan = 9 if len(shape) == 4 and shape[-1] == 1 else np.prod(shape[:-1])
        return generator.standard_normal(shape) * np.sqrt(2 / fan)
    if name in ("gamma", "moving_variance"):
        return generator.uniform(0.6, 1.4, shape)
    return 0.1 * generator.standard_normal(shape)


def application(keras, arch, size, **options):
    """The network of keras.applications; EfficientNetB0's input layers hold ImageNet's values."""
    network = getattr(keras.applications, arch)(weights=None, input_shape=(*size, 3), **options)
    for layer in network.layers:
        if type(layer).__name__ == "Normalization":
            mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
            layer.set_weights([np.array(mean), np.array(deviation), np.array(0)])
    return network


def without_top(keras, arch, size):
    """The backbone; EfficientNetB0 scales twice only when it loads ImageNet weights, made here."""
    plain = application(keras, arch, size, include_top=False)
    if arch != "EfficientNetB0":
        return plain
    module = importlib.import_module(f"{keras.__name__}.src.applications.efficientnet")
    file = Path("imagenet.weights.h5")
    plain.save_weights(file)
    tools = getattr(module, "file_utils", None) or module.data_utils
    tools.get_file = lambda *given, **named: str(file)
    try:
        return keras.applications.EfficientNetB0(
            weights="imagenet", include_top=False, input_shape=(*size, 3)
        )
    finally:
        file.unlink()


def with_head(keras, arch, base, parts):
    """The head of the DermXDB benchmark, ending in the softmax."""
    layers = keras.layers
    x = base.output
    dense = parts.count("dense")
    for part in parts:
        if part == "pool":
            x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
        elif part == "flatten":
            x = layers.Flatten()(x)
        elif part == "batchnorm":
            x = layers.BatchNormalization()(x)
        elif part == "dropout":
            x = layers.Dropout(0.2)(x)
        elif dense == 2:
            # MobileNet's: a 1x1 convolution first.
            dense = 1
            x = layers.Reshape((1, 1, x.shape[-1]))(x)
            x = layers.Reshape((CLASSES,))(layers.Conv2D(CLASSES, 1, name="conv_preds")(x))
        else:
            x = layers.Dense(CLASSES, activation="softmax", name="diagnosis")(x)
    return keras.Model(base.input, x, name=arch)


def augmented(keras, arch, size, parts):
    """Augmentation and dropout in the model itself, where Keras' tutorials have them."""
    first = keras.Input((*size, 3))
    x = keras.layers.Dropout(0.1)(keras.layers.RandomFlip("horizontal", seed=1)(first))
    constructor = getattr(keras.applications, arch)
    base = constructor(weights=None, include_top=False, input_tensor=x)
    return with_head(keras, arch, base, parts)


def weighted(model):
    """The layers that hold arrays, in Keras' order."""
    return [layer for layer in model.layers if layer.weights]


def logits_of(keras, model, given):
    """What goes into the softmax, or out of a convolution that is reshaped."""
    dense = weighted(model)[-1]
    kernel, bias = dense.get_weights()
    inner = keras.Model(model.input, dense.input).predict(given, verbose=0)
    return inner.reshape(len(given), -1) @ kernel.reshape(-1, kernel.shape[-1]) + bias


def scaled_once(keras, arch, size, given, folder, parts):
    """EfficientNetB0 without the second Rescaling, as Keras builds it without ImageNet weights."""
    constructor = getattr(keras.applications, arch)
    base = constructor(weights=None, include_top=False, input_shape=(*size, 3))
    (statistics,) = [x for x in base.layers if type(x).__name__ == "Normalization"]
    statistics.set_weights([np.array([0.4, 0.5, 0.6]), np.array([0.05, 0.06, 0.07]), np.array(0)])
    statistics.finalize_state()
    model = with_head(keras, arch, base, parts)
    randomise(model, 5)
    model.save(folder / "once.keras")
    return logits_of(keras, model, given)


def read_here(arch, size, images, file):
    """What our Keras network answers after reading the file."""
    architectures = importlib.import_module("architectures")
    network = architectures.build(arch, "keras", CLASSES, image_size=size, head="paper", seed=8)
    assert network.load_keras_weights(file)
    return network.logits(images)


def main(folder, package, arch, size):
    keras = importlib.import_module(package)
    parts = importlib.import_module("architectures").find(arch).settings.head
    preprocess = getattr(keras.applications, MODULES[arch]).preprocess_input
    images = np.random.default_rng(1).integers(0, 256, (2, *size, 3)).astype(np.uint8)
    given = preprocess(images.astype(np.float32))
    # A session in which something else was built: automatic names count on.
    keras.layers.BatchNormalization(), keras.layers.Conv2D(1, 1)

    base = without_top(keras, arch, size)
    model = with_head(keras, arch, base, parts)
    randomise(model, 3)
    # A frozen layer's arrays keep their order.
    model.layers[len(model.layers) // 2].trainable = False
    model.compile("adam", "categorical_crossentropy")
    for name in ("whole.h5", "whole.keras"):
        model.save(folder / name)
    model.save_weights(folder / "model.weights.h5")
    base.save_weights(folder / "base.weights.h5")
    answers = {"images": images, "whole": logits_of(keras, model, given)}
    if arch in AUGMENTED:
        other = augmented(keras, arch, size, parts)
        for layer, own in zip(weighted(other), weighted(model), strict=True):
            layer.set_weights(own.get_weights())
        for name in ("augmented.h5", "augmented.keras"):
            other.save(folder / name)
        other.save_weights(folder / "augmented.weights.h5")

    top = application(keras, arch, size, include_top=True, classes=1000)
    randomise(top, 4)
    if package == "tf_keras":
        model.save_weights(folder / "model.h5")
        top.save_weights(folder / "top.h5")
    else:
        top.save_weights(folder / "top.weights.h5")
        answers["ours"] = read_here(arch, size, images, folder / "whole.keras")
        if arch == "EfficientNetB0":
            answers["once"] = scaled_once(keras, arch, size, given, folder, parts)
    answers["top"] = logits_of(keras, top, given)
    np.savez(folder / "reference.npz", **answers)


if __name__ == "__main__":
    _, folder, package, arch, size = sys.argv
    height, width = size.split("x")
    os.chdir(folder)
    main(Path(folder), package, arch, (int(height), int(width)))
