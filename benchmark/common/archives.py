"""Reading an npz archive that nobody vouches for: nothing is unpickled, sizes are checked first."""

import math
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from benchmark.errors import DataError

# Of all arrays together, unpacked. A run of 100,000 images and 100 classes says 40 MB.
MOST_BYTES = 1 << 30
# Deflate reaches 1032 on zeros; what a network says is noise and hardly shrinks.
MOST_RATIO = 200
# Below this an archive may shrink as it likes: a few repeated names do.
_SMALL = 1 << 20
_KINDS = "biufU"
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_arrays(path: Path, most_bytes: int = MOST_BYTES) -> dict[str, np.ndarray]:
    """Every array of an npz archive, by name.

    Args:
        path: the archive.
        most_bytes: that all arrays together may have, unpacked.

    Raises:
        DataError: not an archive, a damaged one, too large, or an array of anything but numbers
            and text.
    """
    try:
        with path.open("rb") as stream:
            return arrays_in(stream, path, most_bytes)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def arrays_in(
    stream: IO[bytes], where: str | Path, most_bytes: int = MOST_BYTES
) -> dict[str, np.ndarray]:
    """Every array of an npz archive that is open; `where` it is from, for the error's sentence.

    Raises:
        DataError: as `read_arrays`.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            entries = archive.infolist()
            _check_sizes(where, entries, most_bytes)
            names = [entry.filename.removesuffix(".npy") for entry in entries]
            if len(set(names)) < len(names):
                raise DataError(f"{where}: two arrays have one name")
            return {
                name: _read(where, archive, entry)
                for name, entry in zip(names, entries, strict=True)
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{where} is not a sound npz archive ({error})") from None


def swells(entry: zipfile.ZipInfo) -> bool:
    """Whether an entry unpacks to far more than what it takes packed."""
    return entry.file_size > max(_SMALL, MOST_RATIO * entry.compress_size)


def _check_sizes(path: str | Path, entries: list[zipfile.ZipInfo], most_bytes: int) -> None:
    whole = sum(entry.file_size for entry in entries)
    if whole > most_bytes:
        raise DataError(
            f"{path} unpacks to {whole:,} bytes, {most_bytes:,} are allowed: store fewer arrays"
        )
    for entry in entries:
        if swells(entry):
            raise DataError(
                f"{path}: {entry.filename!r} unpacks to more than {MOST_RATIO} times its size:"
                " that is no array of predictions"
            )


def _read(path: str | Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    # Before NumPy makes room for it: a header may promise any size.
    with archive.open(entry) as stream:
        try:
            header = _HEADERS.get(np.lib.format.read_magic(stream))
            if header is None:
                raise ValueError("an unknown version of the format")
            shape, _, dtype = header(stream)
        except ValueError as error:
            raise DataError(f"{path}: {entry.filename!r} is no array ({error})") from None
        if dtype.kind not in _KINDS:
            raise DataError(
                f"{path}: {entry.filename!r} holds {dtype}: only numbers and text are read"
            )
        length = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or stream.tell() + length != entry.file_size:
            raise DataError(f"{path}: {entry.filename!r} is not as long as its header says")
    with archive.open(entry) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)
