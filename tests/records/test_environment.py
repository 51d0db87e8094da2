"""What a record says of the machine and the software."""

import mmap
import platform
import time
from importlib.metadata import PackageNotFoundError

import numpy as np
import psutil
import pytest

from benchmark import __version__
from benchmark.records import environment


def test_packages_are_the_installed_ones_in_their_versions(monkeypatch):
    def version(name):
        if name in ("torch", "keras"):
            raise PackageNotFoundError(name)
        return really(name) if name in ("numpy", "dermbench") else "1.2"

    really = environment.version
    monkeypatch.setattr(environment, "version", version)
    found = environment.packages()
    assert found["python"] == platform.python_version()
    assert (found["numpy"], found["dermbench"]) == (np.__version__, __version__)
    assert found["timm"] == "1.2"
    assert not {"torch", "keras"} & set(found)


def test_hardware_is_the_machines_and_the_device_what_the_engine_says():
    found = environment.hardware({"device": "a card", "driver": "7"})
    assert (found["device"], found["driver"]) == ("a card", "7")
    assert found["memory_bytes"] == psutil.virtual_memory().total
    assert 1 <= found["cores"] <= psutil.cpu_count()
    assert found["processor"]


def test_where_the_system_has_no_list_of_processors_platform_is_asked(monkeypatch):
    def absent(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", absent)
    for told, expected in (("arm", "arm"), ("", "unknown")):
        monkeypatch.setattr(platform, "processor", lambda told=told: told)
        assert environment._processor() == expected


@pytest.mark.parametrize(("system", "unit"), [("linux", 1024), ("darwin", 1)])
def test_the_peak_of_memory_is_in_bytes_on_every_system(monkeypatch, system, unit):
    class Usage:
        ru_maxrss = 5_000

    monkeypatch.setattr(environment.resource, "getrusage", lambda _: Usage)
    monkeypatch.setattr(environment.sys, "platform", system)
    assert environment.peak_memory() == 5_000 * unit


def test_memory_that_was_held_and_given_back_is_in_the_peak():
    # What earlier tests left in this process may be given back meanwhile: no sum with a start.
    # Mapped by hand: an allocator may take memory that it kept of them, and keep it again.
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    with environment.MemoryWatch(every=0.001) as watch:
        held = mmap.mmap(-1, 1 << 26, flags=private)
        held[:: mmap.PAGESIZE] = bytes(len(held) // mmap.PAGESIZE)
        full, half = _own_memory(), len(held) // 2
        # The thread looks by itself; on a busy machine it may be late.
        late = time.monotonic() + 60
        while watch.peak <= full - half and time.monotonic() < late:
            time.sleep(0.001)
        held.close()
    assert _own_memory() < full - half < watch.peak


def _own_memory():
    memory = psutil.Process().memory_info()
    return memory.rss - getattr(memory, "shared", 0)
