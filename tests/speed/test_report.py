"""From times to ratios, and the files that hold them."""

import json

import pandas as pd
import pytest

from benchmark.errors import UserError
from benchmark.speed import report
from benchmark.speed.costs import Estimated
from benchmark.speed.growth import CURVES, Point
from benchmark.speed.measured import (
    Circumstances,
    Grown,
    Measured,
    Priced,
    load,
    load_costs,
    load_curve,
    ratio,
    save,
)
from benchmark.speed.pairing import Timed
from benchmark.speed.works import GROUPS, Side, Target, Work, chosen

OURS = Timed("ours", (1.0, 3.0, 2.0), (2.0, 2.0, 2.0), 100 * 2**20, 0.0, {"threads": 2})
OTHER = Timed("other", (4.0, 6.0, 6.0), (1.0, 3.0, 5.0), memory=1)


def _measured(work, sides):
    made = Circumstances.now("python -m benchmark speed --what startup")
    return Measured(work=work.name, made=made, rounds=3, stolen=12.3, sides=sides)


def _work(*targets):
    return Work("gradcam", "one", "one work", (Side("ours", ""), Side("other", "")), targets)


def _rows(*targets, sides=(OURS, OTHER)):
    work = _work(*targets)
    return report.rows(work, _measured(work, sides)).to_dict("records")


def test_the_ratio_is_of_medians_and_its_range_of_rounds():
    assert ratio(OURS.seconds, OTHER.seconds) == (3.0, 2.0, 4.0)


@pytest.mark.parametrize(("times", "met"), [(3.0, "yes"), (3.1, "no")])
def test_a_target_is_met_or_not(times, met):
    (row,) = _rows(Target("ours", "other", times))
    assert row["met"] == met
    assert row["times as fast"] == "3 [2, 4]"
    assert row["CPU seconds, other / ours"] == "1.5 [0.5, 2.5]"
    assert row["seconds, ours"] == "2 [1, 3]"


def test_a_side_without_a_target_is_shown_too():
    (row,) = _rows()
    assert (row["against"], row["target"], row["met"]) == ("other", "-", "-")


def test_bounds_of_seconds_and_memory():
    seconds, memory, _ = _rows(Target("ours", seconds=1.9), Target("ours", memory=100 * 2**20))
    assert (seconds["target"], seconds["met"]) == ("at most 1.9 s", "no")
    assert (memory["target"], memory["met"]) == ("at most 100 MiB", "yes: 100 MiB")


def test_who_was_not_measured_leaves_the_target_open():
    (row,) = _rows(Target("ours", "other", 2.0), sides=(OURS, Timed("other", fault="skipped")))
    assert (row["times as fast"], row["met"]) == ("-", "-")
    assert _rows(Target("ours", "other", 2.0), sides=(Timed("ours", fault="x"), OTHER)) == []


@pytest.fixture
def results(tmp_path):
    work = chosen(["startup"])[0]
    ours = Timed("DermBench", (0.1,), (0.1,), facts={"threads": 2})
    sides = (ours, Timed("python -c pass", fault="no"))
    save(tmp_path, _measured(work, sides))
    return tmp_path


def test_files_come_back_as_they_were(results):
    found = load(results, chosen(["startup"])[0])
    assert isinstance(found, Measured)
    assert found.sides[0].seconds == (0.1,)
    assert found.made.packages["dermbench"]
    assert load(results, chosen(["startup"])[1]) is None


def test_the_page_names_machine_command_and_who_was_left_out(results):
    page, table = report.write(results)
    text = page.read_text()
    command = "`python -m benchmark speed --what startup`"
    for part in (command, "python -c pass no", "cores", "gave 12 to 12 % to others"):
        assert part in text
    assert list(pd.read_csv(table).columns) == list(report.COLUMNS)


@pytest.mark.parametrize("damaged", ["{}", "without CPU seconds"])
def test_a_damaged_file_is_named_with_the_remedy(results, damaged):
    path = next((results / "v1" / "speed" / "works").iterdir())
    if damaged != "{}":
        stored = json.loads(path.read_text())
        del stored["sides"][0]["cpu_seconds"]
        damaged = json.dumps(stored)
    path.write_text(damaged)
    with pytest.raises(UserError, match=rf"{path.name}.*delete it.*--what startup"):
        report.write(results)


def test_one_work_is_chosen_by_its_name():
    assert [work.name for work in chosen(["startup-list", "raters"])] == ["startup-list", "raters"]


def test_unknown_works_get_a_suggestion():
    with pytest.raises(UserError, match="did you mean gradcam"):
        chosen(["gradcan"])


def test_works_have_names_of_their_own_and_targets_of_their_sides():
    works = chosen(GROUPS)
    assert len({work.name for work in works}) == len(works)
    for work in works:
        sides = {side.name for side in work.sides}
        assert {t.side for t in work.targets} | {t.against for t in work.targets} <= sides | {""}
    assert {work.what for work in works} == set(GROUPS)


MADE = Circumstances.now("a command")


def test_a_curve_is_told_by_its_exponents(tmp_path):
    curve = CURVES[0]
    points = tuple(Point(curve.name, n, n / 100, n / 100, 10**6, {}) for n in curve.sizes)
    save(tmp_path, Grown(curve=curve.name, made=MADE, points=points))
    assert load_curve(tmp_path, curve).points == points
    assert load_curve(tmp_path, CURVES[1]) is None
    (row,) = report.growth_rows(load_curve(tmp_path, curve)).to_dict("records")
    assert row["time"].startswith("n^1.00")
    assert row["memory"].startswith(("n^0.00", "n^-0.00"))
    page, *_, picture = report.write(tmp_path)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "n^1.00" in page.read_text()


def test_estimates_stand_beside_what_runs_took(tmp_path):
    assert load_costs(tmp_path) is None
    runs = (Estimated("a/b", 3, 10.0, 14.0), Estimated("c/d", 3, 40.0, 20.0))
    save(tmp_path, Priced(made=MADE, runs=runs))
    assert load_costs(tmp_path).runs == runs
    table = report.cost_rows(load_costs(tmp_path))
    assert list(table["factor"]) == ["1.40", "2.00"]
    assert list(table["at most 1.5"]) == ["yes", "no"]
    (page,) = report.write(tmp_path)
    assert "c/d" in page.read_text()
