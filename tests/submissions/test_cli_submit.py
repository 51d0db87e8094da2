"""`submit` and `verify` from the command line; `verify` starts the process that reads a bundle."""

import io
import shutil
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace

import bundles_made
import pytest

from benchmark.cli import main


def _benchmark(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main([str(each) for each in arguments])
        except SystemExit as ended:
            code = ended.code
    return SimpleNamespace(returncode=code, stdout=out.getvalue(), stderr=err.getvalue())


@pytest.fixture(scope="module")
def submitted(made, tmp_path_factory):
    """A bundle made by the command line in the results' own copy."""
    folder = tmp_path_factory.mktemp("submitted")
    results, record = made
    shutil.copytree(results, folder / "results")
    table = bundles_made.tables(*made, noise=0.5)["main"]
    bundles_made.write(table, folder / "p.parquet")
    (folder / "m.toml").write_text(bundles_made.ABOUT)
    done = _benchmark(
        *("submit", folder / "p.parquet", "--manifest", folder / "m.toml", "--like"),
        *(record.run_id[:6], "--results", folder / "results", "--out", folder / "b.zip"),
    )
    return folder, done


@pytest.mark.parametrize("command", ["submit", "verify"])
def test_help_shows_an_example(command):
    shown = _benchmark(command, "--help").stdout
    assert f"python -m benchmark {command} " in shown.split("example", 1)[1]


def test_the_template_is_printed():
    done = _benchmark("submit", "--template")
    assert done.returncode == 0
    assert 'method = ""' in done.stdout


def test_submit_says_what_it_made_and_how_to_check_it(submitted):
    folder, done = submitted
    assert done.returncode == 0, done.stderr
    assert "Zoo: task diagnosis version 1 on hand" in done.stdout
    assert f"python -m benchmark verify {folder / 'b.zip'}" in done.stdout


def test_an_accepted_bundle_is_reported_and_kept(submitted):
    folder, _ = submitted
    done = _benchmark(
        *("verify", folder / "b.zip", "--results", folder / "results", "--keep"),
        *("--report", folder / "report.md"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# Accepted: b.zip\n")
    assert done.stdout == (folder / "report.md").read_text()
    (kept,) = (folder / "results" / "v1" / "submissions").iterdir()
    assert f"Kept in `{kept}`" in done.stdout


def test_a_rejected_bundle_ends_with_status_1_and_one_sentence(submitted, tmp_path):
    folder, _ = submitted
    held = bundles_made.contents(folder / "b.zip")
    path = bundles_made.zipped(tmp_path / "b.zip", held | {"predictions-1.parquet": b"PAR1"})
    done = _benchmark("verify", path, "--results", folder / "results", "--keep")
    assert done.returncode == 1
    assert not done.stderr
    assert done.stdout.startswith(
        "# Rejected: b.zip\n\n    predictions-1.parquet: no sound Parquet"
    )
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "no predictions: name their file"),
        (("p.parquet",), "say --manifest FILE.toml; `python -m benchmark submit --template`"),
        (("p.parquet", "--manifest", "m.toml"), "say --like RUN"),
        (("p.parquet", "--manifest", "m.toml", "--like", "r"), "say --out BUNDLE.zip"),
    ],
)
def test_what_is_left_out_is_asked_for(arguments, told):
    done = _benchmark("submit", *arguments)
    assert done.returncode == 1
    assert told in done.stderr


def test_a_missing_bundle_is_an_error(tmp_path):
    done = _benchmark("verify", tmp_path / "none.zip")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "does not exist" in done.stderr
