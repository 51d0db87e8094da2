"""What the end of a run means for the sweep: done, failed for good, or worth another try."""

import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from benchmark.errors import RunInProgressError, UserError
from benchmark.sweep.states import State


class Ending(StrEnum):
    """How the process of a run ended."""

    DONE = "done"
    # A `UserError`: the same again would end the same.
    REFUSED = "refused"
    # Any other exception: a bug of ours, or memory that does not suffice.
    BROKEN = "broken"
    # A fault of the machine: a full disk, a lost connection, a kill from outside.
    DISTURBED = "disturbed"
    # Another process computes this very run.
    BUSY = "busy"
    # Ctrl-C or SIGTERM.
    INTERRUPTED = "interrupted"


class Stop(StrEnum):
    """Why the sweep itself ends a run."""

    LIMIT = "over its time limit"
    SWEEP = "the sweep was stopped"


@dataclass(frozen=True)
class Retries:
    """How often and after how many seconds a run is started again after a fault of the machine."""

    most: int = 3
    first: float = 15.0
    factor: float = 4.0

    def wait(self, tries: int) -> float:
        """Seconds to wait after so many tries, from 1."""
        return self.first * self.factor ** (tries - 1)


def verdict(ending: Ending, stop: Stop | None, tries: int, retries: Retries) -> State:
    """What a running run becomes when its process has ended, after so many tries.

    A run that finishes while it is being stopped is done.
    """
    if ending is Ending.DONE:
        return State.DONE
    if stop is Stop.LIMIT:
        return State.TIMED_OUT
    if stop is Stop.SWEEP:
        return State.PENDING
    if ending in (Ending.DISTURBED, Ending.INTERRUPTED):
        return State.RETRYING if tries <= retries.most else State.FAILED
    if ending is Ending.BUSY:
        # Not its fault: it is left to the other process once waiting has not helped.
        return State.RETRYING if tries <= retries.most else State.PENDING
    return State.FAILED


# Of the machine and not of the question; a path that does not exist is the user's to mend.
_DISTURBANCES = frozenset(
    {
        errno.EAGAIN,
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EDQUOT,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EIO,
        errno.EMFILE,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENETUNREACH,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOSPC,
        errno.ENOTCONN,
        errno.EPIPE,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)


def ending_of(error: BaseException) -> Ending:
    """What an exception that ended a run means."""
    if isinstance(error, KeyboardInterrupt):
        return Ending.INTERRUPTED
    if isinstance(error, RunInProgressError):
        return Ending.BUSY
    if any(_disturbs(each) for each in _causes(error)):
        return Ending.DISTURBED
    return Ending.REFUSED if isinstance(error, UserError) else Ending.BROKEN


def _disturbs(error: BaseException) -> bool:
    # These need not have a number.
    if isinstance(error, ConnectionError | TimeoutError | socket.gaierror):
        return True
    return isinstance(error, OSError) and error.errno in _DISTURBANCES


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from."""
    at: BaseException | None = error
    while at is not None:
        yield at
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
