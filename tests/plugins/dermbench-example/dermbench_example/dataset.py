"""A folder of images with a list: a line "CLASS PATIENT FILE" for each."""

from pathlib import Path

import pandas as pd

from benchmark.data.dataset import Dataset
from benchmark.data.layouts import Layout
from benchmark.errors import DataError

FILE = "list.txt"


def read(root: Path) -> Dataset:
    """Read `list.txt`; the group is the patient, and no part is given.

    Raises:
        DataError: naming file and line of the first fault.
    """
    path = root / FILE
    if not path.is_file():
        raise DataError(f"{path} does not exist: write a line CLASS PATIENT FILE for each image")
    rows = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        words = line.split(maxsplit=2)
        if len(words) != 3 or not (root / words[2]).is_file():
            raise DataError(f"{path}, line {number}: expected CLASS PATIENT FILE, found {line!r}")
        rows.append(words)
    classes = tuple(sorted({label for label, _, _ in rows}))
    table = pd.DataFrame(
        {
            "path": [str(root / file) for _, _, file in rows],
            "label": [classes.index(label) for label, _, _ in rows],
            "group": [patient for _, patient, _ in rows],
            "split": "",
        },
        index=pd.Index([file for _, _, file in rows], name="id"),
    )
    return Dataset("example-list", root, table, classes)


LIST = Layout(
    read=read,
    summary="a folder of images with a list of classes and patients",
    expects="list.txt with a line CLASS PATIENT FILE for each image",
    source="an example",
    licence="none: there are no images",
)
