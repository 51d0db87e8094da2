"""Weight files: our safetensors, the .h5 of keras.applications, and the tables between them.

Nothing here imports a framework or unpickles. What can be downloaded stands in `published`.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.errors import UserError
from benchmark.files import write_tensors

FORMAT = "dermbench-network-1"


@dataclass(frozen=True)
class Row:
    """One weighted layer of a Keras network and where its arrays go.

    Attributes:
        layer: Keras' name in a fresh session.
        kind: "conv", "depthwise", "separable", "batchnorm", "normalization".
        modules: the torch modules that hold its arrays, in order: two for "separable".
    """

    layer: str
    kind: str
    modules: tuple[str, ...]


@cache
def table(architecture: str) -> tuple[Row, ...]:
    """The weighted layers of the Keras network without top, in the order of `model.layers`.

    That is the order of a Keras file, and files are read by it: names move with the session that
    wrote them. The tables are verified by the parity tests; shapes alone would not prove them.
    """
    text = files("architectures").joinpath(f"keras_to_torch/{architecture}.tsv").read_text("utf-8")
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return tuple(Row(layer, kind, tuple(modules)) for layer, kind, *modules in rows)


def write(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Write tensors and metadata as safetensors, atomically.

    Raises:
        UserError: the file cannot be written.
    """
    write_tensors(path, tensors, {"format": FORMAT, **metadata})


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Tensors and metadata of a file that `write` wrote.

    Raises:
        UserError: the file is missing, broken, or of another origin.
    """
    from safetensors import SafetensorError, safe_open

    _refuse_unreadable(path)
    try:
        with safe_open(path, framework="numpy") as stored:
            metadata = stored.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise UserError(f"{path} was not written by this suite's Network.save")
            return {name: stored.get_tensor(name) for name in stored.keys()}, metadata  # noqa: SIM118
    except SafetensorError as error:
        raise UserError(
            f"{path} is not a whole safetensors file ({error}): fetch or write it again"
        ) from error


def is_keras(path: Path) -> bool:
    """Whether the file is HDF5, in which Keras writes weights.

    Raises:
        UserError: there is no such file, it is empty, or it is a web page.
    """
    return _refuse_unreadable(path) == b"\x89HDF\r\n\x1a\n"


def _refuse_unreadable(path: Path) -> bytes:
    """The first eight bytes, after refusing what cannot hold weights."""
    try:
        with path.open("rb") as stored:
            start = stored.read(512)
    except OSError as error:
        raise UserError(
            f"cannot read the weights file {path}: {error.strerror}. Check the path"
        ) from error
    if not start:
        raise UserError(f"the weights file {path} is empty: fetch it again")
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise UserError(
            f"{path} is a web page saved under the name of a weights file: fetch it again"
        )
    return start[:8]


def read_keras(path: Path, rows: list[Row]) -> list[list[np.ndarray]]:
    """The arrays of a legacy Keras .h5 without top, per layer, in the order of `rows`.

    Every array of the file is used once. Shapes are the caller's to check.

    Raises:
        UserError: no HDF5, truncated, another layout, or another number of layers or arrays.
    """
    import h5py

    if not is_keras(path):
        raise UserError(f"{path} is not an HDF5 file, in which Keras writes weights")
    try:
        with h5py.File(path, "r") as stored:
            layers = _keras_layers(stored, path)
    except (OSError, KeyError, RuntimeError) as error:
        raise UserError(f"{path} is truncated or damaged ({error}): fetch it again") from error
    if len(layers) != len(rows):
        raise UserError(
            f"{path} holds {len(layers)} layers with weights, expected {len(rows)}: it is of"
            " another architecture, or has a top (take the file without: _notop or _no_top)"
        )
    arrays = []
    for row, (name, layer) in zip(rows, layers, strict=True):
        if row.kind == "normalization":
            layer = _input_layer(path, name, layer)
        arrays.append(layer)
    return arrays


def _keras_layers(stored: Any, path: Path) -> list[tuple[str, list[np.ndarray]]]:
    group = stored.get("model_weights", stored)
    names = _chunked(group.attrs, "layer_names")
    if names is None:
        raise UserError(f"{path} is HDF5, but not weights in Keras' legacy layout (no layer_names)")
    layers = []
    for name in names:
        layer = group[name]
        arrays = [
            np.asarray(layer[weight]) for weight in _chunked(layer.attrs, "weight_names") or []
        ]
        if arrays:
            layers.append((name, arrays))
    return layers


def _chunked(attributes: Any, key: str) -> list[str] | None:
    """A list of names; Keras splits one of over 64 kB into key0, key1, ..."""
    if key in attributes:
        names = list(attributes[key])
    elif f"{key}0" in attributes:
        names, chunk = [], 0
        while f"{key}{chunk}" in attributes:
            names.extend(attributes[f"{key}{chunk}"])
            chunk += 1
    else:
        return None
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def _input_layer(path: Path, name: str, layer: list[np.ndarray]) -> list[np.ndarray]:
    """EfficientNet's Normalization: mean, variance and a count that only `adapt` uses."""
    if [array.size for array in layer] != [3, 3, 1]:
        raise UserError(f"{path}: layer {name} must hold mean, variance and count")
    mean, variance = (array.reshape(3) for array in layer[:2])
    # The second scaling of the input (pixels.EFFICIENTNET_RESCALE) belongs to files whose variance
    # holds ImageNet's deviations; a network built without them had none and is another function.
    if not np.allclose(variance, (0.229, 0.224, 0.225), atol=1e-3):
        raise UserError(
            f"{path}: the input layer's variance is {variance.tolist()}, not 0.229, 0.224, 0.225"
            " as in keras.applications' ImageNet files: this network had other input layers"
        )
    return [mean, variance]
