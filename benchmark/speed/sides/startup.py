"""How long a command takes that computes nothing, beside the interpreter alone."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.speed.worker import Prepared

_HEAVY = ("torch", "tensorflow", "keras", "timm")
_COUNT = """\
import contextlib, io, sys
from benchmark.cli import main
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main(sys.argv[2:])
print(sum(name in sys.modules for name in sys.argv[1].split(",")))
"""


def ours(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """The command in a process of its own; the result counts the frameworks it imported."""
    command = [sys.executable, "-m", "benchmark", settings["command"]]
    counting = [sys.executable, "-c", _COUNT, ",".join(_HEAVY), settings["command"]]

    def imported(_: Any) -> np.ndarray:
        counted = subprocess.run(counting, cwd=scratch, check=True, capture_output=True, text=True)
        return np.array([int(counted.stdout)])

    return Prepared(lambda: _done(command, scratch), imported)


def python(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """The interpreter; nobody's command can be faster."""
    return Prepared(lambda: _done([sys.executable, "-c", "pass"], scratch), lambda _: np.zeros(1))


def _done(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
