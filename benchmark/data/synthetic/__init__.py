"""The default data set: photographs and annotations that are rendered, not downloaded.

Here is only the layout: options, cache and reading back. Skin is in `skin`, the diagnoses are in
`lesions`, the simulated dermatologists in `annotators`, the files in `writer`.
"""

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from benchmark.data.cache import cache_folder
from benchmark.data.dataset import Dataset
from benchmark.data.layouts import Layout, dermxdb
from benchmark.data.synthetic.annotators import MOST
from benchmark.data.synthetic.writer import write_dataset
from benchmark.errors import UserError
from benchmark.progress import TerminalDisplay

# To be raised with any change that alters a pixel or a mask: caches are kept by it.
VERSION = 2


def read(
    root: Path | None = None,
    images: int = 600,
    size: int = 224,
    annotators: int = 4,
    seed: int = 0,
) -> Dataset:
    """The synthetic data set, rendered on first use.

    Args:
        root: an existing folder to render below; None is the cache folder.
        images: photographs, 54 to 100000.
        size: longer side of a photograph in pixels, 64 to 1024.
        annotators: simulated dermatologists per photograph, 1 to 8.
        seed: another seed is another set of patients, pictures and annotators.

    Raises:
        UserError: an option out of its range, or a folder that cannot be written.
    """
    # Up to three photographs are of one patient: from 54 on, every diagnosis has the three patients
    # that training, validation and test need.
    _check_range("images", images, 54, 100_000)
    _check_range("size", size, 64, 1024)
    _check_range("annotators", annotators, 1, MOST)
    _check_range("seed", seed, 0, 2**32 - 1)
    options = {"images": images, "size": size, "annotators": annotators, "seed": seed}
    identity = json.dumps({**options, "version": VERSION}, sort_keys=True)
    key = hashlib.sha256(identity.encode()).hexdigest()[:12]
    folder = (root or cache_folder()) / f"synthetic-{key}"
    if not folder.is_dir():
        _render(folder, **options)
    # The reader's notes tell of oddities of DermXDB's layout that are here on purpose.
    return dataclasses.replace(dermxdb.read(folder), name="synthetic", notes=())


def _check_range(option: str, value: int, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UserError(
            f"dataset 'synthetic': {option}={value!r} is not a whole number from {least} to {most}"
        )


def _render(folder: Path, images: int, size: int, annotators: int, seed: int) -> None:
    """Fill a temporary sibling of `folder` and rename it, so that nobody sees half a data set."""
    temporary: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        temporary.chmod(0o755)
        workers = min(os.cpu_count() or 1, 8)
        progress = write_dataset(temporary, images, size, annotators, seed, workers)
        for _ in TerminalDisplay().track(progress, "rendering the synthetic data set", images):
            pass
        try:
            os.replace(temporary, folder)
        except OSError:
            # Another process rendered the same data set meanwhile; the bytes are the same.
            if not folder.is_dir():
                raise
    except OSError as error:
        raise UserError(
            f"cannot write the synthetic data set to {folder.parent}: {error.strerror or error}."
            " Free some space, or set DERMBENCH_CACHE to a folder that you can write"
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


SYNTHETIC = Layout(
    read=read,
    summary="rendered photographs of six skin diseases with several simulated annotators",
    expects="nothing: it is rendered into the cache folder (or below the folder given)",
    source="rendered by benchmark.data.synthetic; layout and terms of DermXDB (arXiv 2302.12084)",
    licence="made by this software, no rights reserved (CC0 1.0)",
    options={
        "images": "number of photographs, 54 or more (default 600)",
        "size": "longer side in pixels (default 224)",
        "annotators": "simulated dermatologists per photograph, 1 to 8 (default 4)",
        "seed": "another seed, another data set (default 0)",
    },
    needs_data_dir=False,
)
