"""Tables as people read them."""

import re
import subprocess
import sys

import pandas as pd
import pytest

from benchmark.errors import UserError
from benchmark.registry import METHODS
from benchmark.show import text_table
from benchmark.show.things import describe, listing


def test_fractions_have_three_decimals_and_missing_cells_a_dash():
    text = text_table(pd.DataFrame({"name": ["a", None], "mean": [1 / 3, 2.0], "n": [7, 8]}))
    assert text.splitlines()[2].split() == ["a", "0.333", "7"]
    assert text.splitlines()[3].split() == ["-", "2.000", "8"]


def test_a_number_with_a_comma_stays_one_where_text_is_wrapped():
    table = pd.DataFrame({"name": ["images", "classes"], "value": ["2,500", "NV 1,633, DF 867"]})
    assert "2,500" in text_table(table, wrap=40)


def test_long_text_is_wrapped():
    table = pd.DataFrame({"key": ["k"], "about": ["word " * 40]})
    assert max(len(line) for line in text_table(table, wrap=30).splitlines()) < 45


def test_every_listed_thing_can_be_described(tmp_path):
    for kind, table in listing("all", tmp_path).items():
        assert len(table), kind
        for name in table["name"]:
            assert len(describe(name, tmp_path))


def test_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(UserError, match="did you mean tasks"):
        listing("taks", tmp_path)


def test_explainers_are_listed_and_described_without_a_framework():
    script = (
        "import sys; from benchmark.cli import main; main(['list', 'explainers']);"
        " main(['describe', 'shap']);"
        " print(*{'torch', 'tensorflow', 'keras', 'shap', 'captum'} & set(sys.modules), sep='!')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert "integrated-gradients" in done
    assert "Owen values, not Shapley's" in done
    assert done.splitlines()[-1] == ""


def test_every_setting_of_every_method_is_described_with_its_source(tmp_path):
    for name in METHODS.names():
        method = METHODS.get(name)
        table = describe(name, tmp_path)[name]
        for option, field in method.Options.model_fields.items():
            told = table[f"--method-option {option}"]
            assert field.description in told
            assert re.search("ours|code|paper|USB|CReST|try|1 for CIFAR", told), (name, option)


def test_a_tasks_own_flags_are_described(tmp_path):
    about = describe("imbalance", tmp_path)["imbalance"]
    assert "default natural" in about["--imbalance"]
    assert "default none" in about["--positive"]
