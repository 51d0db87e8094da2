"""What the parity tests measure, how large an error may be, and the tables of what it was.

An entry is one measured error: {"arch", "kind", "size", "quantity", "error"}; `error` is None where
the architecture has no such quantity, or takes no image of that size. Tests hand theirs over as the
property "parity", which also travels from a worker of pytest-xdist.
"""

from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

import architectures

Entry = dict[str, Any]

KINDS = ("float64", "float32", "training")
QUANTITIES = ("logits", "features", "map", "gradcam")

# Inference: what the suite promises. Rounding takes a 500th of it in float64, 0.4 of it in float32.
_LARGEST = {"float64": 1e-10, "float32": 1e-4}
# Training, in float64. Updates are small beside the weights they are taken from, and lose digits.
TRAINING = {
    "logits": 1e-10,
    "means": 1e-10,
    "variances": 1e-10,
    "gradients": 1e-10,
    "updates": 1e-8,
    "weights": 1e-12,
    "later means": 1e-10,
    "later variances": 1e-10,
}

COMMAND = (
    "pytest -m slow tests/architectures/test_arch_parity.py --parity-table architectures/PARITY.md"
)
_PACKAGES = ("torch", "timm", "keras", "tensorflow", "numpy")
_MISSING = "-"
_HEADINGS = {"gradcam": "Grad-CAM"}


def largest(entry: Entry) -> float:
    """The largest error that passes."""
    kind = entry["kind"]
    return TRAINING[entry["quantity"]] if kind == "training" else _LARGEST[kind]


def sizes(arch: str) -> list[tuple[int, int]]:
    """(height, width) in pixels: native, small, either way round, and odd."""
    native = architectures.find(arch).native_size
    return [(native, native), (96, 96), (300, 400), (400, 300), (225, 257)]


def entries(
    arch: str, kind: str, size: tuple[int, int], errors: dict[str, float | None]
) -> list[Entry]:
    """One entry per quantity."""
    spelled = f"{size[0]}x{size[1]}"
    return [
        {"arch": arch, "kind": kind, "size": spelled, "quantity": name, "error": error}
        for name, error in errors.items()
    ]


def faults(measured: Iterable[Entry]) -> list[str]:
    """One line per error that is too large; NaN is."""
    return [
        f"{e['arch']} at {e['size']}, {e['kind']}, {e['quantity']}: {e['error']:.1e},"
        f" at most {largest(e):.0e}"
        for e in measured
        if e["error"] is not None and not e["error"] <= largest(e)
    ]


def collected(reports: Iterable[Any]) -> list[Entry]:
    """The entries of these test reports."""
    return [
        entry
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == "parity"
        for entry in value
    ]


def whole(measured: list[Entry]) -> bool:
    """Whether every architecture was measured at every size, in both precisions, and trained."""
    cells = {(e["arch"], e["kind"], e["size"]) for e in measured}
    trained = {e["arch"] for e in measured if e["kind"] == "training"}
    wanted = {
        (arch, kind, f"{height}x{width}")
        for arch in architectures.names()
        for kind in ("float64", "float32")
        for height, width in sizes(arch)
    }
    return wanted <= cells and trained == set(architectures.names())


def tables(measured: list[Entry]) -> list[str]:
    """Markdown: inference by quantity, inference by size, training; one row per architecture.

    A small run measures some of it only: rows without a figure are left out.
    """
    measured_archs = {e["arch"] for e in measured}
    archs = [name for name in architectures.names() if name in measured_archs]

    def table(columns: dict[str, dict[str, str]]) -> str:
        rows = (
            [arch, *(_worst(measured, {"arch": arch, **c}) for c in columns.values())]
            for arch in archs
        )
        kept = [row for row in rows if set(row[1:]) != {_MISSING}]
        headings = ["", *columns] if kept else []
        return tabulate(kept, headings, tablefmt="github", disable_numparse=True)

    inference = {
        f"{kind} {_HEADINGS.get(name, name)}": {"kind": kind, "quantity": name}
        for kind in ("float64", "float32")
        for name in QUANTITIES
    }
    by_size = {
        f"{kind} {heading}": {"kind": kind, "size": heading}
        for kind in ("float64", "float32")
        for heading in ("native", "96x96", "300x400", "400x300", "225x257")
    }
    training = {name: {"kind": "training", "quantity": name} for name in TRAINING}
    return [table(columns) for columns in (inference, by_size, training)]


def _worst(measured: list[Entry], where: dict[str, str]) -> str:
    if where.get("size") == "native":
        height, width = sizes(where["arch"])[0]
        where = where | {"size": f"{height}x{width}"}
    found = [
        e["error"]
        for e in measured
        if e["error"] is not None and all(e[key] == value for key, value in where.items())
    ]
    # numpy's maximum of anything with NaN is NaN, Python's is not.
    return f"{np.max(found):.0e}" if found else _MISSING


def write(path: Path, measured: list[Entry]) -> None:
    """The page of the documentation."""
    inference, by_size, training = tables(measured)
    page = _PAGE.format(
        versions=", ".join(f"{package} {version(package)}" for package in _PACKAGES),
        command=COMMAND,
        inference_limits=_LARGEST,
        training_limits=", ".join(f"{name} {limit:.0e}" for name, limit in TRAINING.items()),
        inference=inference,
        by_size=by_size,
        training=training,
    )
    path.write_text(page, encoding="utf-8")


_PAGE = """\
<!-- Written by the command below; not by hand. -->

# How equal the two frameworks are

Each of the eleven networks is built in Keras (on TensorFlow) and in PyTorch, in two processes, gets
the same weights, and sees the same images. The error of an array is max|a - b| / max|a|, `a` from
Keras. Measured with {versions},
each framework on one thread, by

    {command}

which fails where an error is larger than stated here, and writes this page when all eleven pass.

Weights are random and hide nothing: no bias, gamma, beta, moving mean or moving variance is 0 or 1.
They are kept in float32, so both frameworks start from the same numbers in either precision.
The published ImageNet files could not be had where this was measured: that they are read is tested
on files which Keras 2 and Keras 3 wrote of networks with random weights.

## Inference

The worst over the five sizes below. At most {inference_limits[float64]:.0e} in float64 (tensors
inside the frameworks) and {inference_limits[float32]:.0e} in float32 (`logits`, `features`,
`feature_map` and `gradcam` of the networks, as a user calls them). Two images per size; Grad-CAM of
class 1, before normalisation.

{inference}

The worst of the four quantities at each size, height x width in pixels. "-": the Inceptions take no
image of 96x96, whose last map would be smaller than 3x3.

{by_size}

## Training

Ten steps of plain SGD in float64 on the same batches of four small images (one side odd, the other
even), with the heads of the paper, dropout and stochastic depth off. The rate makes the first step
change the most strongly pulled weight by 3e-4: at ten times that a network of random weights is
chaotic, and rounding in the first step decides the tenth. At most: {training_limits}.

- logits, gradients: of the first batch, each trainable tensor by itself. A tensor whose gradient
  vanishes (a shift that the next BatchNormalization takes away again) is compared on the scale of
  the network's largest gradient.
- means, variances: what the first batch adds to BatchNormalization's moving statistics (VGG16 has
  none). Keras accumulates the biased variance of a batch, PyTorch the unbiased one: the same values
  but for the factor N / (N - 1), N = batch x height x width at that layer. The test multiplies by
  it.
- updates, weights: after ten steps, the change of each trainable tensor, and the tensor. A change
  is the difference of two numbers thousands of times as large, hence its larger error.
- later means, later variances: what the ten batches have added, as above.

{training}
"""
