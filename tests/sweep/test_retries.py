"""Which errors are the machine's, and so worth another try."""

import errno
import socket
import urllib.error

import pytest
from safetensors import SafetensorError

from benchmark.common import files
from benchmark.errors import RunInProgressError, UserError
from benchmark.records.attempts import reason_of
from benchmark.sweep.retries import Ending, ending_of


def _raised(function, *given):
    try:
        function(*given)
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def _while_writing(target, error):
    with files.atomic_path(target):
        raise error


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), Ending.DISTURBED),
        (ConnectionResetError(), Ending.DISTURBED),
        (socket.gaierror(socket.EAI_AGAIN, "name resolution"), Ending.DISTURBED),
        (TimeoutError(), Ending.DISTURBED),
        (FileNotFoundError(errno.ENOENT, "no such file"), Ending.BROKEN),
        (OSError("image file is truncated"), Ending.BROKEN),
        (ZeroDivisionError(), Ending.BROKEN),
        (MemoryError(), Ending.BROKEN),
        (UserError("no such data set"), Ending.REFUSED),
        (RunInProgressError("elsewhere"), Ending.BUSY),
        (KeyboardInterrupt(), Ending.INTERRUPTED),
    ],
)
def test_an_error_is_the_machines_the_users_or_ours(error, ending):
    assert ending_of(error) is ending


def test_a_full_disk_is_the_machines_fault_however_it_is_told(tmp_path, monkeypatch):
    told = _raised(_while_writing, tmp_path / "a.json", OSError(errno.ENOSPC, "no space"))
    assert isinstance(told, UserError)
    assert ending_of(told) is Ending.DISTURBED

    def full(tensors, path, metadata):
        raise SafetensorError("Error: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(files, "save_file", full)
    told = _raised(files.write_tensors, tmp_path / "a.safetensors", {}, {})
    assert ending_of(told) is Ending.DISTURBED


def test_a_folder_that_may_not_be_written_is_the_users_to_mend(tmp_path):
    told = _raised(_while_writing, tmp_path / "a.json", PermissionError(errno.EACCES, "denied"))
    assert ending_of(told) is Ending.REFUSED


def test_a_download_that_cannot_connect_is_tried_again():
    def fetch():
        try:
            raise ConnectionRefusedError
        except ConnectionRefusedError as error:
            raise urllib.error.URLError(error) from error

    assert ending_of(_raised(fetch)) is Ending.DISTURBED


def test_too_little_memory_is_named():
    class OutOfMemoryError(RuntimeError):
        pass

    assert "out of memory" in reason_of(OutOfMemoryError("CUDA out of memory. Tried to allocate"))
    assert "out of memory" in reason_of(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
