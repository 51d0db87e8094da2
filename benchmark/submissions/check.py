"""A table of predictions against the split: every test image once, with probabilities."""

from collections.abc import Sequence

import numpy as np

from benchmark.records.predictions import Predictions
from benchmark.submissions.columns import Table
from benchmark.submissions.faults import BundleError, shown
from tasks.given import Trial

# By which the probabilities of an image may miss 1: seven classes, rounded to four decimals, can
# miss it by 0.00035. They are scored as they are.
TOLERANCE = 1e-3

_PARTS = ("train", "unlabelled", "validation", "unscored")


def checked(table: Table, trial: Trial, classes: Sequence[str]) -> Predictions:
    """What a table says of the test images of a trial, in the trial's order.

    Raises:
        BundleError: an image is missing, strange or there twice, or a probability is none; tells
            the first such row.
    """
    check_ids(table, trial)
    _check_probabilities(table, classes)
    rows = places(table, trial)
    return Predictions(trial.test, table.probabilities[rows].astype(np.float32))


def places(table: Table, trial: Trial) -> list[int]:
    """The row of each test image of a trial, in the trial's order, after `check_ids`."""
    row_of = {sample: row for row, sample in enumerate(table.ids)}
    return [row_of[sample] for sample in trial.test]


def check_ids(table: Table, trial: Trial) -> None:
    """That there is one row for each test image of a trial, and no other.

    Raises:
        BundleError: an image is missing, strange or there twice.
    """
    asked = set(trial.test)
    seen: dict[str, int] = {}
    for row, sample in enumerate(table.ids):
        if sample not in asked:
            raise BundleError(
                table.place(row),
                f"{shown(sample)} is {_told(sample, trial)}",
                f"give a row for each of the {len(asked):,} test images and no other",
            )
        if sample in seen:
            raise BundleError(
                table.place(row),
                f"image {shown(sample)} is also in {table.unit} {seen[sample] + table.first}",
                "give one row for each image",
            )
        seen[sample] = row
    missing = sorted(asked - set(seen))
    if missing:
        more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        raise BundleError(
            table.where,
            f"there is no row for test image {shown(missing[0])}{more}",
            f"give a row for each of the {len(asked):,} test images",
        )


def _told(sample: str, trial: Trial) -> str:
    for part in _PARTS:
        if sample in getattr(trial, part):
            return f"in the part {part!r}, not a test image"
    return "no image of this split"


def _check_probabilities(table: Table, classes: Sequence[str]) -> None:
    values = table.probabilities
    inside = np.isfinite(values) & (values >= 0) & (values <= 1)
    sums = np.where(inside, values, 0).sum(axis=1)
    faulty = ~inside.all(axis=1) | (np.abs(sums - 1) > TOLERANCE)
    if not faulty.any():
        return
    row = int(faulty.argmax())
    sample = shown(table.ids[row])
    if inside[row].all():
        raise BundleError(
            table.place(row),
            f"the probabilities of {sample} sum to {sums[row]:.6g}, not 1",
            f"divide them by their sum (within {TOLERANCE} of 1 is accepted)",
        )
    at = int((~inside[row]).argmax())
    value = values[row, at]
    finite = np.isfinite(value)
    raise BundleError(
        table.place(row),
        f"image {sample}, class {shown(classes[at])}: {value:.6g} is"
        f" {'outside 0 to 1' if finite else 'no finite number'}",
        "give probabilities"
        + (", such as the softmax of logits" if finite else " for every class"),
    )
