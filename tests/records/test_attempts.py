"""What is kept of a run that did not come to its record."""

import os
import signal
import subprocess
import sys
import time

import pytest

from benchmark.errors import UserError
from benchmark.records import attempts
from benchmark.records.attempts import Attempt, noted, without_record


def _attempt(run_id="r0", started="2025-03-01T12:00:00+00:00"):
    return Attempt(
        benchmark_version="0.1.0",
        run_id=run_id,
        task="diagnosis",
        task_version="1",
        dataset="synthetic",
        config={"arch": "Xception", "seed": 0},
        started=started,
    )


def _only(results):
    (attempt,) = without_record(results).attempts
    return attempt


def test_while_it_runs_it_is_known_and_once_done_it_is_not(tmp_path):
    with noted(tmp_path, _attempt()):
        assert _only(tmp_path).told == "killed, or still running: the same command continues it"
    assert without_record(tmp_path).attempts == ()


def test_a_failure_is_kept_with_its_first_line(tmp_path):
    with pytest.raises(UserError), noted(tmp_path, _attempt()):
        raise UserError("the loss is not finite: lower --lr\nand more")
    kept = _only(tmp_path)
    assert kept.told == "the loss is not finite: lower --lr"
    assert kept.ended >= kept.started


def test_an_error_of_ours_is_kept_with_its_kind(tmp_path):
    with pytest.raises(RuntimeError), noted(tmp_path, _attempt()):
        raise RuntimeError("CUDA out of memory")
    assert _only(tmp_path).told == "RuntimeError: CUDA out of memory"


def test_an_interrupted_run_says_that_it_can_be_continued(tmp_path):
    with pytest.raises(KeyboardInterrupt), noted(tmp_path, _attempt()):
        raise KeyboardInterrupt
    assert _only(tmp_path).told == "interrupted: the same command continues it"


def test_a_killed_run_stays_known(tmp_path):
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[2]);"
        "from test_attempts import _attempt, noted;"
        "cm = noted(sys.argv[1], _attempt()); cm.__enter__(); time.sleep(60)"
    )
    here = os.path.dirname(__file__)
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), here])
    deadline = time.monotonic() + 50
    while not without_record(tmp_path).attempts and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert _only(tmp_path).ended == ""


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (
            "/home/someone/data/isic/x.jpg, line 3: no image",
            "x.jpg, line 3: no image",
        ),
        ("cannot write '/scratch/out/v1/a.json': full", "cannot write 'a.json': full"),
        ("give /-separated and/or https://example.org/a/b", None),
    ],
)
def test_a_reason_names_nobodys_folders(error, kept, tmp_path):
    with pytest.raises(UserError), noted(tmp_path, _attempt()):
        raise UserError(error)
    assert _only(tmp_path).reason == (kept or error)


def test_the_newest_stands_first(tmp_path):
    for run_id, day in (("r1", "01"), ("r3", "03"), ("r2", "02")):
        with (
            pytest.raises(UserError),
            noted(tmp_path, _attempt(run_id, f"2025-03-{day}T12:00:00+00:00")),
        ):
            raise UserError("no")
    assert [each.run_id for each in without_record(tmp_path).attempts] == ["r3", "r2", "r1"]


def test_a_run_with_a_record_is_none_of_them(tmp_path):
    with pytest.raises(UserError), noted(tmp_path, _attempt()):
        raise UserError("a later attempt with --overwrite")
    records = tmp_path / "v1" / "records"
    records.mkdir()
    (records / "r0.json").write_text("{}")
    assert without_record(tmp_path).attempts == ()


@pytest.mark.parametrize("content", ["", "{}", '{"schema_version": 2}'])
def test_a_damaged_file_is_named_and_costs_no_other(content, tmp_path):
    with pytest.raises(UserError), noted(tmp_path, _attempt()):
        raise UserError("no")
    (attempts.folder(tmp_path) / "r1.json").write_text(content)
    found = without_record(tmp_path)
    assert [each.run_id for each in found.attempts] == ["r0"]
    (problem,) = found.problems
    assert "r1.json" in problem
    assert "delete it" in problem
