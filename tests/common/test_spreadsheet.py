import pandas as pd
import pytest

from benchmark.common.spreadsheet import no_formula, no_formulas


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1+cmd|' /C calc'!A0",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1",
        "＝1",  # noqa: RUF001
        '=HYPERLINK("https://example.org","x")',
    ],
)
def test_what_a_spreadsheet_would_run_is_put_behind_an_apostrophe(text):
    assert no_formula(text) == f"'{text}"
    assert no_formula(no_formula(text)) == no_formula(text)


@pytest.mark.parametrize("text", ["", "-", "a=b", "cross-entropy", "crest+", "0.5", "{}", "'=1"])
def test_other_text_stays(text):
    assert no_formula(text) == text


def test_numbers_stay_and_headings_are_text(tmp_path):
    table = pd.DataFrame(
        {
            "name": ["=1", "b"],
            "loss": [-1.5, float("nan")],
            "count": pd.array([-1, None], "Int64"),
            "=2": ["c", None],
        }
    )
    no_formulas(table).to_csv(tmp_path / "a.csv", index=False, float_format="%.6f")
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines == ["name,loss,count,'=2", "'=1,-1.500000,-1,c", "b,,,"]
    assert list(table.columns) == ["name", "loss", "count", "=2"]
