"""Accepted submissions on the board: scored anew, ranked among themselves, marked, never markup."""

import json
import shutil
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "submissions"))

import bundles_made
import pages_read
from bundles_made import answered_made

from benchmark.cli import main
from benchmark.errors import UserError
from benchmark.leaderboard import build
from benchmark.leaderboard.columns import metric_columns
from benchmark.records import predictions
from benchmark.records.index import opened
from benchmark.records.store import Store
from benchmark.submissions import keep
from benchmark.submissions.board import find, submitted

HOSTILE = "</script><script>alert(1)</script> | ![x](javascript:y) `$z$` *b* [^1] {{ 7 * 7 }}"
FORMULA = "=HYPERLINK(1)"
TASKS = sorted(bundles_made.OPTIONS)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A weak run; two submissions without extra data, one perfect; one with; one hostile."""
    results = tmp_path_factory.mktemp("results")
    record = answered_made.run(results, "diagnosis", skill=1.0)
    bundles_made.kept(results, record, method="Weak", noise=2.0)
    bundles_made.kept(results, record, method="Perfect", said=_perfect(results, record))
    bundles_made.kept(results, record, method="Much", extra_data="10,000 images", noise=0.2)
    texts = ("architecture", "framework", "training_data", "licence", "contact")
    hostile = dict.fromkeys(texts, HOSTILE) | {"method": FORMULA, "authors": (HOSTILE,)}
    bundles_made.kept(results, record, noise=1.0, code="https://a.b/x(1),y", **hostile)
    build(results)
    return results


def _perfect(results, record):
    sheet = bundles_made.question_of(results, record)
    (trial,) = sheet.trials
    labels = sheet.dataset.table.loc[list(trial.test), "label"].to_numpy()
    return {trial.name: predictions.Predictions(trial.test, np.eye(3, dtype=np.float32)[labels])}


def _table(results):
    table = pd.read_csv(results / "v1" / "table.csv", keep_default_na=False)
    return table[table["kind"] == "run"].set_index("method")


def _id(results, method):
    return _table(results).loc[method, "run_ids"]


def test_submissions_are_ranked_among_themselves_and_never_against_runs(results):
    table = _table(results)
    run = table.loc["cross-entropy"]
    assert (run["rank"], run["submitted"]) == ("1", "")
    assert float(table.loc["Perfect", "macro_auc"]) == 1 > float(run["macro_auc"])
    assert table.loc["Perfect", "section"] == table.loc["Weak", "section"] != run["section"]
    assert table.loc[["Perfect", "Weak"], "rank"].tolist() == ["1", "3"]
    assert table.loc["Perfect", "weights"] == "unverified"
    assert table.loc["Perfect", "weights_source"] == "trained on the training part"
    assert (table.drop("cross-entropy")["submitted"] == "yes").all()


def test_the_summary_counts_records_and_submissions_apart(results):
    text = pages_read.Page.of(results / "v1" / "site" / "index.html").text
    assert "records 1 submissions 4 rows 5 " in text


def test_extra_data_make_a_section_of_their_own(results):
    table = _table(results)
    much = table.loc["Much"]
    assert (much["rank"], much["weights"]) == ("1", "unverified-extra")
    assert (table["section"] == much["section"]).sum() == 1


@pytest.mark.parametrize(("told", "more"), [("none", 0), (" None.", 0), ("no", 1), ("ISIC", 1)])
def test_only_the_word_none_means_no_extra_data(told, more):
    about = tomllib.loads(bundles_made.ABOUT) | {"extra_data": told}
    assert bundles_made.About(**about).more_data == bool(more)


def test_they_have_a_standing_and_the_best_run_is_told_beside_them(results):
    table = _table(results)
    assert table.loc["Perfect", ["rank_first", "rank_last"]].tolist() == ["1", "1"]
    assert table.loc["Weak", "tied_with_best"] == "no"
    page = (results / "v1" / "leaderboard.md").read_text()
    section = page.split("submitted, without extra data", 1)[1].split("\n## ")[0]
    own = _id(results, "cross-entropy")
    assert f"MobileNetV2, torch, cross-entropy (no pre-training), {own}" in section
    assert "The best run of this question, by macro AUC: 0." in section
    assert "ranked among themselves and not against runs" in section


def test_every_row_of_a_submission_is_marked_where_it_is_shown(results):
    page = (results / "v1" / "leaderboard.md").read_text()
    rows = [line for line in page.splitlines() if "ResNet50, 224 px" in line and "|" in line]
    assert len(rows) == 3
    assert all("ResNet50, 224 px (submitted) " in line for line in rows)
    site = pages_read.pages_of(results / "v1" / "site")
    shown = [page for page in site.values() for table in page.tables for page in table.rows]
    named = [c for row in shown for c in row if c.startswith("ResNet50, 224 px")]
    assert named
    assert all(cell == "ResNet50, 224 px submitted" for cell in named)


def test_the_page_of_a_submission_tells_what_its_authors_say(results):
    own = _id(results, "Much")
    page = pages_read.Page.of(results / "v1" / "site" / "records" / f"{own}.html")
    assert "https://example.org/paper_1" in page.links
    for told in ("10,000 images", "CC-BY-4.0", "None of it was verified here", "rank 1 of 1"):
        assert told in page.text
    assert f"python -m benchmark describe {own}" in page.text
    (classes,) = [table for table in page.tables if table.caption == "Scores by class"]
    assert [row[0] for row in classes.rows] == list(bundles_made.CLASSES)
    index = pages_read.Page.of(results / "v1" / "site" / "index.html")
    assert f"records/{own}.html" in index.links


def test_flags_of_the_acceptance_are_on_the_page(results, tmp_path):
    shutil.copytree(results, tmp_path / "results")
    own = _id(results, "Weak")
    file = predictions.submissions(tmp_path / "results") / own / keep.ACCEPTANCE
    told = json.loads(file.read_text()) | {"flags": [f"Odd {HOSTILE}"]}
    file.write_text(json.dumps(told))
    build(tmp_path / "results")
    page = pages_read.Page.of(tmp_path / "results" / "v1" / "site" / "records" / f"{own}.html")
    assert f"Flagged when it was accepted: Odd {HOSTILE}" in page.text


def test_nothing_that_a_submission_says_is_markup(results):
    site = pages_read.pages_of(results / "v1" / "site")
    assert sum(HOSTILE in page.text for page in site.values()) >= 3
    for name, page in site.items():
        assert "alert(" not in "".join(page.scripts), name
        assert page.handlers == [], name
        assert all(link.startswith("https://") or ":" not in link for link in page.links), name
    assert any("https://a.b/x(1),y" in page.links for page in site.values())
    text = (results / "v1" / "leaderboard.md").read_text()
    assert "<script>" not in text
    assert "![x]" not in text.replace("\\!", "").replace("\\[", "")
    (row,) = [line for line in text.splitlines() if "alert" in line and line.startswith("| ")]
    header = next(line for line in text.splitlines() if line.startswith("| rank"))
    assert row.replace("\\|", "").count("|") >= header.count("|")
    csv = (results / "v1" / "table.csv").read_text()
    assert ",=HYPERLINK" not in csv
    assert "'=HYPERLINK" in csv


@pytest.mark.parametrize("task", TASKS)
def test_scores_and_intervals_are_those_of_a_run_that_says_the_same(tmp_path, task):
    record = answered_made.run(tmp_path, task, **bundles_made.OPTIONS[task])
    own = bundles_made.kept(tmp_path, record, noise=0.0)
    build(tmp_path)
    table = pd.read_csv(tmp_path / "v1" / "table.csv")
    rows = table[table["kind"] == "run"].set_index("run_ids")
    for metric in record.metrics:
        for column in metric_columns(metric):
            ours, theirs = rows.loc[own, column], rows.loc[record.run_id, column]
            assert ours == pytest.approx(theirs, abs=2e-6, nan_ok=True), column


def test_the_same_submissions_give_the_same_bytes(results):
    before = (results / "v1" / "table.csv").read_bytes()
    build(results)
    assert (results / "v1" / "table.csv").read_bytes() == before


def _spoiled(results, own, how):
    folder = predictions.submissions(results) / own
    if how == "other predictions":
        (said,) = keep.load(results, own).said.values()
        turned = predictions.Predictions(said.ids, said.probabilities[::-1])
        predictions.write(folder / "predictions.npz", [turned])
    elif how == "other name":
        folder.rename(folder.with_name("s000000000000"))
    elif how == "no date":
        (folder / keep.ACCEPTANCE).write_text('{"benchmark_version": "1"}')
    else:
        (folder / how).write_bytes(b"{")


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("other predictions", "holds another submission than its name says"),
        ("other name", "holds another submission than its name says"),
        ("no date", "field 'accepted' is missing: add it; restore the file"),
        ("manifest.json", "it cannot be read"),
        ("acceptance.json", "it cannot be read"),
        ("predictions.npz", "not a sound npz"),
    ],
)
def test_a_damaged_submission_is_named_and_costs_no_other_row(results, tmp_path, how, told):
    shutil.copytree(results / "v1", tmp_path / "v1")
    _spoiled(tmp_path, _id(results, "Weak"), how)
    with opened(tmp_path) as index:
        found = submitted(tmp_path, index)
    (problem,) = found.problems
    assert problem.startswith("submission s")
    assert told in problem
    assert len(found.records) == 3


def test_predictions_that_verify_would_refuse_are_no_row_even_under_a_true_name(results, tmp_path):
    shutil.copytree(results / "v1", tmp_path / "v1")
    record = Store(tmp_path).find(_id(results, "cross-entropy"))
    (said,) = _perfect(tmp_path, record).values()
    doubled = predictions.Predictions(said.ids, 2 * said.probabilities)
    bundles_made.kept(tmp_path, record, method="Double", said={"main": doubled})
    built = build(tmp_path)
    (problem,) = built.problems
    assert "2 is outside 0 to 1" in problem
    assert "Double" not in _table(tmp_path).index


def test_without_a_run_of_its_question_a_submission_is_named(results, tmp_path):
    shutil.copytree(results / "v1", tmp_path / "v1")
    (file,) = (tmp_path / "v1" / "records").glob("*.json")
    file.unlink()
    answered_made.run(tmp_path, "imbalance", **bundles_made.OPTIONS["imbalance"])
    with opened(tmp_path) as index:
        found = submitted(tmp_path, index)
    assert not found.records
    assert len(found.problems) == len(keep.names(results)) == 4
    assert all("there is none of this task" in problem for problem in found.problems)


def test_a_record_cannot_pass_for_a_submission_nor_be_stored_as_one(results, tmp_path):
    own = find(results, _id(results, "Weak"))
    with pytest.raises(ValueError, match="is computed, not stored"):
        Store(tmp_path).save(own)
    told = own.model_dump(mode="json") | {"submission": own.submission.model_dump(mode="json")}
    (tmp_path / "v1" / "records").mkdir(parents=True)
    (tmp_path / "v1" / "records" / f"{own.run_id}.json").write_text(json.dumps(told))
    (problem,) = Store(tmp_path).all().problems
    assert "is of a submission, which is no record" in problem


def test_runs_and_submissions_are_found_by_the_beginning_of_their_id(results):
    names = keep.names(results)
    assert find(results, names[0][:6]).run_id == names[0]
    assert find(results, _id(results, "cross-entropy")[:4]).submission is None
    with pytest.raises(UserError, match=r"start with 's'.*give more of the id"):
        find(results, "s")
    with pytest.raises(UserError, match="no record 'x'"):
        find(results, "x")


def test_list_and_describe_know_submissions(results, capsys):
    assert main(["list", "records", "--out", str(results)]) == 0
    listed, names = capsys.readouterr().out, keep.names(results)
    assert len(names) == 4
    assert all(name in listed for name in names)
    assert main(["describe", _id(results, "Much")[:8], "--out", str(results)]) == 0
    told = capsys.readouterr().out
    assert "made elsewhere" in " ".join(told.split())
    assert "10,000 images" in told
    assert "macro_auc" in told


def test_a_submission_is_compared_with_a_run(results, tmp_path, capsys):
    shutil.copytree(results / "v1", tmp_path / "v1")
    sides = [_id(results, name) for name in ("Perfect", "cross-entropy")]
    assert main(["compare", *sides, "--out", str(tmp_path)]) == 0
    assert "the first is better" in capsys.readouterr().out


def test_what_makes_no_sense_for_a_submission_is_said(results, tmp_path, capsys):
    own, other = (_id(results, name) for name in ("Perfect", "Weak"))
    assert main(["rescore", own, "--out", str(results)]) == 1
    assert "has no scores that could be rescored" in capsys.readouterr().err
    sides = ["compare", own, other, "--data-dir", str(tmp_path), "--out", str(results)]
    assert main(sides) == 1
    assert "do not say how their data set is read" in capsys.readouterr().err
