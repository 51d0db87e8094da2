"""The errors that are the user's to mend: one line that says what, where and what to do.

The command line prints them without a traceback. Any other exception that escapes is a bug of ours.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Something the user can mend; the message names the thing, the place and the remedy."""


class DataError(UserError):
    """A data set on disk does not hold what its layout promises."""


class RunInProgressError(UserError):
    """Another process computes this very run."""


# By name: neither framework need be there. PyTorch on a CPU has no class of its own for it.
_OUT_OF_MEMORY = ("OutOfMemoryError", "ResourceExhaustedError")
_TOLD = (
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def out_of_memory(error: BaseException) -> bool:
    """Whether memory did not suffice, the machine's or the accelerator's, in either framework."""
    named = isinstance(error, MemoryError) or type(error).__name__ in _OUT_OF_MEMORY
    return named or any(each in str(error) for each in _TOLD)


# Names that an error spells out.
_MOST_KNOWN = 40


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not registered, with the nearest known ones."""
    known = sorted(known)
    lowered = {k.lower(): k for k in known}
    near = [lowered[m] for m in get_close_matches(name.lower(), lowered, n=3, cutoff=0.5)]
    more = f" and {len(known) - _MOST_KNOWN:,} more" if len(known) > _MOST_KNOWN else ""
    every = f"known: {', '.join(known[:_MOST_KNOWN])}{more}"
    hint = f"did you mean {' or '.join(near)}?" if near else every
    return UserError(f"unknown {kind} {name!r}: {hint}")


def may_be_added(error: UserError) -> UserError:
    """The error for the name of a thing that others may write, which says how theirs is loaded."""
    return UserError(f"{error} (what others wrote is loaded with --plugin FILE.py)")


def needs_package(package: str, extra: str, purpose: str) -> UserError:
    """The error for an optional package that is not installed."""
    return UserError(
        f"{purpose} needs {package}, which is not installed: pip install 'dermbench[{extra}]'"
    )
