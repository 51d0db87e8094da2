"""The layers of a Keras file -> the slots of a network, or the reason why they do not fit."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from architectures.architecture import Architecture
from architectures.keras_files import CLASSES, Layer, nested, opened, split
from architectures.pixels import EFFICIENTNET_RESCALE, EFFICIENTNET_SCALE, PREPROCESSING
from architectures.weights import Row, Slot, weightless
from benchmark.errors import UserError

# One class in two releases of Keras.
_SAME_CLASS = {"ReLU": "Activation", "Lambda": "CustomScaleLayer"}
# Between the parts of a head and behind them; what is activated is checked by itself.
_BETWEEN_PARTS = {"Activation", "Dropout", "ReLU", "Reshape", "Softmax"}
_HEAD_PARTS = {
    "GlobalAveragePooling2D": "pool",
    "Flatten": "flatten",
    "BatchNormalization": "batchnorm",
    "Conv2D": "dense",  # 1x1 on a pooled map
    "Dense": "dense",
}
# Of all others it is ReLU.
_ACTIVATIONS = {
    "EfficientNetB0": ("sigmoid", "silu", "swish"),
    "MobileNet": ("relu6",),
    "MobileNetV2": ("relu6",),
}
_HEAD_EPSILON = 1e-3  # Keras' default, which both frameworks' heads have
# Names that Keras numbers by what the session built before; all others are the authors' own.
_AUTOMATIC = re.compile(r"(conv2d|separable_conv2d|batch_normalization|normalization)(_\d+)?")


def load(
    path: Path,
    architecture: Architecture,
    backbone: Sequence[tuple[Row, list[Slot]]],
    head: Sequence[Slot] | None,
    parts: tuple[str, ...],
    image_size: tuple[int, int],
) -> bool:
    """Set the slots to what the file holds, once every array of it has been found to fit.

    A layer is taken by its position in `model.layers`, as Keras does: names move with the session
    that wrote them. Every array of the backbone is used once; shapes, the roles of arrays and the
    order of layers with names of their own are checked where the file tells them. A whole model
    tells more: its layers without weights are counted, and its input layers, activations,
    epsilons, image size and head compared. Not compared are strides and paddings.

    Args:
        path: legacy .h5 or .weights.h5, of weights or of a whole model, or .keras.
        architecture: the catalogue row, for messages and for what its input layers are.
        backbone: from `Network.base_slots`.
        head: from `Network.head_slots`; None leaves any head in the file unread.
        parts: of the network's head, see `PaperSettings.head`.
        image_size: of the network, (height, width); a whole model read with its head must have it.

    Returns:
        Whether a head was set.

    Raises:
        UserError: the file is missing, broken, foreign or does not fit; nothing was set.
    """
    with opened(path) as (stored, layers):
        scales, tail = None, None
        if layers is not None:
            body, tail = _cut(architecture, layers, len(backbone))
            scales = _check_body(path, architecture, body)
        base, rest = split(path, stored, architecture, [row for row, _ in backbone])
        pairs: list[tuple[Slot, Any]] = []
        for layer, (row, slots) in zip(base, backbone, strict=True):
            if row.kind == "normalization":
                pairs += zip(slots, _input_statistics(path, layer, scales), strict=True)
            else:
                pairs += _fit(path, architecture, layer, row, slots)
        _refuse_other_order(path, base, [row for row, _ in backbone])
        _refuse_deeper(path, architecture, rest)
        read_head = head is not None and bool(rest)
        if head is not None and rest:
            if "cosine" in parts:
                # A dense layer without bias would fit by its shape.
                raise UserError(
                    f"{path}: the head of a Keras file is no cosine head, which this network has:"
                    " load with head=False"
                )
            if layers is not None and tail is not None:
                _check_size(path, layers, image_size)
                _check_head(path, tail, parts)
            pairs += _fit_head(path, rest, head)
        arrays = [_numbers(path, slot, array) for slot, array in pairs]
    for (slot, _), array in zip(pairs, arrays, strict=True):
        slot.write(array)
    return read_head


def _numbers(path: Path, slot: Slot, array: Any) -> np.ndarray:
    with np.errstate(over="ignore"):
        values = np.asarray(array).reshape(slot.shape).astype(np.float32)
    if not np.isfinite(values).all():
        raise UserError(f"{path}: {slot.name} holds values that are not finite: training diverged")
    return values


def _fit(
    path: Path, architecture: Architecture, layer: Layer, row: Row, slots: list[Slot]
) -> list[tuple[Slot, Any]]:
    """Each slot of one layer with its array."""
    expected = [slot.shape for slot in slots]
    if layer.shapes != expected:
        raise UserError(
            f"{path} is not of {architecture.name}: layer {row.layer} (in the file {layer.name})"
            f" holds arrays of {layer.shapes}, expected {expected}"
        )
    for slot, role in zip(slots, layer.roles, strict=False):
        # Keras 3 calls a depthwise kernel "kernel"; files older than Keras 2 have other words.
        if role in _ROLES and role != slot.role and role != slot.role.rpartition("_")[2]:
            raise UserError(
                f"{path}: layer {layer.name} has {role} where {architecture.name} has {slot.role}"
            )
    return list(zip(slots, layer.arrays, strict=True))


_ROLES = frozenset(
    {"kernel", "depthwise_kernel", "pointwise_kernel", "bias"}
    | {"gamma", "beta", "moving_mean", "moving_variance"}
)


def _input_statistics(
    path: Path, layer: Layer, scales: list[Any] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of EfficientNet's Normalization, for our input layers.

    Ours scale once more after it, by EFFICIENTNET_RESCALE, as keras.applications does with its
    ImageNet file, whose variance holds the deviation. A whole model tells if its network did; if
    not (TensorFlow before 2.10, or no ImageNet weights; github.com/keras-team/keras/issues/18218),
    the variance takes that scale up, and the function is the same.
    """
    if [array.size for array in layer.arrays] != [3, 3, 1]:
        raise UserError(f"{path}: layer {layer.name} must hold mean, variance and count")
    mean, variance = (np.asarray(array, np.float64).reshape(3) for array in layer.arrays[:2])
    if scales is not None and len(scales) == 1:
        return mean, variance * np.square(EFFICIENTNET_RESCALE)
    if scales is None and not np.allclose(variance, PREPROCESSING["torch"].deviation, atol=1e-3):
        raise UserError(
            f"{path}: the input layer's variance is {variance.tolist()}, not 0.229, 0.224, 0.225"
            " as with ImageNet weights, so the network had other input layers: save the whole model"
            " (.keras), which tells them"
        )
    return mean, variance


def _refuse_other_order(path: Path, layers: Sequence[Layer], rows: Sequence[Row]) -> None:
    """Shapes alone would let two equal neighbours change places; names tell them apart."""
    known = {row.layer for row in rows if not _AUTOMATIC.fullmatch(row.layer)}
    for layer, row in zip(layers, rows, strict=True):
        if layer.name in known and layer.name != row.layer:
            raise UserError(
                f"{path}: layer {layer.name} stands where keras.applications has {row.layer}:"
                " another order of layers cannot be read"
            )


def _refuse_deeper(path: Path, architecture: Architecture, rest: Sequence[Layer]) -> None:
    """What follows the backbone must be a head."""
    for layer in rest:
        for shape in layer.shapes:
            if len(shape) == 4 and shape[:2] != (1, 1):
                raise UserError(
                    f"{path} has more convolutions than {architecture.name} (such as {layer.name}):"
                    " it is of another architecture"
                )


def _cut(
    architecture: Architecture, layers: list[dict[str, Any]], rows: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A whole model's layers up to its last map, and its head."""
    own = weightless(architecture.name).keys() - _HEAD_PARTS.keys()
    weighted = [i for i, layer in enumerate(layers) if layer["class"] in CLASSES]
    end = weighted[rows - 1] + 1 if len(weighted) >= rows else len(layers)
    while end < len(layers) and _kind(layers[end]) in own:
        end += 1
    return layers[:end], layers[end:]


def _kind(layer: dict[str, Any]) -> str:
    return _SAME_CLASS.get(layer["class"], layer["class"])


def _check_body(
    path: Path, architecture: Architecture, layers: list[dict[str, Any]]
) -> list[Any] | None:
    """How a whole model scales its input; refuse one with layers that are not the architecture's.

    keras.applications has input layers for EfficientNetB0 only; TensorFlow 2.13 to 2.15 scale the
    second time by an operation instead of a layer.
    """
    scales: list[Any] = []
    counted: Counter[str] = Counter()
    for layer in layers:
        kind = layer["class"]
        _refuse_nested(path, layer)
        if kind == "Rescaling":
            scales.append(layer["scale"])
        elif kind == "TFOpLambda" and layer.get("function") == "math.multiply":
            scales.append(_factor(layer["inputs"]))
        # Augmentation and dropout do nothing when a network is used.
        elif kind in CLASSES or not kind.startswith(("InputLayer", "Dropout", "Random")):
            counted[_kind(layer)] += 1
        _check_settings(path, architecture, layer)
    if architecture.preprocessing != "none" and counted["Normalization"]:
        raise UserError(_other_input(path, architecture, "Normalization"))
    counted = Counter({kind: n for kind, n in counted.items() if kind not in CLASSES})
    expected = weightless(architecture.name)
    for kind in sorted(counted.keys() | expected.keys()):
        if counted[kind] != expected[kind]:
            raise UserError(
                f"{path} has {counted[kind]} layers {kind} before its head, keras.applications'"
                f" {architecture.name} {expected[kind]}: this is another function"
            )
    known: list[Any] = [EFFICIENTNET_SCALE, EFFICIENTNET_RESCALE]
    least, most = (1, 2) if architecture.preprocessing == "none" else (0, 0)
    same = all(
        found is not None and np.allclose(found, factor, rtol=1e-4)
        for found, factor in zip(scales, known, strict=False)
    )
    if not (least <= len(scales) <= most and same):
        raise UserError(_other_input(path, architecture, f"scaling by {scales}"))
    return scales


def _other_input(path: Path, architecture: Architecture, what: str) -> str:
    return (
        f"{path}: the model's input goes through {what}, which keras.applications'"
        f" {architecture.name} has not: take that layer out and save again"
    )


def _check_settings(path: Path, architecture: Architecture, layer: dict[str, Any]) -> None:
    """Refuse another epsilon or another activation than the architecture's."""
    _check_epsilon(path, layer, architecture.bn_epsilon)
    activation = layer.get("activation", "linear")
    if layer["class"] == "ReLU":
        most = layer.get("max_value")
        activation = "relu" if most is None else "relu6" if most == 6 else f"relu up to {most}"
        if layer.get("negative_slope") or layer.get("threshold"):
            activation = "leaky relu"
    if activation != "linear" and activation not in _ACTIVATIONS.get(architecture.name, ("relu",)):
        raise UserError(
            f"{path}: layer {layer.get('name')} has activation {activation}, which"
            f" keras.applications' {architecture.name} has not: this is another function"
        )


def _check_epsilon(path: Path, layer: dict[str, Any], own: float | None) -> None:
    if layer["class"] == "BatchNormalization" and not np.isclose(
        layer.get("epsilon") or np.nan, own or np.nan, rtol=1e-4, atol=0
    ):
        raise UserError(
            f"{path}: layer {layer.get('name')} has epsilon {layer.get('epsilon')}, here {own}:"
            " this is another function"
        )


def _check_size(path: Path, layers: list[dict[str, Any]], image_size: tuple[int, int]) -> None:
    """A head was trained on maps of one size; a flattened one even fits another by accident."""
    for layer in layers:
        shape = layer.get("batch_shape") or layer.get("batch_input_shape")
        if layer["class"] == "InputLayer" and shape and None not in shape[1:3]:
            found = tuple(shape[1:3])
            if found != image_size:
                raise UserError(
                    f"{path} takes images of {found[0]}x{found[1]}, this network of"
                    f" {image_size[0]}x{image_size[1]}: build it with that image size"
                    f" (--image-size {found[0]}x{found[1]}), or load with head=False"
                )


def _factor(node: Any) -> Any:
    """The constant "y" of a multiplication, wherever Keras' version nests it; None without."""
    if isinstance(node, dict):
        return node.get("y")
    found = [_factor(part) for part in node] if isinstance(node, list) else []
    return next((factor for factor in found if factor is not None), None)


def _check_head(path: Path, layers: list[dict[str, Any]], parts: tuple[str, ...]) -> None:
    """Refuse a head of other parts, or with activations between them."""
    found: list[str] = []
    activations: list[str] = []
    for layer in layers:
        kind = layer["class"]
        _refuse_nested(path, layer)
        if kind in _HEAD_PARTS:
            found.append(_HEAD_PARTS[kind])
            activations.append(layer.get("activation", "linear"))
            _check_epsilon(path, layer, _HEAD_EPSILON)
        elif kind not in _BETWEEN_PARTS or not (found or kind == "Dropout"):
            raise UserError(
                f"{path}: layer {layer.get('name')} in the head is a {kind}, which no head here"
                " has: load with head=False"
            )
        elif kind in ("Activation", "ReLU", "Softmax"):
            activations[-1] = layer.get("activation", kind.lower())
    # Dropout does nothing when a network is used.
    expected = [part for part in parts if part != "dropout"]
    between = any(activation != "linear" for activation in activations[:-1])
    if found != expected or between or activations[-1] not in ("softmax", "linear"):
        shown = [
            p if a == "linear" else f"{p} ({a})" for p, a in zip(found, activations, strict=True)
        ]
        raise UserError(
            f"{path}: its head is {', '.join(shown)}; this network's is {', '.join(expected)}:"
            " build it with head='plain' or head='paper' (in a run, --budget paper) to match, or"
            " load with head=False"
        )


def _refuse_nested(path: Path, layer: dict[str, Any]) -> None:
    if layer["class"] in ("Functional", "Model", "Sequential"):
        raise nested(path, str(layer.get("name")))


def _fit_head(path: Path, layers: Sequence[Layer], slots: Sequence[Slot]) -> list[tuple[Slot, Any]]:
    """Each slot of the head with its array; a 1x1 convolution is a dense layer."""
    wanted = [list(group) for _, group in groupby(slots, lambda s: s.name.rpartition("/")[0])]
    found = [[s[2:] if len(s) == 4 else s for s in layer.shapes] for layer in layers]
    expected = [[slot.shape for slot in layer] for layer in wanted]
    if found == expected:
        arrays = [array for layer in layers for array in layer.arrays]
        return list(zip(slots, arrays, strict=True))
    if [len(layer) for layer in found] == [len(layer) for layer in expected]:
        classes, own = found[-1][-1][-1], expected[-1][-1][-1]
        if classes != own:
            raise UserError(
                f"{path} is for {classes} classes, this network for {own}: build it for {classes},"
                " or load with head=False to take the backbone only"
            )
    raise UserError(
        f"{path}: its head holds arrays of {found}, this network's {expected}: build the network"
        " with the head or the image size of the file, or load with head=False"
    )
