"""What `list architectures` and `describe` say of an architecture."""

from typing import Any

import pandas as pd

from architectures import ARCHITECTURES, Architecture, Outside, find, map_shape
from benchmark.registry import ADDED_ARCHITECTURES

# In the words of keras.applications' `preprocess_input`.
_PREPROCESSING = {
    "tf": "tf: RGB scaled to -1..1",
    "torch": "torch: RGB minus ImageNet's mean, divided by its deviation",
    "caffe": "caffe: BGR minus ImageNet's mean, not scaled",
    "none": "input layers of the network's own",
}


def about_architecture(row: Architecture) -> dict[str, Any]:
    """What `describe` says of it."""
    return _outside(row) if isinstance(row, Outside) else _architecture(row)


def _outside(row: Outside) -> dict[str, Any]:
    if row.own is not None:
        return {
            "what": "a network outside the eleven, of a package or plugin file",
            "source": row.paper,
            "framework": " and ".join(row.frameworks),
            "weights": "none: drawn from the seed as its maker does, not alike in two frameworks",
            "preprocessing": f"(pixels / 255 - {row.own.mean}) / {row.own.deviation}, inside the"
            " network",
            "head": "ours: a dense layer on its features",
            "Grad-CAM layer": ", ".join(
                f"{getattr(row.own, f'{framework}_cam') or unnamed} ({framework})"
                for framework, unnamed in (
                    ("torch", "none named: give --cam-layer"),
                    ("keras", "what it ends in"),
                )
                if framework in row.frameworks
            ),
        }
    layer = {
        "timm": "the last module of timm's feature info",
        "keras": "the output of the network without top",
    }[row.library]
    return {
        "what": "a network outside the eleven: it has no counterpart in the other framework, and"
        " whether it exists is known when it is built",
        "framework": f"{row.frameworks[0]} alone",
        "weights": "none: drawn by the library from the seed; timm's own with --weights timm"
        if row.library == "timm"
        else "none: drawn by the library from the seed",
        "preprocessing": "the library's own, inside the network",
        "head": "ours: a dense layer on the features that the network's own classifier would see",
        "Grad-CAM layer": f"{layer}, unless --cam-layer names another",
    }


def _architecture(row: Architecture) -> dict[str, Any]:
    paper = row.settings
    least = row.least_size
    return {
        "source": f"{row.paper} ({row.year})",
        "also called": ", ".join(row.aliases),
        "native size": f"{row.native_size}x{row.native_size} px",
        "least size": f"{least}x{least} px (Grad-CAM map of 3x3)",
        "in Keras": f"keras.applications.{row.name}",
        "in PyTorch": f"made from timm's {row.twin}" if row.twin else "a module of this suite",
        "parameters": f"{row.base_parameters:,} without head, in both; {row.parameters:,} with"
        " keras.applications' own head of 1000 classes",
        "preprocessing": f"{_PREPROCESSING[row.preprocessing]}; inside the network, in both",
        "Grad-CAM layer, Keras": row.keras_cam,
        "Grad-CAM layer, PyTorch": row.torch_cam,
        "map at native size": "{}x{}x{}".format(
            *map_shape(row, (row.native_size, row.native_size)), row.channels
        ),
        "BatchNorm epsilon, momentum": f"{row.bn_epsilon}, {row.bn_momentum} (Keras' convention)",
        "--weights timm": f"timm's {row.timm}" if row.timm else "timm has none",
        "paper: image size": f"{paper.image_size[0]}x{paper.image_size[1]} (height x width)",
        "paper: learning rate": f"{paper.learning_rate:g}, {paper.optimiser}, batch"
        f" {paper.batch_size}",
        "paper: augmentation": f"flips, rotation {paper.rotation}, shear {paper.shear}, zoom"
        f" {paper.zoom}, brightness {paper.brightness[0]} to {paper.brightness[1]}",
        "paper: frozen up to": paper.last_fixed_layer,
        "paper: head": ", ".join(paper.head),
        "paper: epochs": f"pre-training {paper.pretrain_epochs or 'not found'}, fine-tuning"
        f" {paper.finetune_epochs or 'not found'}",
        "paper: Grad-CAM layer": paper.cam_layer or "not found",
    }


def architecture_listing() -> pd.DataFrame:
    """The eleven, then those that others add."""
    rows = [
        {
            "name": row.name,
            "year": row.year,
            "native size": row.native_size,
            "least size": row.least_size,
            "parameters": f"{row.parameters / 1e6:.1f} M",
        }
        for row in ARCHITECTURES
    ]
    added = [{"name": find(name).name} for name in ADDED_ARCHITECTURES.names()]
    return pd.DataFrame([*rows, *added], dtype=object).fillna("")
