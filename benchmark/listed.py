"""What `list` prints, but for records: made once for an installed version, then remembered.

To say what there is takes importing nearly every module, which is seconds on a slow machine.
"""

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from benchmark import __version__
from benchmark.common.cache import cache_folder
from benchmark.errors import UserError
from benchmark.plugins import VARIABLE

THINGS = ("architectures", "tasks", "methods", "datasets", "explainers")
_PACKAGES = ("architectures", "benchmark", "tasks")


def text_of(kind: str, make: Callable[[str], str]) -> str:
    """The table of one of `THINGS`, by `make` where none is remembered.

    What others add is looked at every time: when it changes is not known.
    """
    added = any(group.startswith("dermbench.") for group in entry_points().groups)
    if added or os.environ.get(VARIABLE):
        return make(kind)
    path, key = cache_folder() / "listed.json", _key()
    tables = _remembered(path, key)
    if kind not in tables:
        # Only here, for numpy comes with it.
        from benchmark.common.files import write_json

        tables[kind] = make(kind)
        # Where the cache cannot be written, it is only slow.
        with suppress(UserError):
            write_json(path, {"key": key, "tables": tables})
    return tables[kind]


def _remembered(path: Path, key: str) -> dict[str, str]:
    """By kind, what was made from the very same files."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return dict(found["tables"]) if found["key"] == key else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _key() -> str:
    """Stands for the version and for every file of the suite by size and time of change."""
    told = [__version__]
    for package in _PACKAGES:
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            for path in sorted(Path(folder).rglob("*.py")):
                state = path.stat()
                told.append(f"{path} {state.st_size} {state.st_mtime_ns}")
    return hashlib.sha256("\n".join(told).encode()).hexdigest()
