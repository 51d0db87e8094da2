"""A data set as the rest of the suite sees it: a table of samples, classes, masks, a fingerprint.

Where the samples come from is the business of `benchmark.data.layouts`.
"""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.data import images
from benchmark.errors import DataError

UNLABELLED = -1
# What is of no disease alone: the folder of a joint network. No disease is called so.
ALL_DISEASES = "all-diseases"
SPLITS = ("train", "validation", "test")
SAMPLE_COLUMNS = ("path", "label", "group", "split")
MASK_COLUMNS = ("id", "annotator", "characteristic", "path")


def no_masks() -> pd.DataFrame:
    """The mask table of a data set without masks."""
    return pd.DataFrame({column: pd.Series(dtype=str) for column in MASK_COLUMNS})


def first_readings(masks: pd.DataFrame) -> pd.DataFrame:
    """Rows of a mask table that are of first readings: all, where it has no column `session`."""
    return masks[masks["session"] == 1] if "session" in masks else masks


@dataclass(frozen=True)
class Disease:
    """A disease that is graded.

    Attributes:
        name: such as "DR".
        grades: names of its ordered grades, the least severe first; a grade is an index into them.
        referable: the least grade with which a patient is referred to a specialist.
    """

    name: str
    grades: tuple[str, ...]
    referable: int

    @property
    def column(self) -> str:
        """The column of a data set's table that holds the grades of this disease."""
        return f"grade:{self.name}"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples, their classes and the experts' masks.

    Attributes:
        name: the registered name it was loaded by, such as "isic2018".
        root: the folder (or file) it was read from.
        table: one row per sample. Index `id` (str, unique). Columns `path` (image file, or
            "FILE.npz#ARRAY/ROW", "" where the photograph is not on this machine), `label` (int,
            index into `classes`, -1 when unlabelled), `group` (the lesion or patient that a split
            must not cut), `split` ("train", "validation", "test" where the data set fixes it, else
            ""), then the layout's metadata.
        classes: class names, in the order of the labels.
        masks: one row per mask file. Columns `id`, `annotator`, `characteristic` ("" when the mask
            marks the whole lesion), `path`, then the layout's own. An annotator may have several
            masks of one characteristic; a mask without a marked pixel says "nothing to see".
        notes: what the reader found odd and how it dealt with it, one sentence each.
        diseases: the diseases graded in each image, () where the classes are no grades. Each has a
            table column "grade:NAME" (int64, index into its `grades`, -1 where the image has no
            grade of it); `label` and `classes` are those of one of them.
        faults: those of the notes that tell of something to be mended, each with its remedy:
            the data can be used, but `data check` does not call them sound.
    """

    name: str
    root: Path
    table: pd.DataFrame
    classes: tuple[str, ...]
    masks: pd.DataFrame = field(default_factory=no_masks)
    notes: tuple[str, ...] = ()
    diseases: tuple[Disease, ...] = ()
    faults: tuple[str, ...] = ()

    def image(self, sample_id: str) -> np.ndarray:
        """The photograph: (H, W, 3) uint8, RGB.

        Raises:
            DataError: it is not on this machine, or it cannot be read.
        """
        path = self.table.at[sample_id, "path"]
        if not path:
            raise self._no_photographs(sample_id)
        return images.read_image(path)

    def require_images(self) -> None:
        """Fail when photographs are missing, as in a data set of masks alone.

        Raises:
            DataError: naming how many are missing and where to put them.
        """
        for sample_id in self.table.index[self.table["path"] == ""]:
            raise self._no_photographs(sample_id)

    def mask_rows(self, sample_id: str) -> pd.DataFrame:
        """The rows of `masks` that belong to one image."""
        return self.masks.iloc[self._mask_positions.get(sample_id, [])]

    def readers(self, sample_id: str) -> tuple[str, ...]:
        """Who is known to have read this image, marking something or not; () where nobody is.

        From the column `readers` of the table, names joined by ";", where the layout has it.
        """
        if "readers" not in self.table:
            return ()
        return tuple(filter(None, str(self.table.at[sample_id, "readers"]).split(";")))

    def annotators(self, sample_id: str) -> list[str]:
        """Who marked this image, sorted."""
        return sorted(self.mask_rows(sample_id)["annotator"].unique())

    def mask_stack(self, sample_id: str) -> np.ndarray:
        """Every mask of one image, in the order of `mask_rows`: (M, H, W) bool.

        Raises:
            DataError: a mask is unreadable, or of another size than the photograph (where that is
                absent: than the first mask).
        """
        rows = self.mask_rows(sample_id)
        if rows.empty:
            raise DataError(f"{sample_id} has no mask in {self.root}")
        image = self.table.at[sample_id, "path"]
        reference = image or rows["path"].iloc[0]
        size = images.image_size(reference)
        stack = []
        for path in rows["path"]:
            mask = images.read_mask(path)
            images.require_same_size(path, mask.shape, reference, size)
            stack.append(mask)
        return np.stack(stack)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over ids, labels, groups, splits, classes, diseases, readers, all files' bytes.

        Paths do not enter, so the same data in another folder has the same fingerprint.
        """
        digest = hashlib.sha256()
        digest.update("\x1f".join(self.classes).encode())
        for row in self.table.sort_index().itertuples():
            content = images.content_hash(row.path)
            readers = getattr(row, "readers", "")
            known = (row.Index, row.label, row.group, row.split, content, readers)
            digest.update(("\x1e" + "\x1f".join(map(str, known))).encode())
        # Sorted with their content: one annotator may have several masks of one characteristic.
        masks = sorted(
            f"\x1d{row.id}\x1f{row.annotator}\x1f{row.characteristic}"
            f"\x1f{getattr(row, 'session', 1)}\x1f{images.content_hash(row.path)}"
            for row in self.masks.itertuples()
        )
        digest.update("".join(masks).encode())
        for disease in self.diseases:
            grades = self.table[disease.column].sort_index()
            known = (disease.name, disease.referable, *disease.grades, *grades)
            digest.update(("\x1c" + "\x1f".join(map(str, known))).encode())
        return digest.hexdigest()

    def _no_photographs(self, sample_id: str) -> DataError:
        missing = int((self.table["path"] == "").sum())
        return DataError(
            f"photograph {sample_id} is not on this machine ({missing} of {len(self.table)} are"
            f" missing): {self.root} has masks only; ask the owners for the photographs and put"
            f" them into {self.root / 'images'}, or name their folder with the option images"
        )

    @cached_property
    def _mask_positions(self) -> dict[str, list[int]]:
        positions: dict[str, list[int]] = {}
        for position, sample_id in enumerate(self.masks["id"]):
            positions.setdefault(sample_id, []).append(position)
        return positions
