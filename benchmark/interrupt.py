"""Ctrl-C that is not lost: Python drops a KeyboardInterrupt that falls into a finaliser."""

import os
import signal
import time
from types import FrameType

# Signals that come closer together are one: a cluster signals a sweep, which passes it on, and the
# sweep's processes as well.
MOMENT_SECONDS = 5.0

_asked = False
_asked_at = 0.0


def heed() -> None:
    """From now on remember Ctrl-C, for `check`; where it is ignored, it stays so."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _remember)


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
        KeyboardInterrupt: Ctrl-C was pressed and what it raised was dropped.
    """
    if _asked:
        raise KeyboardInterrupt


def _remember(number: int, frame: FrameType | None) -> None:
    global _asked
    _asked = True
    raise KeyboardInterrupt


def _remember_or_end(number: int, frame: FrameType | None) -> None:
    global _asked_at
    if not _asked:
        _asked_at = time.monotonic()
        _remember(number, frame)
    if time.monotonic() - _asked_at >= MOMENT_SECONDS:
        os._exit(128 + number)
