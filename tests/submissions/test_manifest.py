import json

import bundles_made
import pytest

from benchmark.records.authored import About
from benchmark.submissions import manifest as manifests
from benchmark.submissions.faults import BundleError
from benchmark.submissions.manifest import TEMPLATE, Manifest, read_about, read_manifest

ABOUT = {
    "method": "Zoo",
    "architecture": "ResNet50",
    "framework": "PyTorch",
    "paper": "",
    "code": "https://example.org/code",
    "training_data": "the training part",
    "extra_data": "none",
    "licence": "CC0-1.0",
}
TRIAL = {"name": "main", "split": "a" * 64, "classes": ["a", "b"], "file": "predictions-1.csv"}
ASKED = {
    **{"task": "diagnosis", "version": "1", "options": {}, "seed": None},
    **{"dataset": "hand", "data": "b" * 64, "trials": [TRIAL]},
}
WHOLE = {"bundle_version": 1, "about": ABOUT, "question": ASKED}


def _refused(content, told, read=read_manifest):
    with pytest.raises(BundleError, match=told) as caught:
        read("manifest", content if isinstance(content, bytes) else content.encode())
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


def _about(**fields):
    return json.dumps({**WHOLE, "about": {**ABOUT, **fields}})


def test_what_is_written_is_read():
    whole = Manifest.model_validate(WHOLE)
    assert read_manifest("m", whole.text().encode()) == whole
    assert read_manifest("m", b"\xef\xbb\xbf" + whole.text().encode()) == whole


def test_the_template_has_every_field_and_is_refused_until_it_is_filled_in():
    lines = [
        line.removeprefix("# ") if " = " in line else line
        for line in TEMPLATE.replace('= ""', '= "x"').splitlines()
    ]
    about = read_about("m", "\n".join(lines).replace("https://...", "https://a.org").encode())
    assert about.model_fields_set == set(About.model_fields)
    _refused(TEMPLATE, "field 'method': it should not be empty", read_about)
    _refused(
        TEMPLATE.replace('= ""', '= "x"'), "field 'paper': it should be an address", read_about
    )


def test_the_about_of_these_tests_is_sound():
    assert read_about("m", bundles_made.ABOUT.encode()).method == "Zoo"


@pytest.mark.parametrize("field", [name for name in ABOUT])
def test_a_missing_field_is_named(field):
    about = {name: value for name, value in ABOUT.items() if name != field}
    _refused(json.dumps({**WHOLE, "about": about}), f"field 'about.{field}' is missing: add it")


def test_an_unknown_field_is_named():
    _refused(_about(colour="red"), "unknown field 'about.colour': remove it")
    _refused(_about(**{"\x1b[31m\u202e": "red"}), "unknown field")
    _refused(_about(**{"x" * 5000: "red"}), "unknown field")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"method": 5}, "valid string"),
        ({"method": ""}, "should not be empty"),
        ({"method": "x" * 101}, "at most 100"),
        ({"method": "a\nb"}, r"U\+000A is no part of a line"),
        ({"method": "\x1b[2J"}, r"U\+001B"),
        ({"method": "a\x00"}, r"U\+0000"),
        ({"method": "\x9b31m"}, r"U\+009B"),
        ({"method": "evil\u202egpj"}, r"U\+202E"),
        ({"authors": ["a", "b\u2066"]}, r"about.authors.1.*U\+2066"),
        ({"authors": ["a"] * 101}, "at most 100"),
        ({"method": "a\u2028b"}, r"U\+2028"),
        ({"parameters": 0}, "greater than 0"),
        ({"parameters": 10**15}, "less than"),
        ({"seconds_per_image": -1}, "greater than 0"),
        ({"seconds_per_image": "1e999"}, "finite"),
        ({"training_data": None}, "valid string"),
    ],
)
def test_a_wrong_value_is_named(fields, told):
    _refused(_about(**fields), told)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        " https://a.org",
        "https://a.org\n",
        "data:text/html,<script>",
        "file:///etc/passwd",
        "//a.org",
        "https://",
        "https://...",
        "https://a.org/<script>",
        "https://a.org/a b",
        'https://a.org/"onmouseover=',
        "https://a.org/|x",
        "https://a.org/`x`",
        "https://user:password@a.org",
        "https://a.org\\@b.org",
        "https://a.org/[x](y)",
        "https://ａ.org",  # noqa: RUF001
        "https://a.org/" + "x" * 500,
    ],
)
def test_only_plain_web_addresses_are_links(url):
    _refused(_about(paper=url), "field 'about.paper'")


@pytest.mark.parametrize("url", ["", "http://a.org", "https://a.org:8080/a_b/(c)?d=1&e=%20#f"])
def test_web_addresses_are_accepted(url):
    assert read_manifest("m", _about(paper=url).encode()).about.paper == url


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"bundle_version": 2}, "bundle_version"),
        ({"question": {**ASKED, "trials": []}}, "at least 1"),
        ({"question": {**ASKED, "data": "B" * 64}}, "'question.data'"),
        ({"question": {**ASKED, "data": "b" * 64 + "\n"}}, "'question.data'"),
        ({"question": {**ASKED, "trials": [{**TRIAL, "file": "../a.csv"}]}}, "file"),
        ({"question": {**ASKED, "trials": [{**TRIAL, "file": "predictions-1.csv\n"}]}}, "file"),
        ({"question": {**ASKED, "trials": [TRIAL, {**TRIAL, "name": "b"}]}}, "one file"),
        ({"question": {**ASKED, "trials": [TRIAL, TRIAL]}}, "two trials have one name"),
        ({"question": {**ASKED, "options": {"a": {"b": 1}}}}, "options"),
    ],
)
def test_a_wrong_question_is_named(change, told):
    _refused(json.dumps({**WHOLE, **change}), told)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "cannot be read"),
        (b"null", "the whole"),
        (b"[]", "the whole"),
        (b"\xff\xfe", "not UTF-8"),
        (b"{" * 30_000, "30000 levels, 16 are allowed"),
        (b'{"a":' * 10_000, "levels"),
        (b'["]",' * 10_000, "levels"),
        (b'\\"' * 30_000, "cannot be read"),
        (b'"' + b'\\"' * 30_000, "cannot be read"),
        (b'{"bundle_version": 1, "bundle_version": 1}', "a field is there twice"),
        (b'{"bundle_version": NaN}', "NaN is no number"),
        (b'{"bundle_version": ' + b"1" * 5000 + b"}", "cannot be read"),
        (b" " * (1 << 16) + b"{}", "65,536 are allowed"),
    ],
)
def test_what_is_no_sound_json_is_refused(content, told):
    _refused(content, told)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"method = ", "cannot be read"),
        (b"\xff", "not UTF-8"),
        (b"a = " + b"[" * 20_000, "cannot be read"),
        (b"a = 1\na = 2", "cannot be read"),
        (b"# " * (1 << 16), "65,536 are allowed"),
    ],
)
def test_what_is_no_sound_toml_is_refused(content, told):
    _refused(content, told, read_about)


def test_nothing_in_a_manifest_is_run(monkeypatch):
    monkeypatch.setattr("builtins.eval", pytest.fail)
    monkeypatch.setattr("builtins.exec", pytest.fail)
    payload = "__import__('os').system('id')"
    assert read_manifest("m", _about(method=payload).encode()).about.method == payload
    assert manifests.MOST_TRIALS < 100
