"""The data set `synthetic-fundus`: rendered retinas, each graded for one of two diseases.

Here is only the layout: options, cache and reading back. Who is photographed is in `fundus_plan`,
the healthy eye in `fundus_anatomy`, the signs in `fundus_lesions`, the files in `fundus_writer`.
"""

import dataclasses
from pathlib import Path

from benchmark.common.threads import available
from benchmark.data.dataset import Dataset
from benchmark.data.layouts import Layout, multi_disease
from benchmark.data.synthetic.cached import check_range, rendered
from benchmark.data.synthetic.fundus_plan import DISEASES
from benchmark.data.synthetic.fundus_writer import write_tables

# To be raised with any change that alters a pixel or a table: caches are kept by it.
VERSION = 1
NAME = "synthetic-fundus"


def read(
    root: Path | None = None,
    images: int = 400,
    size: int = 224,
    seed: int = 0,
    disease: str = "DR",
) -> Dataset:
    """The synthetic fundus photographs, rendered on first use.

    Diabetic retinopathy (DR, 5 grades) and age-related macular degeneration (AMD, 4 grades). In
    the training and validation parts an image carries the grade of one of them, in the test part
    of both. The group is the patient, whose two eyes are photographed.

    Args:
        root: an existing folder to render below; None is the cache folder.
        images: photographs, 100 to 100000.
        size: side of a photograph in pixels, 64 to 1024.
        seed: another seed is another set of patients and pictures.
        disease: whose grades are `label` and `classes`, "DR" or "AMD".

    Raises:
        UserError: an option out of its range, another disease, or a folder that cannot be written.
    """
    # From 100 on, five patients or more are graded for each disease in each part, and the first
    # five have every grade.
    check_range(NAME, "images", images, 100, 100_000)
    check_range(NAME, "size", size, 64, 1024)
    check_range(NAME, "seed", seed, 0, 2**32 - 1)
    labelled = multi_disease.chosen(disease, DISEASES)
    workers = min(available(), 8)
    folder = rendered(
        NAME,
        root,
        {"images": images, "size": size, "seed": seed, "version": VERSION},
        lambda empty: write_tables(empty, images, size, seed, workers),
        images,
    )
    names = [one.name for one in DISEASES]
    dataset = multi_disease.read(folder, names, labelled.name)
    # The tables hold numbers; here the grades have names.
    return dataclasses.replace(dataset, name=NAME, classes=labelled.grades, diseases=DISEASES)


SYNTHETIC_FUNDUS = Layout(
    read=read,
    summary="rendered fundus photographs, each graded for diabetic retinopathy or AMD",
    expects="nothing: it is rendered into the cache folder (or below the folder given)",
    source="rendered by benchmark.data.synthetic; grades as in SALL (arXiv 2003.10607)",
    licence="made by this software, no rights reserved (CC0 1.0)",
    options={
        "images": "number of photographs, 100 or more (default 400)",
        "size": "side in pixels (default 224)",
        "seed": "another seed, another data set (default 0)",
        "disease": "whose grades are the classes, DR or AMD (default DR)",
    },
    needs_data_dir=False,
)
