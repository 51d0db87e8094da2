"""The Croissant card of a data set: valid, complete, and of these very images."""

import hashlib
import json

import pandas as pd
import pytest

import benchmark.data
from benchmark.cli import main
from benchmark.data import card
from benchmark.data.dataset import UNLABELLED

mlcroissant = pytest.importorskip("mlcroissant")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("card")
    options = ["--data-option", "images=60", "--data-option", "size=64"]
    assert main(["data", "card", *options, "--into", str(folder)]) == 0
    return folder, benchmark.data.load("synthetic", images=60, size=64)


def test_the_library_reads_every_image_from_it(written):
    folder, dataset = written
    found = mlcroissant.Dataset(jsonld=str(folder / card.CARD)).records("samples")
    rows = pd.DataFrame(list(found)).rename(columns=lambda name: name.removeprefix("samples/"))
    rows = rows.map(lambda each: each.decode() if isinstance(each, bytes) else each)
    expected = card.samples(dataset)
    assert list(rows["id"]) == list(expected["id"])
    assert list(rows["sha256"]) == list(expected["sha256"])
    assert list(rows["class"]) == [
        dataset.classes[dataset.table.at[i, "label"]] for i in rows["id"]
    ]
    assert list(rows["masks"]) == [len(dataset.mask_rows(i)) for i in rows["id"]]


def test_it_says_what_it_is_of_and_under_which_terms(written):
    folder, dataset = written
    told = json.loads((folder / card.CARD).read_text())
    assert told["conformsTo"].endswith("croissant/1.0")
    assert dataset.fingerprint in told["description"]
    assert told["license"]
    (table,) = told["distribution"]
    content = (folder / card.TABLE).read_bytes()
    assert table["sha256"] == hashlib.sha256(content).hexdigest()


def test_every_disease_that_is_graded_has_a_column_that_the_library_reads(tmp_path):
    dataset = benchmark.data.load("synthetic-fundus", images=100, size=64)
    card.write(dataset, tmp_path)
    found = mlcroissant.Dataset(jsonld=str(tmp_path / card.CARD)).records("samples")
    rows = {row["samples/id"].decode(): row for row in found}
    assert len(rows) == len(dataset.table) == 100
    for disease in dataset.diseases:
        told = {name: row[f"samples/{disease.column}"] for name, row in rows.items()}
        for name, grade in dataset.table[disease.column].items():
            if grade == UNLABELLED:
                assert pd.isna(told[name])
            else:
                assert told[name].decode() == disease.grades[grade]
    fields = json.loads((tmp_path / card.CARD).read_text())["recordSet"][0]["field"]
    meanings = {field["name"]: field["description"] for field in fields}
    for disease in dataset.diseases:
        assert ", ".join(disease.grades) in meanings[disease.column]


def test_the_files_digests_are_theirs_and_nobodys_folders_are_told(written):
    _, dataset = written
    for row in card.samples(dataset).head(3).itertuples():
        assert hashlib.sha256((dataset.root / row.file).read_bytes()).hexdigest() == row.sha256
    assert not card.samples(dataset)["file"].str.startswith("/").any()


def test_without_its_library_a_card_is_refused(monkeypatch, tmp_path, written):
    monkeypatch.setitem(__import__("sys").modules, "mlcroissant", None)
    with pytest.raises(benchmark.errors.UserError, match=r"dermbench\[cards\]"):
        card.write(written[1], tmp_path)
