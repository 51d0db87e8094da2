"""Locks end with the process that holds them."""

import errno
import fcntl
import os
import signal
import subprocess
import sys

import pytest

from benchmark.common import locks
from benchmark.errors import UserError

HOLDER = """\
import sys, time
from pathlib import Path
from benchmark.common import locks
with locks.held(Path(sys.argv[1])) as free:
    print(free, flush=True)
    time.sleep(60)
"""


def test_a_lock_is_free_again_when_its_holder_is_killed(tmp_path):
    path = tmp_path / "deep" / "a.lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "True\n"
        assert locks.take(path) is None
        with locks.held(path) as free:
            assert not free
        holder.send_signal(signal.SIGKILL)
    lock = locks.take(path, wait=5)
    assert lock is not None
    lock.release()


def test_where_nothing_can_be_locked_only_a_claim_is_refused(tmp_path, monkeypatch):
    def unsupported(descriptor, operation):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with pytest.warns(UserWarning, match="flock"), pytest.raises(UserError, match="has no locks"):
        locks.take(tmp_path / "a.lock")
    with pytest.warns(UserWarning, match="flock"), locks.held(tmp_path / "a.lock") as free:
        assert free
