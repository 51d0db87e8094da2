"""Ctrl-C that falls where Python drops it."""

import subprocess
import sys

import pytest

SCRIPT = """
import os, signal
from benchmark.common import interrupt

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
    assert done.stderr.rstrip().endswith("interrupt.Asked")


OBEYED = """\
import os, signal
from benchmark.common import interrupt

signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGINT, signal.SIGTERM}})
interrupt.obey()
try:
    os.kill(os.getpid(), signal.{first})
except KeyboardInterrupt:
    print("asked")
os.kill(os.getpid(), signal.SIGTERM)
print("once", flush=True)
interrupt.MOMENT_SECONDS = 0
os.kill(os.getpid(), signal.SIGTERM)
print("still going")
"""


@pytest.mark.parametrize("first", ["SIGINT", "SIGTERM"])
def test_a_process_of_a_sweep_obeys_one_signal_in_order_and_a_later_one_at_once(first):
    script = OBEYED.format(first=first)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "asked\nonce\n"
    assert done.returncode == 128 + 15


def test_where_interrupts_are_ignored_they_stay_so():
    assert _run("SIG_IGN").stdout == "went on\nstill going\n"


HELD = """\
import os, signal
from benchmark.common import interrupt

signal.signal(signal.SIGINT, signal.default_int_handler)
interrupt.{install}()
try:
    with interrupt.held():
        os.kill(os.getpid(), signal.{number})
        print("the step is finished")
        interrupt.check()
        print("still going")
except interrupt.Asked:
    print("between two steps")
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("install", ["heed", "obey"])
def test_a_step_is_not_cut_in_the_middle(install, number):
    script = HELD.format(install=install, number=number)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "the step is finished\nbetween two steps\n"


IMPATIENT = """\
import os, signal
from benchmark.common import interrupt

signal.signal(signal.SIGINT, signal.default_int_handler)
interrupt.heed()
try:
    with interrupt.held():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        print("still going")
except KeyboardInterrupt as error:
    print(type(error).__name__)
"""


def test_a_second_one_ends_a_step_that_hangs():
    done = subprocess.run([sys.executable, "-c", IMPATIENT], capture_output=True, text=True)
    assert done.stdout == "KeyboardInterrupt\n"
