"""How many threads a process may use: every core, or its share where a sweep divides them."""

import os

SHARE = "DERMBENCH_THREADS"
_OPENMP = "OMP_NUM_THREADS"
# What the libraries that compute heed: BLAS (of which MKL decides for PyTorch), OpenCV, TensorFlow.
LIBRARIES = (
    _OPENMP,
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


def available() -> int:
    """Threads that this process may use."""
    return _number(os.environ.get(SHARE)) or cores()


def cores() -> int:
    """The cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def divided(jobs: int) -> dict[str, str]:
    """The environment of each of so many processes; fewer threads that the user sets stay."""
    return environment(max(available() // jobs, 1))


def environment(share: int) -> dict[str, str]:
    """The environment of a process of so many threads; fewer that the user sets stay.

    OMP_NUM_THREADS is taken as what the user wants of every library.
    """
    most = _fewer(_OPENMP, share)
    return {SHARE: str(share), **{name: str(_fewer(name, most)) for name in LIBRARIES}}


def _fewer(name: str, most: int) -> int:
    return min(most, _number(os.environ.get(name)) or most)


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0
