"""Files laid out as Keras lays them out, made by hand: no Keras, and faults to order."""

import copy
import functools
import io
import json
from collections import Counter
from zipfile import ZipFile

import h5py
import numpy as np

import architectures
from architectures.weights import weightless

CLASSES = 3
SIZE = 95
POOL = ("GlobalAveragePooling2D", {"name": "pool"})
DENSE = ("Dense", {"name": "dense_1", "activation": "softmax"})
ACTIVATION = {
    "MobileNet": ("ReLU", {"name": "relu", "max_value": 6.0}),
    "EfficientNetB0": ("Activation", {"name": "swish", "activation": "swish"}),
}
KINDS = ["h5", "h5 in chunks", "whole h5", "weights.h5", "weights.h5 of TensorFlow 2.13", "keras"]
CLASS = {
    "conv": ("Conv2D", "conv2d"),
    "depthwise": ("DepthwiseConv2D", "depthwise_conv2d"),
    "separable": ("SeparableConv2D", "separable_conv2d"),
    "batchnorm": ("BatchNormalization", "batch_normalization"),
    "normalization": ("Normalization", "normalization"),
    "dense": ("Dense", "dense"),
}


def layers_of(network, head=False):
    """(name, kind, arrays, roles) of the network's layers in Keras' order, head last."""
    layers = []
    for row, slots in network.base_slots():
        arrays, roles = [slot.read() for slot in slots], [slot.role for slot in slots]
        if row.kind == "normalization":
            arrays, roles = [*arrays, np.array(0)], [*roles, "count"]
        layers.append([row.layer, row.kind, arrays, roles])
    parts = {}
    for slot in network.head_slots() if head else ():
        parts.setdefault(slot.name.split("/")[1], []).append(slot)
    for name, slots in parts.items():
        kind = name.partition("_")[0]
        layers.append([name, kind, [s.read() for s in slots], [s.role for s in slots]])
    return layers


def legacy(path, layers, chunk=None, group=None, config=None):
    """Keras 2's .h5: names in attributes, split into chunks or below a group where asked for."""
    with h5py.File(path, "w") as file:
        root = file.create_group(group) if group else file
        # A Keras file also lists the layers without weights.
        listed = [["input_1", None, [], []], *layers]
        names = [name.encode() for name, *_ in listed]
        if chunk:
            for number in range(0, len(names), chunk):
                root.attrs[f"layer_names{number // chunk}"] = names[number : number + chunk]
        else:
            root.attrs["layer_names"] = names
        for name, _, arrays, roles in listed:
            layer = root.create_group(name)
            weights = [f"{name}/{role}:0" for role in roles]
            layer.attrs["weight_names"] = [weight.encode() for weight in weights]
            for weight, array in zip(weights, arrays, strict=True):
                layer[weight] = array
        if config:
            file.attrs["model_config"] = json.dumps(config)
    return path


def numbered(path, layers, root="layers"):
    """Keras 3's .weights.h5: layers filed under their class and number."""
    count = Counter()
    with h5py.File(path, "w") as file:
        # Layers without weights have a group too.
        file.create_group(f"{root}/input_layer/vars")
        for name, kind, arrays, _ in layers:
            base = CLASS[kind][1] if kind in CLASS else kind
            filed = f"{base}_{count[base]}" if count[base] else base
            count[base] += 1
            values = file.create_group(f"{root}/{filed}/vars")
            values.attrs["name"] = name
            for number, array in enumerate(arrays):
                values[str(number)] = array
    return path


def described(layers, tail=(), front=(), arch="MobileNet", size=(SIZE, SIZE)):
    """A whole model's configuration: the layers, and (class, settings) before and after them.

    As in Keras, activations follow the last convolution; where else layers without weights stand
    is not compared.
    """
    row = architectures.find(arch)
    first = ("InputLayer", {"name": "input", "batch_shape": [None, *size, 3]})
    inner = [first, *front]
    for kind, count in weightless(arch).items():
        if kind != "Activation":
            inner += [(kind, {"name": f"{kind}_{number}"}) for number in range(count)]
    for name, kind, *_ in layers:
        epsilon = {"epsilon": row.bn_epsilon} if kind == "batchnorm" else {}
        inner.append((CLASS[kind][0], {"name": name, **epsilon}))
    inner += [ACTIVATION[arch]] * weightless(arch)["Activation"]
    described = [{"class_name": kind, "config": settings} for kind, settings in (*inner, *tail)]
    return {"class_name": "Functional", "config": {"layers": described}}


def archive(path, layers, config):
    """A whole model as .keras: the configuration and the weights, in one zip."""
    weights = io.BytesIO()
    numbered(weights, layers)
    with ZipFile(path, "w") as file:
        file.writestr("metadata.json", "{}")
        file.writestr("config.json", json.dumps(config))
        file.writestr("model.weights.h5", weights.getvalue())
    return path


def write(kind, path, layers, tail=(POOL, DENSE), front=(), **settings):
    """The layers in one of the KINDS of file that Keras has had."""
    backbone = [layer for layer in layers if not layer[0].startswith("dense")]
    config = described(backbone, tail, front, **settings)
    if kind == "keras":
        return archive(path.with_suffix(".keras"), layers, config)
    if kind == "weights.h5":
        return numbered(path.with_suffix(".weights.h5"), layers)
    if kind == "weights.h5 of TensorFlow 2.13":
        root = "_layer_checkpoint_dependencies"
        return numbered(path.with_suffix(".weights.h5"), layers, root)
    options = {
        "h5": {},
        "h5 in chunks": {"chunk": 20},
        "whole h5": {"group": "model_weights", "config": config},
    }[kind]
    return legacy(path.with_suffix(".h5"), layers, **options)


@functools.cache
def _built(arch, classes, head):
    return architectures.build(arch, "torch", classes, image_size=SIZE, seed=9, head=head)


def build(arch="MobileNet", classes=CLASSES, head="plain"):
    """A network to read into; copied, for building takes longer."""
    return copy.deepcopy(_built(arch, classes, head))


@functools.cache
def trained(arch="MobileNet", head="plain"):
    """A network to write, not to change; its biases are not zero."""
    network = architectures.build(arch, "torch", CLASSES, image_size=SIZE, seed=4, head=head)
    tensors = network.tensors()
    for name, array in tensors.items():
        if name.endswith("/bias"):
            array[...] = np.arange(array.size)
    network.assign(tensors)
    return network


def same(one, other, head):
    """Whether two networks hold the same weights; without the head if `head` is False."""
    ours, theirs = one.tensors(), other.tensors()
    names = [name for name in ours if head or not name.startswith("head/")]
    return all(np.array_equal(ours[name], theirs[name]) for name in names)
