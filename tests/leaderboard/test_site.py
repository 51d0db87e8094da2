"""The site's files: which are written, kept and removed, and what the pages say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import fractions_made
import imbalance_made
import site_made
from pages_read import Page, pages_of

from benchmark.errors import UserError
from benchmark.leaderboard import build
from benchmark.leaderboard.site.names import stem
from benchmark.records.record import Baseline
from benchmark.records.store import Store


def some_records(results):
    """Two rows, one of two seeds; one run has its folder."""
    first = site_made.a_record("r1", 0.8, extra={"macro_f1": 0.6, "ece": 0.1, "home_made": 0.3})
    site_made.save(
        results,
        first,
        site_made.a_record("r2", 0.9, extra={"macro_f1": 0.7, "ece": 0.2}, seed=1),
        site_made.a_record("r3", 0.7, arch="VGG16", framework="keras", method="focal"),
    )
    site_made.run_folder(results, first)
    return results


@pytest.fixture
def results(tmp_path):
    return some_records(tmp_path)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site of `some_records`, for the tests that only read it."""
    return built(some_records(tmp_path_factory.mktemp("results")))


def built(results) -> Path:
    build(results)
    return results / "v1" / "site"


def page(site: Path, name: str) -> Page:
    return Page.of(site / name)


def test_there_is_a_page_for_each_record_architecture_method_task_and_data_set(site):
    assert {name for name in pages_of(site)} == {
        "index.html",
        *(f"records/{run}.html" for run in ("r1", "r2", "r3")),
        *("architectures/xception.html", "architectures/vgg16.html"),
        *("methods/cross-entropy.html", "methods/focal.html"),
        *("tasks/diagnosis.html", "datasets/isic2018.html"),
    }


def test_the_first_page_is_told_among_the_written_files(results):
    assert build(results).paths[-1] == results / "v1" / "site" / "index.html"


def test_every_link_inside_the_site_leads_to_a_file_and_an_anchor_that_are_there(site):
    for name, found in pages_of(site).items():
        for link in found.links:
            if link.startswith(("https://", "http://")):
                continue
            path, _, anchor = link.partition("#")
            target = (site / name).parent / path if path else site / name
            assert target.is_file(), (name, link)
            assert not anchor or anchor in Page.of(target).ids, (name, link)


def test_the_same_records_and_run_folders_give_the_same_bytes(results, tmp_path_factory):
    first = site_made.files(built(results))
    assert site_made.files(built(results)) == first
    other = tmp_path_factory.mktemp("elsewhere")
    for record in reversed(Store(results).all().records):
        Store(other).save(record)
    site_made.run_folder(other, Store(results).load("r1"))
    assert site_made.files(built(other)) == first


def test_a_page_that_has_not_changed_is_not_written_again(results):
    before = (built(results) / "records" / "r1.html").stat().st_mtime_ns
    assert (built(results) / "records" / "r1.html").stat().st_mtime_ns == before


def test_pages_of_records_that_are_gone_vanish_with_their_pictures_and_folders(results):
    site = built(results)
    assert (site / "pictures" / "r1").is_dir()
    for run in ("r1", "r2"):
        (results / "v1" / "records" / f"{run}.json").unlink()
    built(results)
    assert not (site / "records" / "r1.html").exists()
    assert not (site / "architectures" / "xception.html").exists()
    assert not (site / "pictures").exists()
    assert (site / "records" / "r3.html").exists()


def test_files_that_the_site_did_not_write_are_kept(results):
    site = built(results)
    (site / "CNAME").write_text("board.example")
    (site / "records" / "mine.html").write_text("mine")
    (results / "v1" / "records" / "r3.json").unlink()
    built(results)
    assert (site / "CNAME").read_text() == "board.example"
    assert (site / "records" / "mine.html").read_text() == "mine"


def test_the_list_of_written_files_cannot_name_files_elsewhere(results):
    site, outside = built(results), results / "outside.txt"
    outside.write_text("precious")
    (site / "link").symlink_to(results)
    with (site / "files.txt").open("a") as listed:
        listed.write(f"../../outside.txt\n{outside}\nlink/outside.txt\n..\n.\n")
    built(results)
    assert outside.read_text() == "precious"


def test_what_was_written_before_a_fault_is_removed_by_a_later_build(results, monkeypatch):
    site = results / "v1" / "site"
    with monkeypatch.context() as patched:
        patched.setattr("benchmark.leaderboard.site.things.view", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            build(results)
    assert (site / "records" / "r1.html").exists()
    (results / "v1" / "records" / "r1.json").unlink()
    built(results)
    assert not (site / "records" / "r1.html").exists()


def test_a_folder_that_cannot_be_written_is_named(results):
    (results / "v1" / "site").write_text("a file in the way")
    with pytest.raises(UserError, match="site"):
        build(results)


def test_the_board_has_ranks_scores_intervals_images_and_a_link_for_each_seed(site):
    table = page(site, "index.html").tables[0]
    assert table.heads[:5] == ["rank", "architecture", "framework", "method", "macro AUC"]
    assert table.heads[-3:] == ["images", "groups", "seeds"]
    first, second = table.rows
    assert first[:4] == ["1", "Xception", "torch", "cross-entropy"]
    # Two seeds: the mean of 0.8 and 0.9, and an interval that holds their spread.
    assert first[4].startswith("0.850")
    assert first[-3:] == ["1,000", "900", "2 0 1"]
    assert second[4] == "0.700 0.650 to 0.750"
    assert second[table.heads.index("macro F1")] == "-"


def test_what_is_the_same_in_every_row_stands_once_above(site):
    found = page(site, "index.html")
    assert "image size" not in found.tables[0].heads
    assert "The same in every row: image size 128x128, budget quick, epochs 8." in found.text


def test_the_age_of_the_board_is_that_of_its_newest_record(results):
    site_made.save(
        results, site_made.a_record("r4", seed=7, fields={"created": "2031-02-03T00:00:00+00:00"})
    )
    assert "newest record 2031-02-03" in page(built(results), "index.html").text


def test_ceilings_floors_and_reported_rows_stand_apart_from_runs(tmp_path):
    floor = Baseline(kind="floor", metrics={"explainability_f1": site_made.a_metric(0.3)})
    ceiling = Baseline(kind="ceiling", metrics={"explainability_f1": site_made.a_metric(0.7)})
    record = site_made.records_made.record(
        "e1",
        "explainability_f1",
        {"explainability_f1": site_made.a_metric(0.5)},
        {"arch": "Xception", "framework": "torch", "method": "cross-entropy", "seed": 0},
        task="explainability",
        data=site_made.DataUsed(name="dermxdb", fingerprint="d" * 64, classes=("a",)),
        baselines={"edge map": floor, "annotator pairs": ceiling},
    )
    site_made.save(tmp_path, record)
    found = page(built(tmp_path), "index.html")
    ours, reported = found.tables
    assert [(kind, row[1]) for kind, row in zip(ours.kinds, ours.rows, strict=True)] == [
        ("ceiling", "annotator pairs"),
        ("run", "Xception"),
        ("floor", "edge map"),
    ]
    assert set(reported.kinds) == {"reported"}
    assert "Printed by others (arXiv 2302.12084)" in found.text
    assert "https://arxiv.org/abs/2302.12084" not in found.loaded


def test_curves_over_ratios_and_label_fractions_have_their_plot_and_tables(tmp_path):
    site_made.save(
        tmp_path,
        *(imbalance_made.a_record(0.5, ratio) for ratio in ("10", "50")),
        fractions_made.a_record({"5": 0.4, "100": 0.8}),
        fractions_made.a_record({"5": 0.6, "100": 0.8}, method="fixmatch"),
    )
    site = built(tmp_path)
    found = page(site, "index.html")
    by_ratio, shares = (
        next(t for t in found.tables if t.caption.startswith(start))
        for start in ("macro F1", "Kept")
    )
    assert by_ratio.heads[-2:] == ["ratio 10", "ratio 50"]
    assert [row[1] for row in shares.rows] == ["75 %", "50 %"]
    drawn = [image["src"] for image in found.images]
    assert sum(name.endswith("-curve.png") for name in drawn) == 2
    for name in drawn:
        copy, original = site / name, tmp_path / "v1" / name
        assert copy.read_bytes() == original.read_bytes()


def test_a_record_page_shows_scores_classes_charts_settings_and_machine(site):
    found = page(site, "records/r1.html")
    scores, more, trials, classes = found.tables
    assert (more.caption, more.rows[0][0]) == ("All other scores", "home made")
    assert scores.rows[0] == ["macro AUC", "0.800", "0.750 to 0.850", "1,000", "900"]
    assert trials.rows[0][0] == "main"
    assert classes.rows == [["MEL", "68", "0.574", "0.856"], ["NV", "361", "0.872", "-"]]
    assert [image["alt"] for image in found.images] == [
        "confusion in words",
        "history-train in words",
    ]
    assert "rank 1 of 2, as the mean of 2 seeds" in found.text
    assert '"learning_rate": 0.001' in found.text


def test_a_run_folder_that_is_not_there_is_said(site):
    missing = "The run folder is not beside this board"
    assert missing in page(site, "records/r2.html").text
    assert missing not in page(site, "records/r1.html").text


def test_a_record_that_a_newer_one_replaces_has_a_page_that_says_so(results):
    newer = site_made.a_record("r9", 0.95, fields={"created": "2031-01-01T00:00:00+00:00"})
    site_made.save(results, newer)
    site = built(results)
    assert (
        "no: a newer record of the same settings and seed is" in page(site, "records/r1.html").text
    )
    assert "records/r1.html" not in page(site, "index.html").links


def test_citations_and_licences_are_those_of_describe(site):
    data = page(site, "datasets/isic2018.html")
    assert "CC BY-NC 4.0 (non-commercial), with attribution" in data.text
    assert "https://challenge.isic-archive.com/data/#2018" in data.links
    assert "https://arxiv.org/abs/1902.03368" in data.links
    assert "Chollet, Xception" in page(site, "architectures/xception.html").text
    assert "https://arxiv.org/abs/1708.02002" in page(site, "methods/focal.html").links
    assert "records/r3.html" in " ".join(page(site, "methods/focal.html").links)


def test_what_is_not_installed_here_has_a_page_that_says_so(results):
    record = site_made.a_record("r5", seed=3)
    config = record.config | {"method": "from-elsewhere"}
    site_made.save(results, record.model_copy(update={"config": config}))
    found = page(built(results), "methods/from-elsewhere.html")
    assert "Not part of this DermBench" in found.text
    assert found.tables[0].rows[0][4] == "from-elsewhere"


def test_a_damaged_record_is_left_out_and_no_folder_of_this_machine_is_published(results):
    (results / "v1" / "records" / "bad.json").write_text("{")
    for name, content in site_made.files(built(results)).items():
        assert str(results).encode() not in content, name


def test_photographs_are_not_copied_and_charts_are(results):
    record = site_made.a_record("r6", seed=5)
    site_made.save(results, record)
    pictures = ("reliability", "explanations-best", "gradcam-DR", "shap-predictions", "new-sheet")
    folder = site_made.run_folder(results, record, pictures)
    (folder / "main" / "plots" / "gallery.html").write_text("<img>")
    (folder / "main" / "plots" / "confusion.png").symlink_to(results / "v1" / "table.csv")
    (folder / "main" / "plots" / "levels.png").write_text("no picture")
    site = built(results)
    assert [p.name for p in sorted((site / "pictures" / "r6").rglob("*.*"))] == ["reliability.png"]


def test_charts_that_several_trials_share_are_shown_with_the_run(results):
    folder = site_made.run_folder(results, record := site_made.a_record("r6", seed=5))
    (folder / "main").rename(folder / "all-diseases")
    site_made.save(results, record)
    found = page(built(results), "records/r6.html")
    assert [image["alt"] for image in found.images] == [
        "confusion in words",
        "history-train in words",
    ]


def test_names_that_differ_never_share_a_file_even_where_case_does_not_count():
    known = ["Xception"]
    names = ["Xception", "xception", "XCEPTION", "crest", "crest+", "a/../b", "..", "", "x.1", "İ"]
    stems = [stem(name, known) for name in names]
    assert stems[0] == "xception"
    assert len({each.lower() for each in stems}) == len(names)
    for each in stems:
        assert "/" not in each
        assert not each.startswith(".")
        assert each.isascii()


def test_building_the_site_loads_no_framework(results):
    code = (
        "import sys; from benchmark.leaderboard import build;"
        f"build({str(results)!r});"
        "print([m for m in ('torch', 'keras', 'tensorflow', 'playwright') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == "[]"
