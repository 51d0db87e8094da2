"""What lies in a file that Keras wrote: its weighted layers in order, a model's description.

Read with h5py, zipfile and json alone: no TensorFlow, and nothing of the file is built or run.
Whether the layers are a network's is `keras_match`'s question.
"""

import io
import json
import re
import zlib
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from architectures.architecture import Architecture
from architectures.weights import Row, file_format
from benchmark.errors import UserError

# What Keras calls the classes of layers with weights, and the group it files them under since 3.0.
CLASSES = {
    "Conv2D": "conv",
    "DepthwiseConv2D": "depthwise",
    "SeparableConv2D": "separable",
    "BatchNormalization": "batchnorm",
    "Normalization": "normalization",
    "Dense": "dense",
}
_GROUPS = {
    re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower(): kind for name, kind in CLASSES.items()
}
# Where those groups are: since Keras 3, and in TensorFlow 2.13 to 2.15.
_ROOTS = ("layers", "_layer_checkpoint_dependencies")
_LARGEST = 4 << 30
_MOST_ARRAYS = 4  # of one layer: batch normalisation


@dataclass(frozen=True)
class Layer:
    """A layer of the file that has weights.

    Attributes:
        name: the file's.
        arrays: h5py datasets, in Keras' order, not read yet.
        roles: what the file calls each: "kernel", "gamma", ...; empty where it numbers them.
    """

    name: str
    arrays: tuple[Any, ...]
    roles: tuple[str, ...] = ()

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of the arrays, in order."""
        return [tuple(array.shape) for array in self.arrays]


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, list[dict[str, Any]] | None]]:
    """The HDF5 file with the weights and, for a whole model, its layers as Keras describes them."""
    import h5py

    kind = file_format(path)
    if kind == "safetensors":
        raise UserError(f"{path} is a safetensors file, not Keras': read it with Network.load")
    try:
        if kind == "hdf5":
            with h5py.File(path, "r") as stored:
                yield stored, _configured(path, stored.attrs.get("model_config"))
            return
        with ZipFile(path) as archive:
            # Weights hardly compress: more than this is no network but a trap.
            if sum(member.file_size for member in archive.infolist()) > _LARGEST:
                raise UserError(f"{path} holds more than {_LARGEST >> 30} GiB: no network of ours")
            config = archive.read("config.json")
            weights = io.BytesIO(archive.read("model.weights.h5"))
        with h5py.File(weights, "r") as stored:
            yield stored, _configured(path, config)
    except (OSError, KeyError, RuntimeError, UnicodeError, BadZipFile, zlib.error) as error:
        raise UserError(f"{path} is truncated or damaged ({error}): fetch it again") from error


def _configured(path: Path, text: bytes | str | None) -> list[dict[str, Any]] | None:
    """The layers of a whole model in order, or None for a file of weights alone."""
    if text is None:
        return None
    try:
        model = json.loads(text)
        layers = model["config"]["layers"]
        # A registered class has its package in front: "Custom>CustomScaleLayer".
        return [
            {
                **layer["config"],
                "class": layer["class_name"].rpartition(">")[2],
                "inputs": layer.get("inbound_nodes"),
            }
            for layer in layers
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} has no description of its layers that can be read ({error!r}): save the"
            " weights alone (model.save_weights)"
        ) from error


def nested(path: Path, name: str) -> UserError:
    """The error for a model that is a layer of another one."""
    return UserError(
        f"{path} holds a model inside a model ({name}): save the inner one's weights"
        " (model.get_layer(NAME).save_weights) and read that file"
    )


def split(
    path: Path, stored: Any, architecture: Architecture, rows: Sequence[Row]
) -> tuple[list[Layer], list[Layer]]:
    """The backbone's layers in the order of `rows`, and those that follow them."""
    group = _group(path, stored, "model_weights") if "model_weights" in stored else stored
    if _names(group.attrs, "layer_names") is not None:
        layers = _legacy_layers(path, group)
        base, rest = layers[: len(rows)], layers[len(rows) :]
    else:
        roots = [name for name in _ROOTS if name in stored]
        if not roots:
            raise UserError(
                f"{path} is HDF5, but no Keras weights (neither layer_names nor layers)"
            )
        by_kind = _numbered_layers(path, _group(path, stored, roots[0]))
        base = [by_kind[row.kind].popleft() for row in rows if by_kind[row.kind]]
        if by_kind.pop("normalization", None):
            raise UserError(
                f"{path} has a Normalization, which keras.applications' {architecture.name} has"
                " not: this is another function"
            )
        # In a head a 1x1 convolution comes before dense layers.
        rest = [layer for kind in ("batchnorm", "conv") for layer in by_kind.pop(kind, ())]
        rest += [layer for layers in by_kind.values() for layer in layers]
    if len(base) < len(rows):
        raise UserError(
            f"{path} holds {len(base)} layers that {architecture.name} has, expected {len(rows)}:"
            " it is of another architecture"
        )
    return base, rest


def _legacy_layers(path: Path, group: Any) -> list[Layer]:
    layers = []
    for name in _names(group.attrs, "layer_names") or []:
        stored = _group(path, group, name)
        weights = _names(stored.attrs, "weight_names") or []
        arrays = tuple(_dataset(path, stored, weight) for weight in weights)
        # "conv1/kernel:0"; a nested model's have one more level.
        roles = tuple(weight.rpartition("/")[2].partition(":")[0] for weight in weights)
        if len(arrays) > _MOST_ARRAYS:
            raise nested(path, name)
        if arrays:
            layers.append(Layer(name, arrays, roles))
    return layers


def _numbered_layers(path: Path, root: Any) -> defaultdict[str, deque[Layer]]:
    """Layers by kind, in the order of `model.layers` within a kind: conv2d, conv2d_1, ..."""
    found: dict[str, dict[int, Layer]] = defaultdict(dict)
    for name in root:
        group = _group(path, root, name)
        if any(inner in group for inner in _ROOTS):
            raise nested(path, name)
        stored: Any = _group(path, group, "vars") if "vars" in group else {}
        keys = sorted((key for key in stored if key.isdecimal()), key=int)
        arrays = tuple(_dataset(path, stored, key) for key in keys)
        if arrays:
            base, _, number = name.rpartition("_")
            base, position = (base, int(number)) if number.isdecimal() else (name, 0)
            shown = str(stored.attrs.get("name", name))
            found[_GROUPS.get(base, base)][position] = Layer(shown, arrays)
    ordered: defaultdict[str, deque[Layer]] = defaultdict(deque)
    for kind, layers in found.items():
        ordered[kind].extend(layers[position] for position in sorted(layers))
    return ordered


def _names(attributes: Any, key: str) -> list[str] | None:
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


def _inside(path: Path, group: Any, name: str) -> Any:
    """What lies in this very file under that name: a link may lead to any other."""
    import h5py

    for part in name.split("/"):
        link = group.get(part, getlink=True) if isinstance(group, h5py.Group) else None
        if not isinstance(link, h5py.HardLink):
            raise UserError(f"{path}: {name} is missing, or a link, which is not followed")
        group = group[part]
    return group


def _group(path: Path, group: Any, name: str) -> Any:
    import h5py

    found = _inside(path, group, name)
    if not isinstance(found, h5py.Group):
        raise UserError(f"{path} is HDF5, but no Keras weights ({name} is no group)")
    return found


def _dataset(path: Path, group: Any, name: str) -> Any:
    import h5py

    dataset = _inside(path, group, name)
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fiu":
        raise UserError(f"{path}: {name} holds no array of numbers")
    if dataset.is_virtual or dataset.external:
        raise UserError(f"{path}: {name} lies in another file, which is not read")
    return dataset
