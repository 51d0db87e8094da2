"""Ctrl-C that is not lost: Python drops a KeyboardInterrupt that falls into a finaliser."""

import os
import signal
from types import FrameType

_asked = False


def heed() -> None:
    """From now on remember Ctrl-C, for `check`; where it is ignored, it stays so."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _remember)


def obey() -> None:
    """As a process of a sweep: SIGINT and SIGTERM interrupt, even where they were ignored.

    A second one ends the process at once.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _remember_or_end)


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
    if _asked:
        os._exit(128 + number)
    _remember(number, frame)
