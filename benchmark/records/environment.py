"""The machine and the software a run was made with, as the record keeps them."""

import platform
import resource
import sys
import threading
from importlib.metadata import PackageNotFoundError, version
from typing import Self

import psutil

from benchmark.common import threads

# What can change a number, whether or not this run loaded it.
_PACKAGES = (
    "dermbench",
    "grain",
    "keras",
    "numpy",
    "opencv-python-headless",
    "pandas",
    "pillow",
    "scikit-learn",
    "scipy",
    "tensorflow",
    "timm",
    "torch",
    "torchvision",
)


def packages() -> dict[str, str]:
    """Installed versions, Python's among them."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def hardware(device: dict[str, str]) -> dict[str, str | int | float | None]:
    """Processor, cores, memory and what the engine says of its device."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": threads.cores(),
        "memory_bytes": psutil.virtual_memory().total,
        **device,
    }


def peak_memory() -> int:
    """Most bytes of main memory this process has held, pages of mapped files among them."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak if sys.platform == "darwin" else peak * 1024


class MemoryWatch:
    """The most main memory of its own that this process holds while the body runs.

    Pages of mapped files, such as decoded images, do not count: the system takes them back when it
    needs them. No system keeps this peak, so a thread looks `every` so many seconds: what is held
    for a shorter time is missed.
    """

    def __init__(self, every: float = 0.01) -> None:
        self.peak = 0
        self._every = every
        self._process = psutil.Process()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(self._every):
            self._look()

    def _look(self) -> None:
        memory = self._process.memory_info()
        # Only Linux tells apart what is shared with files.
        self.peak = max(self.peak, memory.rss - getattr(memory, "shared", 0))


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
