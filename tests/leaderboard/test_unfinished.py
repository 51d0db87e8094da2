"""Runs without a record on the board: visible with their reason, and never among the rows."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import site_made
from pages_read import pages_of

from benchmark.errors import UserError
from benchmark.leaderboard import build
from benchmark.leaderboard.unfinished import MOST_ROWS
from benchmark.records import attempts


def _failed(results, run_id="gone1", reason="validation loss is not finite", day=1, **fields):
    attempt = attempts.Attempt(
        **{
            "benchmark_version": "0.1.0",
            "run_id": run_id,
            "task": "diagnosis",
            "task_version": "1",
            "dataset": "isic2018",
            "config": {"arch": "VGG16", "framework": "keras", "method": "supercon", "seed": 3},
            "started": f"2025-03-{day:02}T12:00:00+00:00",
        }
        | fields
    )
    with pytest.raises(UserError), attempts.noted(results, attempt):
        raise UserError(reason)


@pytest.fixture
def results(tmp_path):
    site_made.save(tmp_path, site_made.a_record("r1"))
    return tmp_path


def _board(results):
    built = build(results)
    page = (results / "v1" / "leaderboard.md").read_text()
    return built, page, pages_of(results / "v1" / "site")["index.html"]


def test_a_failed_run_is_told_with_its_reason_and_is_no_row(results):
    _failed(results)
    _, page, site = _board(results)
    row = next(line for line in page.splitlines() if "gone1" in line)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:7] == ["gone1", "VGG16", "keras", "supercon", "diagnosis", "isic2018", "3"]
    assert cells[7] == "2025-03-01T12:00:00+00:00"
    assert cells[9] == "validation loss is not finite"
    assert "validation loss is not finite" in site.text
    assert "gone1" not in (results / "v1" / "table.csv").read_text()


def test_without_failures_there_is_no_such_section(results):
    _, page, site = _board(results)
    assert "Runs without a record" not in page
    assert "Runs without a record" not in site.text


def test_once_the_run_is_done_its_failure_is_gone(results):
    _failed(results)
    site_made.save(results, site_made.a_record("gone1", arch="VGG16"))
    _, page, _ = _board(results)
    assert "Runs without a record" not in page


def test_text_of_a_failure_stays_text(results):
    _failed(results, reason="a | <script>alert(1)</script> ![x](y)", dataset=site_made.HOSTILE)
    _, page, site = _board(results)
    assert r"a \| \<script\>alert(1)\</script\> \!\[x\](y)" in page
    assert "a | <script>alert(1)</script> ![x](y)" in site.text
    assert not any("alert(" in script for script in site.scripts)


def test_of_many_the_newest_are_told_and_the_others_counted(results):
    for number in range(MOST_ROWS + 2):
        _failed(results, run_id=f"gone{number}", day=1 + number % 28)
    _, page, site = _board(results)
    assert sum(line.startswith("| gone") for line in page.splitlines()) == MOST_ROWS
    assert "2 older ones besides" in page
    assert "2 older ones besides" in site.text


def test_a_damaged_file_is_named_among_what_was_left_out(results):
    _failed(results)
    (attempts.folder(results) / "f2.json").write_text("{")
    built, _, _ = _board(results)
    (problem,) = built.problems
    assert "f2.json" in problem
