"""Which code this is: what a cache that depends on the code is known by."""

import hashlib
from functools import cache
from pathlib import Path

_PACKAGES = ("architectures", "benchmark", "tasks")
_SUFFIXES = frozenset({".py", ".html", ".css", ".js", ".json"})


@cache
def fingerprint() -> str:
    """SHA-256 of the suite's own source files; a version number would not tell an edited one."""
    digest = hashlib.sha256()
    root = Path(__file__).parent.parent
    for package in _PACKAGES:
        for file in sorted((root / package).rglob("*")):
            if file.suffix in _SUFFIXES:
                digest.update(file.relative_to(root).as_posix().encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
