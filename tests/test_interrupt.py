"""Ctrl-C that falls where Python drops it."""

import subprocess
import sys

SCRIPT = """
import os, signal
from benchmark import interrupt

signal.signal(signal.SIGINT, signal.{handler})
interrupt.heed()

class Finalised:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

Finalised()
print("went on")
interrupt.check()
print("still going")
"""


def _run(handler):
    script = SCRIPT.format(handler=handler)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)


def test_an_interrupt_that_a_finaliser_swallowed_is_raised_at_the_next_check():
    done = _run("default_int_handler")
    assert done.stdout == "went on\n"
    assert "Exception ignored" in done.stderr
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")


def test_where_interrupts_are_ignored_they_stay_so():
    assert _run("SIG_IGN").stdout == "went on\nstill going\n"
