"""One file per on-disk layout; each turns a folder into a `Dataset` or says what is wrong."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmark.config import PaperRun
from benchmark.data.dataset import Dataset


@dataclass(frozen=True)
class Layout:
    """How data of one layout is read, and what `describe` tells of it.

    Attributes:
        read: `read(root, **options) -> Dataset`; raises `DataError` when the folder is not sound.
        summary: one line.
        expects: the files it looks for, as a user would lay them out.
        options: keyword options of `read`, name to one-line meaning.
        source: paper or site.
        licence: of the data, in words.
        shared_groups: a group's name means the same lesion or patient in every folder of this
            layout, so that two folders can be checked for a leak.
        paper_run: the settings with which its authors trained on it: --budget paper, where the
            method has none of its own; None: those of the DermXDB benchmark.
    """

    read: Callable[..., Dataset]
    summary: str
    expects: str
    source: str
    licence: str
    options: dict[str, str] | None = None
    needs_data_dir: bool = True
    shared_groups: bool = False
    paper_run: PaperRun | None = None
