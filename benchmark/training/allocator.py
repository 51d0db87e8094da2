"""Lets glibc keep the memory that each pass of a network frees, for the next pass to use.

By default it maps every block above 32 MB anew and gives it back when it is freed, so that each
pass waits for the kernel to clear the same memory again. `python -m benchmark speed --what
allocator` measures how much faster Xception is without that, forward and training.
"""

import ctypes
import os
import sys

# The numbers of <malloc.h>.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_USERS = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_")


def keep_freed_memory() -> bool:
    """Keep blocks of up to 1 GiB that this process frees; it then holds its peak until it ends.

    What a user sets of glibc's malloc by environment, or loads in its place, is left alone.

    Returns:
        Whether they are kept.
    """
    settled = (
        any(name in os.environ for name in _USERS)
        or "glibc.malloc." in os.environ.get("GLIBC_TUNABLES", "")
        or "malloc" in os.environ.get("LD_PRELOAD", "")
    )
    if sys.platform != "linux" or settled:
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    # Before 2.35 glibc refuses more than 32 MiB; setting the other one alone would then undo what
    # it learns by itself.
    mapped = library.mallopt(_MMAP_THRESHOLD, 2**30) or library.mallopt(_MMAP_THRESHOLD, 2**25)
    return bool(mapped and library.mallopt(_TRIM_THRESHOLD, 2**31 - 1))
