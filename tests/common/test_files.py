"""Writing: all of a file or none of it."""

import errno
import os
import re
import signal
import stat
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

from benchmark.common import files
from benchmark.common.files import atomic_path, write_json, write_tensors, write_text
from benchmark.errors import UserError


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


WRITER = """\
import sys, time
from pathlib import Path
from benchmark.common.files import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_text("half of what is longer than the next")
    print(flush=True)
    time.sleep(60)
"""


def test_what_a_killed_process_left_is_taken_over_and_what_a_living_one_writes_is_not(tmp_path):
    target = tmp_path / "a.txt"
    command = [sys.executable, "-c", WRITER, str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        writer.stdout.readline()
        write_text(target, "beside it")
        assert target.read_text() == "beside it"
        assert len(list(tmp_path.iterdir())) == 2
        writer.send_signal(signal.SIGKILL)
    write_text(target, "after it")
    assert target.read_text() == "after it"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_many_that_write_one_file_at_once_leave_one_of_theirs(tmp_path):
    script = (
        "import sys\nfrom pathlib import Path\nfrom benchmark.common.files import write_text\n"
        "for _ in range(300): write_text(Path(sys.argv[1]), sys.argv[2] * 5000)\n"
    )
    target = tmp_path / "a.txt"
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(target), letter]) for letter in "abc"
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    text = target.read_text()
    assert text == text[0] * 5000
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_is_named_with_its_remedy(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"cannot write .*a\.txt: No space left.*run the same"):
        write_text(tmp_path / "a.txt", "text")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_needs_no_space(tmp_path, monkeypatch):
    def denied(target):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(files, "_temporary", denied)
    monkeypatch.setenv("DERMBENCH_CACHE", str(tmp_path / "cache"))
    for folder, other in (("out", "folder"), ("cache", "folder by DERMBENCH_CACHE")):
        own = tmp_path / folder
        told = f"cannot write {own}/a.txt: Permission denied: make {own} writable, or name another"
        with pytest.raises(UserError, match=f"^{re.escape(told)} {other}$"):
            write_text(own / "a.txt", "text")


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
