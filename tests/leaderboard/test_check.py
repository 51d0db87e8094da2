"""Whether the leaderboard is what the records give: what is compared, and what is told."""

import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import site_made

from benchmark import cli
from benchmark.leaderboard import build
from benchmark.leaderboard.check import check
from benchmark.records.folder import RunFolder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A built leaderboard of three rows; one run has its folder."""
    results = tmp_path_factory.mktemp("made")
    first = site_made.a_record("r1", 0.8)
    site_made.save(
        results,
        first,
        site_made.a_record("r2", 0.9, seed=1),
        site_made.a_record("r3", 0.7, arch="VGG16"),
    )
    site_made.run_folder(results, first)
    build(results)
    return results


@pytest.fixture
def results(made, tmp_path):
    return shutil.copytree(made, tmp_path / "results")


def faults(results):
    """Path below v1 to what is wrong with it."""
    told = (line.split(" ", 1) for line in check(results).faults)
    return {Path(path).relative_to(results / "v1").as_posix(): fault for path, fault in told}


def the_plot(results):
    (plot,) = [p for p in (results / "v1" / "plots").glob("diagnosis-*.png")]
    return plot


def test_what_was_built_is_what_the_records_give_and_nothing_is_written(results):
    before = site_made.files(results)
    checked = check(results)
    assert (checked.faults, checked.remarks) == ((), ())
    assert site_made.files(results) == before


def test_a_changed_record_is_found_in_every_file_that_shows_it(results):
    site_made.save(results, site_made.a_record("r3", 0.71, arch="VGG16"))
    found = faults(results)
    assert set(found.values()) == {"differs from what the records give"}
    assert {"leaderboard.md", "table.csv", "table.parquet", "site/index.html"} <= set(found)
    assert {"site/records/r3.html", "site/architectures/vgg16.html"} <= set(found)
    assert {n for n in found if n.endswith(".png")} == {
        f"{where}plots/{the_plot(results).name}" for where in ("", "site/")
    }
    assert "site/records/r1.html" not in found


def test_a_removed_record_leaves_a_stale_page(results):
    (results / "v1" / "records" / "r3.json").unlink()
    found = faults(results)
    assert found["site/records/r3.html"] == "is stale: no record gives it any more"
    assert found["table.csv"] == "differs from what the records give"


def test_a_missing_file_is_missing_and_what_no_build_wrote_is_left_alone(results):
    the_plot(results).unlink()
    (results / "v1" / "table.parquet").unlink()
    (results / "v1" / "site" / "CNAME").write_text("board.example.org")
    (results / "v1" / "plots" / "mine.png").write_bytes(b"")
    assert faults(results) == {
        f"plots/{_drawn(results)}": "is missing",
        "table.parquet": "is missing",
    }


def _drawn(results):
    listed = (results / "v1" / "plots" / "files.txt").read_text().split()
    return next(name for name in listed if name.startswith("diagnosis-"))


def test_a_picture_counts_only_where_the_same_libraries_drew_it(results):
    the_plot(results).write_bytes(the_plot(results).read_bytes() + b"\0")
    assert list(faults(results)) == [f"plots/{the_plot(results).name}"]
    (results / "v1" / "plots" / "drawn-with.txt").write_text("matplotlib 3.0\n")
    checked = check(results)
    assert checked.faults == ()
    (remark,) = checked.remarks
    assert remark.startswith("not compared: 1 file drawn with other libraries")
    # The numbers are compared all the same, and so are pictures that are not there at all.
    the_plot(results).unlink()
    (results / "v1" / "leaderboard.md").write_text("")
    assert set(faults(results)) == {"leaderboard.md", f"plots/{_drawn(results)}"}


def test_the_page_of_a_record_counts_only_where_its_run_folder_is(results):
    first = site_made.a_record("r1", 0.8)
    shutil.rmtree(RunFolder.of_record(results, first).path)
    checked = check(results)
    assert checked.faults == ()
    (remark,) = checked.remarks
    assert remark.startswith("not compared: 3 files of records whose run folders")


def test_a_parquet_file_is_compared_by_its_rows(results):
    file = results / "v1" / "table.parquet"
    rows = pq.read_table(file)
    pq.write_table(rows, file, compression="none", row_group_size=1)
    assert faults(results) == {}
    wrong = pa.array([0.5] * len(rows), pa.float64())
    at = rows.schema.get_field_index("macro_auc")
    pq.write_table(rows.set_column(at, "macro_auc", wrong), file)
    assert list(faults(results)) == ["table.parquet"]
    file.write_bytes(b"no Parquet")
    assert list(faults(results)) == ["table.parquet"]


def test_the_command_says_each_file_once_and_the_remedy_and_fails(results, capsys):
    asked = ["leaderboard", "--check", "--out", str(results)]
    assert cli.main(asked) == 0
    assert capsys.readouterr().out == "the leaderboard is what the records give\n"
    (results / "v1" / "table.csv").write_text("rank\n1\n")
    assert cli.main(asked) == 1
    told = capsys.readouterr().err.splitlines()
    assert told[-2] == f"{results}/v1/table.csv differs from what the records give"
    assert told[-1].startswith("error: the leaderboard is not what the records give (1 file): run")
    assert f"`python -m benchmark leaderboard --out {results}`" in told[-1]
    assert cli.main(["leaderboard", "--out", str(results)]) == 0
    assert cli.main(asked) == 0
