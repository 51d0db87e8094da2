"""Every attack on the zip file itself: refused in a sentence, nothing written anywhere."""

import os
import stat
import struct
import tarfile
import zipfile

import bundles_made
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark.errors import UserError
from benchmark.submissions import bundle as bundles
from benchmark.submissions.faults import BundleError
from benchmark.submissions.manifest import MANIFEST

GOOD = {MANIFEST: b"{}", "predictions-1.csv": b"id,a,b\n"}


def _info(name, **fields):
    entry = zipfile.ZipInfo(name)
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry


def _refused(path, told):
    with pytest.raises(BundleError, match=told) as caught:
        bundles.read(path)
    assert "\n" not in str(caught.value)


def test_what_is_written_is_read(tmp_path):
    files = {"predictions-1.csv": b"x" * 9, "predictions-12.npz": b"y"}
    bundles.write(tmp_path / "a.zip", "{}", files)
    found = bundles.read(tmp_path / "a.zip")
    assert found.manifest == b"{}"
    assert found.files == files


def test_the_same_bundle_gives_the_same_bytes(tmp_path):
    for name in ("a.zip", "b.zip"):
        bundles.write(tmp_path / name, "{}", {"predictions-1.csv": b"x"})
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../predictions-1.csv",
        "a/../../predictions-1.csv",
        "..\\predictions-1.csv",
        "C:\\predictions-1.csv",
        "C:predictions-1.csv",
        "\\\\host\\share\\predictions-1.csv",
    ],
)
def test_no_name_leads_out_of_the_bundle(tmp_path, name):
    folder = tmp_path / "in"
    folder.mkdir()
    _refused(bundles_made.zipped(folder / "a.zip", GOOD | {name: b"x"}), "leads out of the bundle")
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "a.zip"]


@pytest.mark.parametrize(
    "name",
    [
        "setup.py",
        "predictions-1.pkl",
        "predictions-0.csv",
        "predictions-1.csv.exe",
        "predictions-1.CSV",
        "predictions-100.csv",
        "folder/",
        "folder/predictions-2.csv",
        "nested.zip",
        "maps.npz",
        "Manifest.json",
        "predictions-2.csv\x1b[31m",
        "predictions-2.csv\u202e",
    ],
)
def test_unknown_files_are_refused_by_name(tmp_path, name):
    path = bundles_made.zipped(tmp_path / "a.zip", GOOD | {name: b"x"})
    with pytest.raises(BundleError, match="unknown file") as caught:
        bundles.read(path)
    assert str(caught.value).isprintable()


def test_a_name_that_is_cut_at_a_nul_is_refused(tmp_path):
    path = bundles_made.zipped(tmp_path / "a.zip", GOOD | {"predictions-2.csv@.py": b"x"})
    path.write_bytes(path.read_bytes().replace(b"csv@", b"csv\0"))
    _refused(path, "unknown file")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR])
def test_links_and_special_files_are_refused(tmp_path, kind):
    entry = _info("predictions-1.csv", external_attr=(kind | 0o777) << 16)
    path = bundles_made.zipped(tmp_path / "a.zip", {MANIFEST: b"{}", entry: b"/etc/passwd"})
    _refused(path, "'predictions-1.csv' is a link or no plain file")


def test_a_tar_with_a_hard_link_is_no_bundle(tmp_path):
    with tarfile.open(tmp_path / "a.zip", "w:gz") as archive:
        link = tarfile.TarInfo("predictions-1.csv")
        link.type, link.linkname = tarfile.LNKTYPE, "/etc/passwd"
        archive.addfile(link)
    _refused(tmp_path / "a.zip", "it is no zip file")


def test_the_bundle_itself_is_no_link_no_folder_and_no_pipe(tmp_path):
    bundles.write(tmp_path / "a.zip", "{}", {})
    (tmp_path / "b.zip").symlink_to(tmp_path / "a.zip")
    _refused(tmp_path / "b.zip", "it is a link")
    (tmp_path / "c.zip").mkdir()
    _refused(tmp_path / "c.zip", "it is no regular file")
    os.mkfifo(tmp_path / "d.zip")
    _refused(tmp_path / "d.zip", "it is no regular file")
    with pytest.raises(UserError, match=r"e\.zip does not exist"):
        bundles.read(tmp_path / "e.zip")


def test_a_bomb_is_not_unpacked(tmp_path):
    files = GOOD | {"predictions-1.csv": bytes(1 << 22)}
    _refused(bundles_made.zipped(tmp_path / "a.zip", files), "over 200 times its size")


def test_a_bomb_whose_header_lies_makes_no_room(tmp_path):
    """The list says a hundred bytes, four million are packed: no more than told is unpacked."""
    files = GOOD | {"predictions-1.csv": bytes(1 << 22)}
    path = bundles_made.zipped(tmp_path / "a.zip", files)
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<L", 1 << 22), struct.pack("<L", 100)))
    _refused(path, "the zip file is damaged")


def test_an_entry_that_is_shorter_than_told_is_refused(tmp_path):
    path = bundles_made.zipped(tmp_path / "a.zip", GOOD, zipfile.ZIP_DEFLATED)
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<LL", 9, 7), struct.pack("<LL", 9, 99)))
    _refused(path, "shorter than the zip file says|damaged")


def test_sizes_are_bounded_before_anything_is_read(tmp_path, monkeypatch):
    path = bundles_made.zipped(tmp_path / "a.zip", GOOD | {"predictions-1.csv": os.urandom(999)})
    monkeypatch.setattr(bundles, "MOST_UNPACKED", 500)
    _refused(path, "it unpacks to 1,001 bytes, over 500")
    monkeypatch.setattr(bundles, "MOST_PACKED", 500)
    _refused(path, "bytes, 500 are allowed")


def test_many_files_are_refused_by_their_count(tmp_path):
    files = {f"predictions-{number}.csv": b"" for number in range(1, 200)}
    _refused(bundles_made.zipped(tmp_path / "a.zip", files), "more than 129 files")


def test_a_count_that_lies_is_refused(tmp_path):
    files = {f"predictions-{number}.csv": b"" for number in range(1, 4000)}
    path = bundles_made.zipped(tmp_path / "a.zip", files)
    content = bytearray(path.read_bytes())
    content[-14:-10] = struct.pack("<HH", 2, 2)
    path.write_bytes(content)
    _refused(path, "more than 129 files")


def test_files_that_share_their_bytes_are_refused(tmp_path):
    files = {f"predictions-{number}.csv": os.urandom(10_000) for number in range(1, 4)}
    path = bundles_made.zipped(tmp_path / "a.zip", {MANIFEST: b"{}"} | files)
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        first, *others = [e for e in archive.infolist() if e.filename != MANIFEST]
        start = archive.start_dir
    listed = content[start:]
    for other in others:
        listed = listed.replace(
            struct.pack("<L", other.header_offset) + other.filename.encode(),
            struct.pack("<L", first.header_offset) + other.filename.encode(),
        )
    path.write_bytes(content[:start] + listed)
    _refused(path, "damaged")
    kept = content[: first.header_offset + first.compress_size + 100]
    end = bytearray(listed)
    end[-6:-2] = struct.pack("<L", len(kept))
    path.write_bytes(kept + end)
    _refused(path, "its files overlap")


def test_a_file_that_is_there_twice_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(MANIFEST, b"{}")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(MANIFEST, b"[]")
    _refused(tmp_path / "a.zip", "a file is there twice")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_of_packing_are_refused(tmp_path, method):
    _refused(bundles_made.zipped(tmp_path / "a.zip", GOOD, method), "packed by an odd method")


def test_encrypted_files_are_refused(tmp_path):
    path = bundles_made.zipped(tmp_path / "a.zip", GOOD)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    _refused(path, "is encrypted")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda held: b"", "the file is empty"),
        (lambda held: b"no zip", "it is no zip file"),
        (lambda held: b"#!/bin/sh\n" + held, "it is no zip file"),
        (lambda held: held + b"more", "does not end as a plain one does"),
        (lambda held: held[:-30], "does not end as a plain one does"),
        (lambda held: held[:40] + held[45:], "parts that belong to nothing"),
        (lambda held: b"PK\x03\x04" + held, "parts that belong to nothing"),
    ],
)
def test_what_is_not_one_plain_zip_file_is_refused(tmp_path, spoil, told):
    path = bundles_made.zipped(tmp_path / "a.zip", GOOD)
    path.write_bytes(spoil(path.read_bytes()))
    _refused(path, told)


def test_a_zip64_ending_is_refused(tmp_path):
    path = bundles_made.zipped(tmp_path / "a.zip", GOOD)
    content = path.read_bytes()
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    path.write_bytes(content[:-22] + locator + content[-22:])
    _refused(path, "does not end as a plain one does")


def test_without_a_manifest_there_is_no_bundle(tmp_path):
    _refused(
        bundles_made.zipped(tmp_path / "a.zip", {"predictions-1.csv": b"x"}), "there is no man"
    )


def test_nothing_that_verify_does_not_read_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(bundles, "MOST_UNPACKED", 10)
    with pytest.raises(UserError, match="more than 10 bytes"):
        bundles.write(tmp_path / "a.zip", "{}", {"predictions-1.csv": bytes(20)})
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "a.zip"
    bundles.write(path, "{}", {"predictions-1.csv": b"id,a,b\nx,0.5,0.5\n" * 20})
    return path.read_bytes(), bundles.read(path)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_damage_is_refused_or_changes_nothing(tmp_path, sound, data):
    path, (content, whole) = tmp_path / "a.zip", sound
    content = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        found = bundles.read(path)
    except BundleError as error:
        bundles_made.check_plain(error)
    else:
        assert found == whole
