"""Sides that tell the tests what becomes of them; imported by the processes under test."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from benchmark.speed.worker import Prepared


def _noting(settings, name, result=1.0, **further):
    def work():
        with Path(settings["log"]).open("a") as log:
            log.write(name)
        print("a library's own words")
        return result

    return Prepared(work, np.atleast_1d, **further)


def first(settings, scratch):
    return _noting(settings, "A")


def second(settings, scratch):
    return _noting(settings, "B", facts={"variable": os.environ.get("OF_THIS_SIDE")})


def tenth(settings, scratch):
    return _noting(settings, "T", times=1e6)


def other_result(settings, scratch):
    return _noting(settings, "O", result=1.5)


def other_shape(settings, scratch):
    return _noting(settings, "S", result=np.ones(3))


def broken(settings, scratch):
    raise ValueError("no such layer")


def leaving(settings, scratch):
    def work():
        threading.Timer(0.1, os._exit, (9,)).start()
        return 1.0

    return Prepared(work, np.atleast_1d)


def by_a_child(settings, scratch):
    compute = "import time\nwhile time.process_time() < 0.3: pass"
    return Prepared(lambda: subprocess.run([sys.executable, "-c", compute]).returncode)


def slow(settings, scratch):
    def work():
        time.sleep(1)
        return 1.0

    return Prepared(work, np.atleast_1d)


def killed(settings, scratch):
    def work():
        os._exit(7)

    return Prepared(work)
