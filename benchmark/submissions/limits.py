"""`verify` in a process of its own, with bounds on memory, time and what it writes.

Where a bundle makes a library ask for more than it should, that process ends and this one says so.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import UserError
from benchmark.submissions.faults import BundleError

# Scoring 100,000 images takes a gigabyte and a few minutes.
MEMORY = 4 << 30
CPU_SECONDS = 900
WALL_SECONDS = 1800
_WRITTEN = 1 << 29
_OPEN_FILES = 256

# How the process ends when it has an answer; `UNABLE` is no fault of the bundle. Python itself ends
# with 1 and 2 where something is wrong with us.
ACCEPTED, REJECTED, UNABLE, NO_MEMORY = 0, 10, 11, 12


@dataclass(frozen=True)
class Answer:
    """Whether a bundle is accepted, and the report in Markdown."""

    accepted: bool
    report: str


def verify_limited(
    bundle: str | Path,
    results: str | Path,
    keep: bool,
    wall_seconds: float = WALL_SECONDS,
    data_dir: str | None = None,
) -> Answer:
    """Verify a bundle within limits; with `keep`, store it when it is accepted.

    Maps are scored against the masks of the data set in `data_dir`.

    A bundle that takes too long or too much memory, or makes a library crash, is rejected.

    Raises:
        UserError: our own files are at fault.
    """
    arguments = [str(bundle), str(results), "keep" if keep else "", data_dir or ""]
    command = [sys.executable, "-P", "-m", "benchmark.submissions.child", *arguments]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=wall_seconds,
            check=False,
            env=_environment(),
        )
    except subprocess.TimeoutExpired:
        return _ended(bundle, f"took more than {wall_seconds:g} seconds")
    told = _printable(done.stderr)
    if done.returncode in (ACCEPTED, REJECTED):
        return Answer(done.returncode == ACCEPTED, done.stdout.decode("utf-8"))
    if done.returncode == UNABLE:
        raise UserError(told.strip())
    if done.returncode == NO_MEMORY:
        return _ended(bundle, f"needed more than {MEMORY >> 30} GiB of memory")
    if done.returncode == -getattr(signal, "SIGXCPU", 0):
        return _ended(bundle, f"took more than {CPU_SECONDS} seconds of the processor")
    if done.returncode < 0:
        return _ended(bundle, f"was ended by {signal.Signals(-done.returncode).name}")
    # A fault of ours: with its traceback, as everywhere.
    raise RuntimeError(f"the process that verifies failed:\n{told}")


def _ended(bundle: str | Path, what: str) -> Answer:
    from benchmark.submissions import report

    name = Path(bundle).name
    told = f"verifying it {what}, which no sound bundle does"
    return Answer(False, report.rejected(name, BundleError(name, told, "make it anew")))


def _printable(output: bytes) -> str:
    text = output.decode("utf-8", "replace")
    return "".join(c if c == "\n" or c.isprintable() else "?" for c in text)


def _environment() -> dict[str, str]:
    """This process' own, with the same places to import from and without threads' memory."""
    places = os.pathsep.join(place or os.getcwd() for place in sys.path)
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {
        **os.environ,
        **single,
        "PYTHONPATH": places,
        "PYTHONIOENCODING": "utf-8",
        # Arrow's own allocator reserves far more than it uses.
        "ARROW_DEFAULT_MEMORY_POOL": "system",
    }


def limit_this_process(memory: int = MEMORY, cpu_seconds: int = CPU_SECONDS) -> None:
    """Bound this process, as far as the operating system can; nothing is undone later."""
    try:
        import resource
    except ImportError:
        # Windows has none: the time is still bounded from outside.
        return
    for kind, most in _bounds(resource, memory, cpu_seconds):
        _, hard = resource.getrlimit(kind)
        soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(kind, (soft, hard))
        except (ValueError, OSError):
            # macOS knows the bound on memory and does not let it be set.
            continue


def _bounds(resource: object, memory: int, cpu_seconds: int) -> Sequence[tuple[int, int]]:
    wanted = {
        "RLIMIT_AS": memory,
        "RLIMIT_CPU": cpu_seconds,
        "RLIMIT_FSIZE": _WRITTEN,
        "RLIMIT_NOFILE": _OPEN_FILES,
        "RLIMIT_CORE": 0,
    }
    return [(getattr(resource, n), most) for n, most in wanted.items() if hasattr(resource, n)]
