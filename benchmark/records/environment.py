"""The machine and the software a run was made with, as the record keeps them."""

import platform
import resource
import sys
from importlib.metadata import PackageNotFoundError, version

import psutil

from benchmark import threads

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
    """Most bytes of main memory this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak if sys.platform == "darwin" else peak * 1024


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
