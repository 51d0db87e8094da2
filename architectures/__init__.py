"""Eleven ConvNets, each in Keras and in PyTorch, the same function on both sides.

Importing this package loads no framework; `build` loads the one that is asked for.
"""

import importlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from architectures import published
from architectures import weights as files
from architectures.architecture import (
    Architecture,
    PaperSettings,
    check_image_size,
    map_shape,
)
from architectures.backbone import Backbone
from architectures.catalogue import ARCHITECTURES, names
from architectures.heads import parts as head_parts
from architectures.outside import Outside, find, known
from architectures.published import WeightsSource
from benchmark.errors import UserError, needs_package, unknown_name

if TYPE_CHECKING:
    from architectures.network import Network

__all__ = [
    "ARCHITECTURES",
    "FRAMEWORKS",
    "PUBLISHED",
    "Architecture",
    "Backbone",
    "Outside",
    "PaperSettings",
    "WeightsSource",
    "build",
    "check_image_size",
    "find",
    "known",
    "lacking",
    "map_shape",
    "names",
    "read",
    "require",
    "weights_source",
]

FRAMEWORKS = ("torch", "keras")
# Weights that have a name; all others are a file.
PUBLISHED = ("imagenet", "timm")

# TensorFlow and torchvision (which timm imports) abort when they meet in one process.
_FOREIGN = {"torch": ("tensorflow",), "keras": ("torchvision", "timm")}
# By framework, and whether the network is outside the eleven: module and class.
_NETWORKS = {
    ("torch", False): ("torch_nets", "TorchNetwork"),
    ("keras", False): ("keras_nets", "KerasNetwork"),
    ("torch", True): ("outside_torch", "OutsideTorch"),
    ("keras", True): ("outside_keras", "OutsideKeras"),
}
_PACKAGES = {"torch": ("torch", "timm"), "keras": ("keras", "tensorflow")}


def build(
    arch: str,
    framework: str,
    classes: int | tuple[int, ...],
    image_size: int | tuple[int, int] | None = None,
    weights: str | Path | None = None,
    seed: int = 0,
    head: str = "plain",
    cam_layer: str = "",
) -> "Network":
    """One architecture in one framework.

    Args:
        arch: a name or alias of the catalogue, or a network outside the eleven: "timm:NAME" (torch
            alone) or "keras:NAME" (keras alone), or one that was added (`Backbone`), drawn by its
            maker from `seed`.
        framework: "torch" or "keras" (on TensorFlow).
        classes: length of the logits; or of several diseases, such as (5, 3): the logits of each
            stand side by side, from a dense layer of their own, drawn as if it were the only one.
        image_size: side, or (height, width), in pixels; None: the architecture's native size.
        weights: None: drawn from `seed` as keras.applications draws them, the same in both
            frameworks; "imagenet": the keras.applications files, one pre-training for both;
            "timm": timm's stock network, weights and preprocessing (torch only); a path: the
            backbone of a file that `Network.save` or Keras (.h5, .weights.h5, .keras) wrote.
        seed: of everything that is drawn: the head, and the backbone when nothing is loaded.
        head: "plain": global average pooling and one dense layer for every architecture (ours);
            "paper": the head of the DermXDB benchmark, see `PaperSettings.head`; "cosine": global
            average pooling, then COSINE_SCALE times the cosine of the features with each class's
            kernel column, without bias, as LDAM's NormedLinear (arXiv 1906.07413); columns drawn
            as a dense layer's (ours).
        cam_layer: of a network outside the eleven, the layer whose output Grad-CAM explains; "":
            the last map that the library names.

    Raises:
        UserError: an unknown name, an image size too small, a framework that is not installed or
            meets another in this process, weights that cannot be had or do not fit, several
            diseases in a cosine head.
    """
    architecture = find(arch, cam_layer)
    if framework not in FRAMEWORKS:
        raise unknown_name("framework", framework, FRAMEWORKS)
    if isinstance(architecture, Outside):
        architecture.require(framework)
    parts = head_parts(head, architecture)
    if image_size is None:
        image_size = architecture.native_size
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    size = (height, width)
    check_image_size(architecture, size)
    # Before the network is built, so that a missing file is known at once.
    source = weights_source(arch, framework, weights)
    sizes = (classes,) if isinstance(classes, int) else classes
    _prepare(framework)
    module, kind = _NETWORKS[framework, isinstance(architecture, Outside)]
    made = getattr(importlib.import_module(f"architectures.{module}"), kind)
    # In PyTorch whether it is timm's stock network; in Keras the seed of dropout.
    last = weights == "timm" if framework == "torch" else seed
    network: Network = made(architecture, sizes, size, parts, last)
    network.initialise(seed, backbone=weights is None)
    network.weights = None if weights is None else str(weights)
    if source is not None and weights != "timm":
        read(network, source.path, head=False)
    return network


def read(network: "Network", path: str | Path, head: bool = True) -> bool:
    """Read a file that `Network.save` or Keras wrote, whatever its name.

    Returns:
        Whether a head was read, see `Network.load_keras_weights`.

    Raises:
        UserError: as `Network.load` and `Network.load_keras_weights`.
    """
    if files.file_format(Path(path)) == "safetensors":
        network.load(path, head)
        return head
    return network.load_keras_weights(path, head)


def weights_source(arch: str, framework: str, weights: str | Path | None) -> WeightsSource | None:
    """What `build` reads for these weights, downloaded if need be; None when it draws them.

    Raises:
        UserError: the file cannot be had, or cannot be weights at all.
    """
    architecture = find(arch)
    if weights is None:
        return None
    if isinstance(architecture, Outside):
        theirs = ("timm",) if architecture.library == "timm" else ()
        if weights in PUBLISHED and weights not in theirs:
            raise UserError(
                f"weights {weights!r} are not of {architecture.name}: give"
                f" {''.join(f'{each!r}, or ' for each in theirs)}a file that a run has left"
            )
    if weights == "timm":
        if framework == "keras":
            raise UserError(
                "weights 'timm' are PyTorch's: use --framework torch, or 'imagenet' for either"
            )
        _prepare(framework)
        return importlib.import_module("architectures.torch_nets").stock_source(architecture)
    _refuse_misspelt(weights)
    path = published.imagenet(architecture) if weights == "imagenet" else Path(weights)
    files.file_format(path)  # refuses what cannot be weights
    return WeightsSource(path.name, path)


def _refuse_misspelt(weights: str | Path) -> None:
    """Refuse a word that is neither weights with a name nor a file."""
    word = str(weights)
    if word in PUBLISHED or Path(word).name != word or "." in word or Path(word).exists():
        return
    told = unknown_name("weights", word, ("none", *PUBLISHED, "run:ID"))
    raise UserError(f"{told} (nor is there a file of this name)")


def require(arch: str, framework: str) -> None:
    """See that there is such a network in this framework; of a library's, that the library has it.

    Raises:
        UserError: there is none, or its library is not installed.
    """
    architecture = find(arch)
    if isinstance(architecture, Outside):
        architecture.require(framework)
        if architecture.library:
            _prepare(framework)
            module, _ = _NETWORKS[framework, True]
            importlib.import_module(f"architectures.{module}").require_model(architecture.model)


def lacking(framework: str) -> str:
    """The first package that a framework needs and that is not installed; "" where all are."""
    return next((each for each in _PACKAGES[framework] if find_spec(each) is None), "")


def _prepare(framework: str) -> None:
    """See that the framework is there, alone in this process, and Keras on TensorFlow."""
    if package := lacking(framework):
        raise needs_package(package, framework, f"framework {framework!r}")
    for package in _FOREIGN[framework]:
        if package in sys.modules:
            raise UserError(
                f"framework {framework!r} cannot run in a process that has loaded {package}:"
                " one process, one framework. Start a new one"
            )
    if framework == "keras":
        if "keras" not in sys.modules:
            os.environ["KERAS_BACKEND"] = "tensorflow"
        backend = importlib.import_module("keras").backend.backend()
        if backend != "tensorflow":
            raise UserError(
                f"Keras runs on {backend} in this process and the networks need TensorFlow: start a"
                " new process, or set KERAS_BACKEND=tensorflow before keras is imported"
            )
