"""What a pass frees is there for the next one, by counting pages: no times."""

import os
import platform
import subprocess
import sys

import pytest

from benchmark.training import frameworks
from benchmark.training.allocator import keep_freed_memory

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")

# Blocks that glibc maps anew each time, left to itself.
_CODE = """
from resource import RUSAGE_SELF, getrusage
from benchmark.training.allocator import keep_freed_memory
kept = keep_freed_memory()
block = b"x" * (48 << 20)
before = getrusage(RUSAGE_SELF).ru_minflt
for _ in range(10):
    del block
    block = b"x" * (48 << 20)
print(kept, getrusage(RUSAGE_SELF).ru_minflt - before)
"""
# Pages of ten blocks, were they of 2 MB each; most are of 4 KB.
_CLEARED_AGAIN = 240


def _faults(**environment: str) -> tuple[bool, int]:
    """Whether memory is kept, and how many pages the kernel cleared."""
    names = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")
    own = {name: text for name, text in os.environ.items() if not name.startswith(names)}
    done = subprocess.run(
        [sys.executable, "-c", _CODE],
        capture_output=True,
        text=True,
        check=True,
        env=own | environment,
    )
    kept, faults = done.stdout.split()
    return kept == "True", int(faults)


def test_large_blocks_that_are_freed_are_not_given_back():
    kept, faults = _faults()
    assert kept
    assert faults < _CLEARED_AGAIN / 4


@pytest.mark.parametrize(
    "theirs",
    [
        {"MALLOC_TRIM_THRESHOLD_": "131072"},
        {"MALLOC_MMAP_THRESHOLD_": "131072"},
        {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=131072"},
    ],
    ids=lambda theirs: next(iter(theirs)),
)
def test_what_the_user_sets_of_the_allocator_stays(theirs):
    kept, faults = _faults(**theirs)
    assert not kept
    assert faults >= _CLEARED_AGAIN


def test_another_allocator_that_is_loaded_first_stays(monkeypatch):
    monkeypatch.setenv("LD_PRELOAD", "libjemalloc.so.2")
    assert not keep_freed_memory()


def test_every_process_that_settles_its_framework_keeps_them(monkeypatch, framework):
    calls: list[int] = []
    monkeypatch.setattr(frameworks, "keep_freed_memory", lambda: calls.append(1))
    frameworks.select_backend(framework)
    assert calls
