"""A record is enough to run it again, and what comes out otherwise is told."""

import pytest
from clinic import write_images

from benchmark.cli import main
from benchmark.errors import UserError
from benchmark.records import predictions
from benchmark.records.predictions import Predictions
from benchmark.records.store import Store
from benchmark.repeat import FOLDER, repeat
from benchmark.run import run


@pytest.fixture(scope="module")
def done(framework, tmp_path_factory):
    """A results folder with one record, and the folder in which its data lie as "clinic"."""
    home = tmp_path_factory.mktemp("repeat")
    write_images(home / "data" / "clinic", 0)
    settings = {"framework": framework, "budget": "smoke", "dataset": "folder"}
    data_dir = home / "data" / "clinic"
    run("MobileNetV2", "diagnosis", **settings, data_dir=data_dir, out=home / "results")
    return home


@pytest.fixture
def results(done, monkeypatch):
    monkeypatch.setenv("DERMBENCH_DATA", str(done / "data"))
    return done / "results"


def _only(results):
    (record,) = Store(results).all().records
    return record


def test_the_same_machine_gives_the_same_bits(results, capsys):
    record = _only(results)
    found = repeat(results, record)
    assert found.identical
    assert found.within
    assert (found.agreeing, found.images) == (found.images, record.trials[0].n_test)
    # Beside the board, not on it.
    assert _only(results) == record
    assert _only(results / "v1" / FOLDER).run_id == record.run_id
    assert main(["repeat", record.run_id[:6], "--out", str(results)]) == 0
    told = capsys.readouterr()
    assert "every prediction are the same, bit for bit" in told.out
    assert "what is compared is its repetition of" in told.out + told.err
    assert main(["repeat", record.run_id[:6], "--out", str(results), "--overwrite"]) == 0
    told = capsys.readouterr()
    assert "every prediction are the same, bit for bit" in told.out
    assert "what is compared" not in told.out + told.err


def test_what_comes_out_otherwise_is_told_score_by_score(results, capsys):
    """Of a record that says something else than its run did."""
    record = _only(results)
    repeat(results, record)
    said = predictions.load(results, record)["main"]
    first = said.probabilities.copy()
    first[0] = first[0, ::-1]
    predictions.save(results, record.run_id, [Predictions(said.ids, first, said.values)])
    auc = record.metrics["macro_auc"]
    moved = auc.model_copy(update={"value": 0.2, "low": 0.1, "high": 0.3})
    other = record.model_copy(update={"metrics": {**record.metrics, "macro_auc": moved}})
    try:
        Store(results).save(other)
        found = repeat(results, other)
        assert not found.identical
        assert not found.within
        assert found.ranked_by["after"] == auc.value
        assert found.agreeing == found.images - 1
        shift = abs(float(said.probabilities[0, 0] - said.probabilities[0, 1]))
        assert found.probabilities == pytest.approx(shift)
        assert main(["repeat", other.run_id, "--out", str(results)]) == 1
        told = capsys.readouterr()
        assert "outside the 95 % interval of the record's, 0.200" in told.err
        assert "0.100 to 0.300" in told.out
        close = {"value": auc.value, "low": auc.value, "high": auc.value}
        Store(results).save(
            record.model_copy(
                update={"metrics": {**record.metrics, "macro_auc": auc.model_copy(update=close)}}
            )
        )
        assert main(["repeat", other.run_id, "--out", str(results)]) == 0
        assert f"of {found.images} test images have the same" in capsys.readouterr().out
    finally:
        Store(results).save(record)
        predictions.save(results, record.run_id, [said])


def test_other_data_are_refused_before_anything_is_trained(results, tmp_path):
    write_images(tmp_path / "clinic", 1)
    record = _only(results)
    with pytest.raises(UserError, match=rf"not be run {record.run_id} .*: the data set .* differ"):
        repeat(results, record, str(tmp_path / "clinic"))


def test_data_that_are_not_here_are_asked_for_by_their_name(results, monkeypatch, tmp_path):
    monkeypatch.setenv("DERMBENCH_DATA", str(tmp_path))
    with pytest.raises(UserError, match=r"data folder clinic does not exist .*DERMBENCH_DATA"):
        repeat(results, _only(results))


def test_a_record_of_another_version_of_the_task_is_not_this_run(results):
    record = _only(results).model_copy(update={"task_version": "0", "run_id": "r000000000000"})
    predictions.save(
        results, record.run_id, list(predictions.load(results, _only(results)).values())
    )
    with pytest.raises(UserError, match="the version of the task differs"):
        repeat(results, record)


def test_a_submission_cannot_be_run(results):
    sent = _only(results).model_copy(update={"submission": object()})
    with pytest.raises(UserError, match="made elsewhere"):
        repeat(results, sent)
