"""Where the suite keeps what it can make again: rendered data sets, decoded pixels, hashes."""

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """$DERMBENCH_CACHE, else the operating system's cache folder for "dermbench".

    The folder need not exist yet; whoever writes into it makes it.
    """
    chosen = os.environ.get("DERMBENCH_CACHE")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("dermbench"))
