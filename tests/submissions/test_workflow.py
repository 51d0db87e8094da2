"""The workflows: what they may do, and that the one for submissions runs no stranger's code."""

import os
import re
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / ".github" / "workflows"
PATH = FOLDER / "verify-submission.yml"


def _read(path):
    return pytest.importorskip("yaml").safe_load(path.read_text())


@pytest.fixture(scope="module")
def workflow():
    return _read(PATH)


def _steps(workflow):
    (job,) = workflow["jobs"].values()
    return job["steps"]


def test_it_runs_on_pull_requests_and_has_no_secrets(workflow):
    # YAML 1.1 reads the word "on" as true.
    assert set(workflow[True]) == {"pull_request"}
    assert "secrets." not in PATH.read_text()
    assert "pull_request_target" not in PATH.read_text()


def test_it_ends(workflow):
    (job,) = workflow["jobs"].values()
    assert job["timeout-minutes"] <= 60
    assert workflow["concurrency"]["cancel-in-progress"]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yml")), ids=lambda path: path.stem)
def test_jobs_may_read_and_end_and_their_actions_are_pinned_and_keep_no_token(path):
    workflow = _read(path)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        assert job["timeout-minutes"] <= 300
        used = [step for step in job["steps"] if "uses" in step]
        # A tag can be moved to other code, a commit cannot.
        assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", step["uses"]) for step in used)
        checkouts = [step["with"] for step in used if "checkout" in step["uses"]]
        assert checkouts
        assert all(each["persist-credentials"] is False for each in checkouts)


def test_the_weekly_run_has_every_part_of_the_slow_tests():
    job = _read(FOLDER / "ci.yml")["jobs"]["slow"]
    (parts,) = job["strategy"]["matrix"].values()
    (command,) = [step["run"] for step in job["steps"] if "make" in step.get("run", "")]
    assert command == f"make test-slow PART=${{{{ matrix.part }}}}/{len(parts)}"
    assert parts == list(range(1, len(parts) + 1))


def test_code_is_run_from_the_base_alone(workflow):
    base, head = (s["with"] for s in _steps(workflow) if "checkout" in s.get("uses", ""))
    assert "base.sha" in base["ref"]
    assert "head.sha" in head["ref"]
    assert head["sparse-checkout"] == "submissions"
    commands = [step for step in _steps(workflow) if "run" in step]
    assert all(step["working-directory"] == base["path"] for step in commands)


def test_nothing_of_the_pull_request_is_part_of_a_command(workflow):
    assert not [step for step in _steps(workflow) if "${{" in step.get("run", "")]


def test_the_script_reports_every_new_bundle_and_fails_when_one_is_rejected(workflow, tmp_path):
    """Run by bash, with a stand-in for Python that rejects what is called bad."""
    script = next(step["run"] for step in _steps(workflow) if step.get("name") == "Verify")
    base, head, programs = (tmp_path / name for name in ("base", "head", "bin"))
    for folder in (base / "submissions", head / "submissions", programs):
        folder.mkdir(parents=True)
    names = ["good.zip", "bad $(touch ran).zip", "old.zip", "--help.zip"]
    for name in names:
        (head / "submissions" / name).write_text(name)
    (base / "submissions" / "old.zip").write_text("old.zip")
    python = programs / "python"
    python.write_text(
        '#!/bin/bash\nfor last; do :; done\necho "::error::told"\n'
        'echo "report on $last" > report.md\n[[ $last != *bad* ]]\n'
    )
    python.chmod(0o755)
    summary = tmp_path / "summary.md"
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=base,
        env={
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "GITHUB_STEP_SUMMARY": str(summary),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    told = summary.read_text()
    assert told.count("report on ") == 3
    assert "old.zip" not in told
    assert "::" not in done.stdout
    assert not list(tmp_path.rglob("ran"))
    assert not (base / "report.md").exists()
