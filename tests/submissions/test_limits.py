"""The process that verifies: what bounds it, and what is told when it ends before it should."""

import subprocess
import sys

import pytest

from benchmark.errors import UserError
from benchmark.submissions import limits

resource = pytest.importorskip("resource")


def _limited(code, **bounds):
    """A process with limits that then runs `code`."""
    setup = f"from benchmark.submissions.limits import limit_this_process as f; f(**{bounds!r})\n"
    return subprocess.run(
        [sys.executable, "-c", setup + code], capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS does not bound memory")
def test_memory_is_bounded():
    done = _limited("bytearray(1 << 31)", memory=1 << 30)
    assert "MemoryError" in done.stderr


def test_time_of_the_processor_is_bounded():
    done = _limited("while True: pass", cpu_seconds=1)
    assert done.returncode == -24


def test_what_is_written_is_bounded(tmp_path):
    done = _limited(f"open({str(tmp_path / 'a')!r}, 'wb').truncate(1 << 40)")
    assert done.returncode
    assert not (tmp_path / "a").stat().st_size


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (-24, "took more than 900 seconds of the processor"),
        (-6, "was ended by SIGABRT"),
        (limits.NO_MEMORY, "needed more than 4 GiB of memory"),
    ],
)
def test_a_bundle_that_breaks_the_bounds_is_rejected(monkeypatch, returned, told):
    done = subprocess.CompletedProcess([], returned, b"", b"")
    monkeypatch.setattr(limits.subprocess, "run", lambda *_, **__: done)
    answer = limits.verify_limited("a.zip", "results", keep=False)
    assert not answer.accepted
    assert answer.report.startswith("# Rejected: a.zip")
    assert told in answer.report


def test_a_bundle_that_takes_too_long_is_rejected(made, bundle):
    answer = limits.verify_limited(bundle, made[0], keep=False, wall_seconds=0.01)
    assert not answer.accepted
    assert "took more than 0.01 seconds" in answer.report


def test_faults_of_ours_are_no_rejection(monkeypatch):
    done = subprocess.CompletedProcess([], limits.UNABLE, b"", b"a split is missing")
    monkeypatch.setattr(limits.subprocess, "run", lambda *_, **__: done)
    with pytest.raises(UserError, match="a split is missing"):
        limits.verify_limited("a.zip", "results", keep=False)
    done = subprocess.CompletedProcess([], 1, b"", b"Traceback \x1b[2J")
    with pytest.raises(RuntimeError, match=r"Traceback \?\[2J"):
        limits.verify_limited("a.zip", "results", keep=False)
