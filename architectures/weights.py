"""Weights by name: slots, our safetensors files, and the tables from Keras' layers to torch's.

Nothing here imports a framework or unpickles. Keras' own files are read by `keras_files` and
matched by `keras_match`; what can be downloaded stands in `published`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from zipfile import BadZipFile, ZipFile, is_zipfile

import numpy as np

from benchmark.common.files import write_tensors
from benchmark.errors import UserError

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


@dataclass(frozen=True)
class Slot:
    """One weight or buffer of a network, under a name and in a layout that both frameworks share.

    Attributes:
        name: "<Keras layer>/<role>", or "head/<part>/<role>".
        role: as Keras names it: "kernel", "depthwise_kernel", "pointwise_kernel", "bias", "gamma",
            "beta", "moving_mean", "moving_variance", "mean", "variance".
        shape: in the Keras layout: (kh, kw, in, out), (kh, kw, C, 1), (in, out), (C,).
        read: gives a copy as a numpy array of that shape.
        write: takes an array of that shape.
    """

    name: str
    role: str
    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]
    write: Callable[[np.ndarray], None]


def assign(tensors: Mapping[str, np.ndarray], slots: Sequence[Slot]) -> None:
    """Set every slot to the tensor of its name; nothing is set unless all fit.

    Raises:
        ValueError: a name is missing or unknown, or a shape differs.
    """
    missing = [slot.name for slot in slots if slot.name not in tensors]
    unknown = sorted(set(tensors) - {slot.name for slot in slots})
    if missing or unknown:
        raise ValueError(f"tensors missing: {missing[:3]}, tensors not expected: {unknown[:3]}")
    for slot in slots:
        if tensors[slot.name].shape != slot.shape:
            raise ValueError(
                f"{slot.name} has shape {tensors[slot.name].shape}, expected {slot.shape}"
            )
    for slot in slots:
        slot.write(tensors[slot.name])


@cache
def table(architecture: str) -> tuple[Row, ...]:
    """The weighted layers of the Keras network without top, in the order of `model.layers`.

    That is the order of a Keras file, and files are read by it: names move with the session that
    wrote them. The tables are verified by the parity tests; shapes alone would not prove them.
    """
    text = files("architectures").joinpath(f"keras_to_torch/{architecture}.tsv").read_text("utf-8")
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return tuple(Row(layer, kind, tuple(modules)) for layer, kind, *modules in rows)


@cache
def weightless(architecture: str) -> Counter[str]:
    """How many layers without weights the Keras network without top has, by class."""
    text = files("architectures").joinpath("keras_to_torch/weightless.tsv").read_text("utf-8")
    rows = {name: counts for name, *counts in (line.split("\t") for line in text.splitlines())}
    pairs = (count.partition("=") for count in rows[architecture])
    return Counter({kind: int(number) for kind, _, number in pairs})


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

    if file_format(path) != "safetensors":
        raise UserError(f"{path} is not a safetensors file, as Network.save writes it")
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


def stored_head(path: Path) -> str | None:
    """The parts of the head, "pool+dense" for instance, of a file that `write` wrote; else None."""
    if file_format(path) != "safetensors":
        return None
    return read(path)[1].get("head")


def file_format(path: Path) -> str:
    """What the file's content says it is, whatever its name: "safetensors", "hdf5" or "keras".

    "hdf5" is Keras' .h5 and .weights.h5, "keras" the archive .keras.

    Raises:
        UserError: there is no such file, it is empty, a web page, a pickle, or something else.
    """
    start = _start(path)
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    # Eight bytes of length, then JSON.
    if start[8:9] == b"{":
        return "safetensors"
    if start.startswith(b"PK") and is_zipfile(path):
        try:
            with ZipFile(path) as archive:
                members = archive.namelist()
        except BadZipFile as error:
            raise UserError(f"{path} is truncated or damaged ({error}): fetch it again") from error
        if "config.json" in members:
            return "keras"
        if any(member.endswith("data.pkl") for member in members):
            raise _pickle(path)
    if start.startswith(b"\x80"):
        raise _pickle(path)
    raise UserError(
        f"{path} is not a whole weights file: known are .safetensors (Network.save) and Keras' .h5,"
        " .weights.h5 and .keras. Fetch or write it again"
    )


def _start(path: Path) -> bytes:
    """The first bytes, after refusing what has none and what a server says instead of a file."""
    try:
        with path.open("rb") as stored:
            start = stored.read(512)
    except IsADirectoryError as error:
        raise UserError(
            f"{path} is a folder: save a TensorFlow SavedModel again as .keras or .weights.h5"
        ) from error
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
    return start


def _pickle(path: Path) -> UserError:
    return UserError(
        f"{path} is a Python pickle (as torch.save writes), which may run any code when read and is"
        " not read: write the weights with Network.save"
    )
