"""Ctrl-C that is not lost: Python drops a KeyboardInterrupt that falls into a finaliser."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Signals that come closer together are one: a cluster signals a sweep, which passes it on, and the
# sweep's processes as well.
MOMENT_SECONDS = 5.0

_asked = False
_asked_at = 0.0
_held = False


class Asked(KeyboardInterrupt):
    """Raised by `check`, between two steps: nothing was cut in the middle."""


def heed() -> None:
    """From now on remember Ctrl-C and SIGTERM, for `check`; where they are ignored, it stays so."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
            signal.signal(number, _remember)


def obey() -> None:
    """As a process of a sweep: SIGINT and SIGTERM interrupt, even if they were ignored or blocked.

    Another one, a moment later, ends the process at once.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _remember_or_end)
    # As they are by the threads of Ray, from which a process inherits it.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})


def check() -> None:
    """Between two steps of a long loop.

    Raises:
        Asked: Ctrl-C was pressed and is held back, or what it raised was dropped.
    """
    if _asked:
        raise Asked


@contextmanager
def held() -> Iterator[None]:
    """In the body the first Ctrl-C waits for the next `check`; a second one is raised at once.

    Raises:
        Asked: by the end of the body there was no further check.
    """
    global _held
    _held = True
    try:
        yield
    finally:
        _held = False
    check()


def _remember(number: int, frame: FrameType | None) -> None:
    global _asked
    first, _asked = not _asked, True
    if not (_held and first):
        raise KeyboardInterrupt


def _remember_or_end(number: int, frame: FrameType | None) -> None:
    global _asked_at
    if not _asked:
        _asked_at = time.monotonic()
        _remember(number, frame)
    elif time.monotonic() - _asked_at >= MOMENT_SECONDS:
        os._exit(128 + number)
