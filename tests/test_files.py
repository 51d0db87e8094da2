"""Writing: all of a file or none of it."""

import errno
import os
import stat

import numpy as np
import pytest
from safetensors.numpy import load_file

from benchmark.errors import UserError
from benchmark.files import atomic_path, write_json, write_tensors, write_text


def test_what_is_written_is_read_back(tmp_path):
    write_text(tmp_path / "deep" / "a.txt", "größe\n")
    assert (tmp_path / "deep" / "a.txt").read_text(encoding="utf-8") == "größe\n"
    write_tensors(tmp_path / "t.safetensors", {"a": np.eye(3).T[:, ::2]}, {"k": "v"})
    np.testing.assert_array_equal(load_file(tmp_path / "t.safetensors")["a"], np.eye(3)[:, ::2])


def test_a_failed_write_leaves_the_old_file_and_no_debris(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "old")
    with pytest.raises(UnicodeEncodeError), atomic_path(target) as temporary:
        temporary.write_text("half of the \ud800", encoding="utf-8")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_is_named_with_its_remedy(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"cannot write .*a\.txt: No space left.*run the same"):
        write_text(tmp_path / "a.txt", "text")
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_should_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        write_text(tmp_path / "file" / "a.txt", "text")


def test_json_refuses_what_is_no_number(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"value": float("nan")})
    assert not (tmp_path / "a.json").exists()


def test_results_are_readable_by_others(tmp_path):
    write_text(tmp_path / "a.txt", "text")
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) & 0o444 == 0o444
