"""A data set's card: Croissant JSON-LD (MLCommons, version 1.0) and the table that it describes.

No image enters it. The table names every image with its SHA-256, so that whoever has the images can
see that they are these.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.common.files import write_json, write_text
from benchmark.data import images
from benchmark.data.dataset import UNLABELLED, Dataset, Disease
from benchmark.errors import UserError, needs_package
from benchmark.registry import DATASETS

TABLE, CARD = "samples.csv", "croissant.json"
# What a source says of where it is, and what leads there.
_PLACES = (
    (r"(https?://\S+)", ""),
    (r"doi:(\S+)", "https://doi.org/"),
    (r"arXiv[: ](\d{4}\.\d{4,5})", "https://arxiv.org/abs/"),
)
# The columns of the table, in their order; after them the grades of each disease.
_MEANINGS = {
    "id": "name of the image",
    "file": "below the data set's folder; empty where the photograph was not at hand",
    "sha256": "of the file's bytes, or of the pixels where one file holds several images",
    "class": "diagnosis; empty where there is none",
    "group": "the lesion or patient that no split may cut",
    "split": "the part that the data set fixes; empty where it fixes none",
    "masks": "how many masks of experts there are",
}


def samples(dataset: Dataset) -> pd.DataFrame:
    """A row for each image, sorted by `id`; columns as in the card, text but for `masks`."""
    table = dataset.table.sort_index()
    masks = dataset.masks["id"].value_counts()
    found = pd.DataFrame(
        {
            "id": table.index.astype(str),
            "file": [_below(path, dataset.root) for path in table["path"]],
            "sha256": [images.content_hash(path) if path else "" for path in table["path"]],
            "class": [
                "" if label == UNLABELLED else dataset.classes[label] for label in table["label"]
            ],
            "group": table["group"].astype(str).to_numpy(),
            "split": table["split"].astype(str).to_numpy(),
            "masks": masks.reindex(table.index, fill_value=0).to_numpy(int),
        }
    )
    for disease in dataset.diseases:
        grades = ("" if at == UNLABELLED else disease.grades[at] for at in table[disease.column])
        found[disease.column] = list(grades)
    return found


def write(dataset: Dataset, folder: str | Path) -> tuple[Path, Path]:
    """Write the table and the card into a folder; returns both files.

    Raises:
        UserError: mlcroissant is not installed, or the folder cannot be written.
    """
    try:
        import mlcroissant
    except ImportError as error:
        raise needs_package("mlcroissant", "cards", "a data card") from error
    table, card = Path(folder) / TABLE, Path(folder) / CARD
    text = samples(dataset).to_csv(index=False, lineterminator="\n")
    digest = hashlib.sha256(text.encode()).hexdigest()
    try:
        told = _croissant(mlcroissant, dataset, digest).to_json()
    except mlcroissant.ValidationError as error:
        raise UserError(f"the card of {dataset.name} is not valid Croissant: {error}") from error
    write_text(table, text)
    write_json(card, json.loads(json.dumps(told, default=str)))
    return table, card


def _croissant(library: Any, dataset: Dataset, digest: str) -> Any:
    layout = DATASETS.get(dataset.name)
    return library.Metadata(
        name=f"{dataset.name}-{dataset.fingerprint[:12]}",
        description=f"{layout.summary}. {len(dataset.table):,} images, {len(dataset.classes)}"
        f" classes ({', '.join(dataset.classes)}); SHA-256 of ids, labels, groups, splits and"
        f" bytes: {dataset.fingerprint}. {' '.join(dataset.notes)}".strip(),
        license=[layout.licence],
        cite_as=layout.source,
        url=_url(layout.source),
        distribution=[
            library.FileObject(
                id=TABLE,
                name=TABLE,
                description="a row for each image",
                content_url=TABLE,
                encoding_formats=["text/csv"],
                sha256=digest,
            )
        ],
        record_sets=[
            library.RecordSet(
                id="samples",
                name="samples",
                key=["samples/id"],
                fields=_fields(library, dataset.diseases),
            )
        ],
    )


def _fields(library: Any, diseases: Sequence[Disease]) -> list[Any]:
    kinds = {"masks": library.DataType.INTEGER}
    meanings = _MEANINGS | {
        each.column: f"of {each.name}, the least severe first: {', '.join(each.grades)};"
        " empty where it is not known"
        for each in diseases
    }
    return [
        library.Field(
            id=f"samples/{column}",
            name=column,
            description=meaning,
            data_types=[kinds.get(column, library.DataType.TEXT)],
            source=library.Source(file_object=TABLE, extract=library.Extract(column=column)),
        )
        for column, meaning in meanings.items()
    ]


def _url(source: str) -> str | None:
    """Where a layout's source can be read; None where it names no place."""
    for pattern, place in _PLACES:
        found = re.search(pattern, source)
        if found:
            return place + found.group(1).rstrip(").,;")
    return None


def _below(path: str, root: Path) -> str:
    """The file as seen from the data set's folder; nobody's own folders are published."""
    file, sign, place = path.partition("#")
    if not file:
        return ""
    own = Path(file)
    known = own.relative_to(root) if own.is_relative_to(root) else Path(own.name)
    return f"{known.as_posix()}{sign}{place}"
