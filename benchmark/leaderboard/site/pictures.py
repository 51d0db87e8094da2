"""Which pictures the site holds, as copies: plots of the board and charts of runs, no photographs.

A site is made to be published, and the photographs of most data sets may not be: ISIC 2018 and
DermaMNIST are CC BY-NC, DermXDB's have owners of their own. So of a run's pictures only those go
in whose names are in `CHARTS`, which are drawn from numbers. Galleries, Grad-CAM sheets, explained
predictions and whatever is drawn in future show photographs until it is known that they do not.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from PIL import Image

from benchmark.errors import UserError
from benchmark.leaderboard.folder import OwnFolder
from benchmark.leaderboard.kept import Stat, stat
from benchmark.leaderboard.site.names import stem
from benchmark.records.folder import RunFolder
from benchmark.records.record import Record

CHARTS = (
    "confusion.png",
    "reliability.png",
    "risk-coverage.png",
    "history-*.png",
    "sensitivity-by-frequency.png",
    "label-fractions.png",
    "levels.png",
    "insertion-deletion.png",
    "randomisation.png",
)
# A chart weighs some 50 KB; what weighs more than this is not one.
_HEAVIEST = 2_000_000


@dataclass(frozen=True)
class Picture:
    """A PNG of the site: its path inside, its size in pixels, and what it shows in words."""

    path: str
    width: int
    height: int
    alt: str
    name: str = ""


def copied(source: Path, site: OwnFolder, path: str, alt: str = "") -> Picture | None:
    """Copy a PNG into the site; None where the file is no PNG, or too heavy for a chart.

    Args:
        source: the file.
        site: where it goes.
        path: its place there.
        alt: its words; without, those that the file carries.
    """
    # A link could lead to any file of this machine, which would then be published.
    if source.is_symlink() or not source.is_file() or source.stat().st_size > _HEAVIEST:
        return None
    try:
        with Image.open(source, formats=["PNG"]) as opened:
            width, height = opened.size
            told = str(opened.info.get("Description", ""))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    name = source.stem.replace("-", " ").replace("_", " ")
    site.write(path, source.read_bytes())
    return Picture(path, width, height, alt or told or name, name)


def run_folder(results: Path, record: Record) -> Path | None:
    """The folder of a run, None where it is not there or its name leads elsewhere."""
    runs = results / "v1" / "runs"
    if not runs.is_dir():
        return None
    try:
        folder = RunFolder.of_record(results, record).path
    except UserError:  # settings of another version
        return None
    return folder if folder.is_dir() and _inside(runs, folder) else None


def run_files(results: Path, record: Record) -> list[tuple[str, Stat]] | None:
    """Each file of a run with its size and when it was written; None where it has no folder."""
    folder = run_folder(results, record)
    if folder is None:
        return None
    return [(p.relative_to(folder).as_posix(), stat(p)) for p in sorted(folder.rglob("*"))]


def trial_folder(run: Path, trial: str) -> Path | None:
    """The folder of a run's trial, None where it is not there or its name leads elsewhere."""
    folder = run / trial
    return folder if folder.is_dir() and folder.parent == run and _inside(run, folder) else None


def _inside(outer: Path, inner: Path) -> bool:
    # The record's own text made the path: it may hold "..", or a link may lead away.
    return inner.resolve().parent == outer.resolve()


def other_folders(run: Path, trials: Collection[str]) -> list[Path]:
    """The folders of a run that are of no single trial, such as what several diseases share."""
    folders = (p for p in sorted(run.iterdir()) if p.is_dir() and not p.is_symlink())
    return [p for p in folders if p.name not in trials and p.name != "plots"]


def charts(folder: Path, site: OwnFolder, place: str) -> Iterator[Picture]:
    """Copy the charts in a folder's plots/, in the order of `CHARTS`.

    Args:
        folder: of a run or of a trial.
        site: where the copies go.
        place: their folder there.
    """
    if (folder / "plots").is_symlink():
        return
    drawn = sorted((folder / "plots").glob("*.png"))
    for pattern in CHARTS:
        for file in drawn:
            if fnmatchcase(file.name, pattern):
                picture = copied(file, site, f"{place}/{stem(file.stem)}.png")
                if picture is not None:
                    yield picture
