"""Files laid out as Keras lays them out, made by hand: no Keras, and faults to order."""

import io
import json
from collections import Counter
from zipfile import ZipFile

import h5py
import numpy as np

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


def described(layers, tail=()):
    """The configuration of a whole model: the layers, then (class, settings) of others."""
    inner = [{"class_name": CLASS[kind][0], "config": {"name": name}} for name, kind, *_ in layers]
    inner += [{"class_name": kind, "config": settings} for kind, settings in tail]
    return {"class_name": "Functional", "config": {"layers": inner}}


def archive(path, layers, config):
    """A whole model as .keras: the configuration and the weights, in one zip."""
    weights = io.BytesIO()
    numbered(weights, layers)
    with ZipFile(path, "w") as file:
        file.writestr("metadata.json", "{}")
        file.writestr("config.json", json.dumps(config))
        file.writestr("model.weights.h5", weights.getvalue())
    return path
