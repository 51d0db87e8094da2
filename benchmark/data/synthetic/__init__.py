"""The default data set: photographs and annotations that are rendered, not downloaded.

Here is only the layout: options, cache and reading back. Skin is in `skin`, the diagnoses are in
`lesions`, the simulated dermatologists in `annotators`, the files in `writer`.
"""

import dataclasses
from pathlib import Path

from benchmark.common.threads import available
from benchmark.data.dataset import Dataset
from benchmark.data.layouts import Layout, dermxdb
from benchmark.data.synthetic.annotators import MOST
from benchmark.data.synthetic.cached import check_range, rendered
from benchmark.data.synthetic.writer import write_dataset

# To be raised with any change that alters a pixel or a mask: caches are kept by it.
VERSION = 2
NAME = "synthetic"


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
    check_range(NAME, "images", images, 54, 100_000)
    check_range(NAME, "size", size, 64, 1024)
    check_range(NAME, "annotators", annotators, 1, MOST)
    check_range(NAME, "seed", seed, 0, 2**32 - 1)
    options = {"images": images, "size": size, "annotators": annotators, "seed": seed}
    workers = min(available(), 8)
    folder = rendered(
        NAME,
        root,
        {**options, "version": VERSION},
        lambda empty: write_dataset(empty, images, size, annotators, seed, workers),
        images,
    )
    # The reader's notes tell of oddities of DermXDB's layout that are here on purpose.
    return dataclasses.replace(dermxdb.read(folder), name=NAME, notes=())


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
