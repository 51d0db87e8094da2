"""Whether the files of the leaderboard are what the records give: built aside, and compared.

What depends on more than the records is compared by what it says: a Parquet file by its rows, and
pictures by their bytes only where they were drawn with the same libraries.
"""

from collections.abc import Callable
from dataclasses import dataclass
from filecmp import cmp
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.common.wording import counted
from benchmark.data.pixels import Progress, silent
from benchmark.errors import UserError
from benchmark.leaderboard import build
from benchmark.leaderboard.files import PARQUET
from benchmark.leaderboard.folder import LIST, listed
from benchmark.leaderboard.plots import DRAWN_WITH
from benchmark.leaderboard.site.names import stem
from benchmark.leaderboard.site.pictures import run_folder
from benchmark.leaderboard.site.runs import NO_FOLDER
from benchmark.records.store import Store

# The folders that a build owns: what it wrote there and writes no more is stale.
_OWN = ("plots", "site")
# Pictures that a build draws, and their copies; those in site/pictures come from run folders.
_DRAWN = ("plots/", "site/plots/")
_DRAWN_WITH = f"plots/{DRAWN_WITH}"
# What CSV rounds away may differ between machines.
_ROUND_OFF = 1e-6


@dataclass(frozen=True)
class Checked:
    """What a check found, a sentence each.

    Attributes:
        faults: the files that are not what the records give.
        remarks: what could not be compared here, and why.
        problems: of `Built`.
    """

    faults: tuple[str, ...]
    remarks: tuple[str, ...]
    problems: tuple[str, ...]


def check(results: str | Path, progress: Progress = silent) -> Checked:
    """Build the leaderboard in a temporary folder and compare it with that in `results`/v1.

    Compared are leaderboard.md, table.csv, table.parquet, plots/ and site/, whose files that no
    build wrote are nobody's business. Nothing below `results` is written. Pictures drawn with other
    versions of the libraries are not compared, nor is the page of a record whose run folder, from
    which its charts come, is not here; both are told.

    Raises:
        UserError: there is no readable record, or a file cannot be read.
    """
    root = Path(results) / "v1"
    with TemporaryDirectory(prefix="dermbench-") as temporary:
        fresh = Path(temporary) / "v1"
        problems = build(results, progress, fresh).problems
        faults = _faults(root, fresh, progress)
        remarks = []
        for excused, remark in (
            (_by_others(root, fresh), _OTHER_LIBRARIES),
            (_without_run(Path(results)), _NO_RUN_FOLDER),
        ):
            names = [name for name in faults if excused(name)]
            faults = {name: fault for name, fault in faults.items() if name not in names}
            if names:
                remarks.append(remark.format(files=counted(len(names), "file")))
    told = (f"{root / name} {fault}" for name, fault in sorted(faults.items()))
    return Checked(tuple(told), tuple(remarks), problems)


_OTHER_LIBRARIES = (
    "not compared: {files} drawn with other libraries than are installed here; the numbers that"
    " they show are compared in the tables"
)
_NO_RUN_FOLDER = (
    "not compared: {files} of records whose run folders, from which charts and tables by class"
    " come, are not beside the records"
)


def _faults(root: Path, fresh: Path, progress: Progress) -> dict[str, str]:
    """By name the files in `root` that are not those of the fresh build, and what is wrong."""
    made = _made(fresh)
    faults = {}
    for name in progress(made, "comparing files", len(made)):
        if not (root / name).is_file():
            faults[name] = "is missing"
        # Other libraries are no fault of themselves.
        elif name != _DRAWN_WITH and not _same(root / name, fresh / name):
            faults[name] = "differs from what the records give"
    for name in _listed(root) - set(made):
        if (root / name).is_file():
            faults[name] = "is stale: no record gives it any more"
    return faults


def _made(fresh: Path) -> list[str]:
    """Every file of a build, relative to its folder, but for its lists of files."""
    names = (p.relative_to(fresh).as_posix() for p in sorted(fresh.rglob("*")) if p.is_file())
    return [name for name in names if name not in {f"{own}/{LIST}" for own in _OWN}]


def _listed(root: Path) -> set[str]:
    """What the build wrote that made the files that are there."""
    return {f"{own}/{name}" for own in _OWN for name in listed(root / own / LIST)}


def _same(one: Path, other: Path) -> bool:
    try:
        same = cmp(one, other, shallow=False)
        return same or (one.name == PARQUET and _same_rows(one, other))
    except OSError as error:
        raise UserError(f"{one} cannot be read: {error.strerror or error}") from error


def _same_rows(one: Path, other: Path) -> bool:
    """Whether two Parquet files hold the same table: another pyarrow writes other bytes."""
    try:
        files = pq.ParquetFile(one), pq.ParquetFile(other)
        if files[0].schema_arrow != files[1].schema_arrow:
            return False
        pairs = zip_longest(*(file.iter_batches() for file in files))
        return all(a is not None and b is not None and _same_batch(a, b) for a, b in pairs)
    except pa.ArrowInvalid:
        return False


def _same_batch(one: pa.RecordBatch, other: pa.RecordBatch) -> bool:
    if len(one) != len(other):
        return False
    for a, b in zip(one.columns, other.columns, strict=True):
        if pa.types.is_floating(a.type):
            x, y = (each.to_numpy(zero_copy_only=False) for each in (a, b))
            if not np.allclose(x, y, rtol=0, atol=_ROUND_OFF, equal_nan=True):
                return False
        elif not a.equals(b):
            return False
    return True


def _by_others(root: Path, fresh: Path) -> Callable[[str], bool]:
    """Which files differ only because other libraries drew them."""
    told = root / _DRAWN_WITH
    if not told.is_file() or _same(told, fresh / _DRAWN_WITH):
        return lambda name: False
    both = (root, fresh)
    return lambda name: (
        name.startswith(_DRAWN) and all((folder / name).is_file() for folder in both)
    )


def _without_run(results: Path) -> Callable[[str], bool]:
    """Which files are of a record whose run folder was there when they were made, not now."""
    store, site = Store(results), results / "v1" / "site"
    runs = {stem(run): run for run in store.run_ids()}

    def without(name: str) -> bool:
        folder, _, rest = name.removeprefix("site/").partition("/")
        own = rest.partition("/")[0].removesuffix(".html")
        if folder not in ("records", "pictures") or own not in runs:
            return False
        try:
            page = (site / "records" / f"{own}.html").read_text(encoding="utf-8")
            return NO_FOLDER not in page and run_folder(results, store.load(runs[own])) is None
        except (OSError, ValueError, UserError):
            return False

    return without
