"""The zip file of a submission: written for `submit`, read with suspicion for `verify`.

Nothing is ever unpacked to disk: the few files that a bundle may hold are read into memory, each by
a name that we know, after their sizes and kinds were checked.
"""

import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from benchmark.common.archives import MOST_RATIO, swells
from benchmark.common.files import atomic_path
from benchmark.errors import UserError
from benchmark.submissions.faults import BundleError, shown
from benchmark.submissions.manifest import FILE_NAME, MANIFEST, MOST_TRIALS

# Of the zip file, and of all its files unpacked: 100,000 images and 100 classes are 120 MB of CSV.
MOST_PACKED = 1 << 27
MOST_UNPACKED = 1 << 28
_MOST_FILES = 2 * MOST_TRIALS + 1
# Of a file in the list at the end, which is parsed before anything else is known.
_MOST_ENTRY = 512
_END = struct.Struct("<4s4H2LH")
_ZIP64_END = b"PK\x06\x07"
_ZIP64_LENGTH = 20
_ENCRYPTED = 0x1 | 0x40
# The same bundle gives the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)
_ANEW = "make the bundle anew with `python -m benchmark submit`"


@dataclass(frozen=True)
class Bundle:
    """The contents of a bundle: its manifest and its other files by name, none of them parsed."""

    manifest: bytes
    files: Mapping[str, bytes]


def write(target: Path, manifest: str, files: Mapping[str, bytes]) -> None:
    """Write a bundle, atomically.

    Raises:
        UserError: it cannot be written, or is larger than what `verify` reads.
    """
    contents = {MANIFEST: manifest.encode(), **files}
    if sum(map(len, contents.values())) > MOST_UNPACKED:
        raise UserError(
            f"the files have more than {MOST_UNPACKED:,} bytes, which `verify` does not read: give"
            " predictions as npz or Parquet, in float32, and maps as small as they were made"
        )
    with atomic_path(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name, _DATE)
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)


def read(path: Path) -> Bundle:
    """Read a bundle that nobody vouches for.

    Raises:
        BundleError: it is not a regular file, not a zip file of the plainest kind, too large, holds
            what no bundle holds, or is damaged.
        UserError: there is no such file.
    """
    where = path.name
    content = _content(path)
    count = check_plain_zip(where, content, _MOST_FILES)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if len(entries) != count:
                raise BundleError(where, f"{count} files are told, {len(entries)} listed", _ANEW)
            _check_entries(where, entries, len(content))
            files = {entry.filename: _unpacked(where, archive, entry) for entry in entries}
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, OSError) as error:
        raise BundleError(where, f"the zip file is damaged ({shown(error)})", _ANEW) from None
    return Bundle(files.pop(MANIFEST), files)


def _content(path: Path) -> bytes:
    # A link is not followed and a pipe not waited for; what is checked is what is then read.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        handle = os.open(path, flags | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: name a bundle made by `submit`") from None
    except OSError as error:
        told = "it is a link" if path.is_symlink() else error.strerror or str(error)
        raise BundleError(path.name, told, "give the zip file itself") from None
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode):
        os.close(handle)
        raise BundleError(path.name, "it is no regular file", "give the zip file itself")
    with os.fdopen(handle, "rb") as stream:
        if not about.st_size:
            raise BundleError(path.name, "the file is empty", _ANEW)
        if about.st_size > MOST_PACKED:
            raise BundleError(
                path.name, f"{about.st_size:,} bytes, {MOST_PACKED:,} are allowed", _ANEW
            )
        return stream.read(MOST_PACKED)


def check_plain_zip(where: str, content: bytes, most_files: int) -> int:
    """That the bytes are one zip archive, nothing before or after it; how many files it tells of.

    Raises:
        BundleError: they are not.
    """
    if len(content) < _END.size or not content.startswith(b"PK\x03\x04"):
        raise BundleError(where, "it is no zip file", _ANEW)
    mark, disk, first, here, files, length, offset, comment = _END.unpack(content[-_END.size :])
    ending = content[-_END.size - _ZIP64_LENGTH : -_END.size]
    if mark != b"PK\x05\x06" or comment or ending.startswith(_ZIP64_END):
        raise BundleError(where, "the zip file does not end as a plain one does", _ANEW)
    if disk or first or here != files or offset + length + _END.size != len(content):
        raise BundleError(where, "the zip file has parts that belong to nothing", _ANEW)
    if files > most_files or length > most_files * _MOST_ENTRY:
        raise BundleError(where, f"more than {most_files} files", _ANEW)
    return int(files)


def _check_entries(where: str, entries: list[zipfile.ZipInfo], length: int) -> None:
    for entry in entries:
        _check_name(where, entry.orig_filename)
        # Zip has no hard links; whatever else is no plain file says so in the mode of Unix.
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
            raise BundleError(where, f"{shown(entry.filename)} is a link or no plain file", _ANEW)
        if entry.flag_bits & _ENCRYPTED:
            raise BundleError(where, f"{shown(entry.filename)} is encrypted", _ANEW)
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BundleError(where, f"{shown(entry.filename)} is packed by an odd method", _ANEW)
        if swells(entry):
            raise BundleError(
                where, f"{shown(entry.filename)} unpacks to over {MOST_RATIO} times its size", _ANEW
            )
    names = [entry.filename for entry in entries]
    if len(set(names)) < len(names):
        raise BundleError(where, "a file is there twice", _ANEW)
    if MANIFEST not in names:
        raise BundleError(where, f"there is no {MANIFEST}", _ANEW)
    whole = sum(entry.file_size for entry in entries)
    if whole > MOST_UNPACKED:
        raise BundleError(where, f"it unpacks to {whole:,} bytes, over {MOST_UNPACKED:,}", _ANEW)
    # Files that share their bytes would unpack to more than the ratio of each allows.
    if sum(entry.compress_size for entry in entries) > length:
        raise BundleError(where, "its files overlap", _ANEW)


def _check_name(where: str, name: str) -> None:
    if name == MANIFEST or FILE_NAME.fullmatch(name):
        return
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in name:
        raise BundleError(where, f"{shown(name)} leads out of the bundle", _ANEW)
    raise BundleError(
        where,
        f"unknown file {shown(name)}",
        f"a bundle holds {MANIFEST} and files such as predictions-1.csv or maps-1.npz, and no"
        " folders",
    )


def _unpacked(where: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    # Asked for a number of bytes, the reader makes no more room than that, whatever is packed.
    with archive.open(entry) as stream:
        content = stream.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise BundleError(
            where, f"{shown(entry.filename)} is shorter than the zip file says", _ANEW
        )
    return content
