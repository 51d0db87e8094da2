"""Text from records stays text, and no page asks for anything that is not beside it."""

import base64
import hashlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import site_made
from pages_read import Page, pages_of

from benchmark.leaderboard import build
from benchmark.leaderboard.site.pages import asset, linked

SHOWN = " ".join("".join(c if c.isprintable() else " " for c in site_made.HOSTILE).split())
# The record's page, and those of its architecture, method and data set.
OWN_PAGES = 4


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    record = site_made.a_record("r1", fields={"notes": (site_made.HOSTILE,)})
    site_made.save(results, record, site_made.hostile_record())
    folder = site_made.run_folder(results, record)
    (folder / "main" / "per_class.csv").write_text('class,"<b>n"\n"<script>alert(5)</script>",1\n')
    (folder / "main" / "plots" / "confusion.png").rename(
        folder / "main" / "plots" / "history-<script>alert(6)<.png"
    )
    build(results)
    return results


@pytest.fixture(scope="module")
def pages(results):
    return pages_of(results / "v1" / "site")


def test_hostile_names_show_as_text_on_the_pages_they_belong_to(pages):
    assert SHOWN in pages["index.html"].text
    assert SHOWN in pages["records/hostile.html"].text
    own = [name for name, found in pages.items() if SHOWN in found.title]
    assert len(own) == OWN_PAGES


def test_no_page_has_a_script_but_ours(pages):
    for name, found in pages.items():
        assert set(found.scripts) <= {asset("table.js")}, name
        assert "alert(" not in "".join(found.scripts)


def test_no_page_has_an_event_handler_or_an_inline_style(pages):
    for name, found in pages.items():
        assert found.handlers == [], name


def test_no_element_comes_from_a_record(pages):
    allowed = {
        *("html", "head", "meta", "title", "link", "body", "header", "nav", "main", "footer"),
        *("section", "h1", "h2", "h3", "p", "ul", "ol", "li", "dl", "dt", "dd", "div", "span"),
        *("a", "code", "pre", "strong", "small", "details", "summary", "figure", "figcaption"),
        *("table", "caption", "thead", "tbody", "tr", "th", "td", "svg", "line", "img"),
        *("form", "label", "input", "output", "script"),
    }
    for name, found in pages.items():
        assert {tag for tag, _ in found.tags} <= allowed, name
        for image in found.images:
            assert image["src"].removeprefix("../").startswith(("plots/", "pictures/"))


def test_no_page_loads_anything_that_is_not_beside_it(pages, results):
    site = results / "v1" / "site"
    for name, found in pages.items():
        for address in found.loaded:
            if address == "data:,":
                continue
            assert ":" not in address, (name, address)
            target = ((site / name).parent / address).resolve()
            assert target.is_relative_to(site.resolve()), (name, address)
            assert target.is_file(), (name, address)


def test_styles_load_nothing():
    assert "url(" not in asset("site.css")
    assert "@import" not in asset("site.css")


def test_links_go_into_the_site_or_to_the_web_and_nowhere_else(pages):
    for name, found in pages.items():
        for link in found.links:
            assert link.startswith("https://") or ":" not in link, (name, link)


def test_the_policy_of_each_page_allows_no_script_but_ours_and_no_other_place(pages):
    digest = base64.b64encode(hashlib.sha256(asset("table.js").encode()).digest()).decode()
    for found in pages.values():
        rules = dict(part.strip().split(" ", 1) for part in found.policy.split(";"))
        assert rules["default-src"] == "'none'"
        assert rules["script-src"] == f"'sha256-{digest}'"
        for sources in rules.values():
            assert not {"*", "http:", "https:", "'unsafe-inline'"} & set(sources.split())


def test_no_control_character_and_no_turned_text_is_on_a_page(results, pages):
    for name in pages:
        text = (results / "v1" / "site" / name).read_text(encoding="utf-8")
        assert all(c.isprintable() or c == "\n" or c == "\xa0" for c in text), name


def test_every_file_lies_in_the_folder_under_a_plain_name(results):
    site = results / "v1" / "site"
    files = list(site.rglob("*"))
    assert site / "records" / "hostile.html" in files
    for file in files:
        assert file.resolve().is_relative_to(site.resolve())
        assert set(file.name) <= set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
        )


def test_templates_in_a_record_are_not_evaluated(pages):
    assert "{{ 7 * 7 }}" in pages["records/hostile.html"].text


@pytest.mark.parametrize(
    "config",
    [
        {"arch": "../../../../outside"},
        {"dataset": "x/../../../outside"},
        {"task": "../../../outside"},
    ],
)
def test_a_record_cannot_name_a_run_folder_elsewhere(tmp_path, config):
    outside = tmp_path / "outside-r1"
    for folder in (outside, tmp_path / "v1" / "runs"):
        (folder / "main" / "plots").mkdir(parents=True)
    record = site_made.a_record("r1")
    site_made.run_folder(tmp_path, record)
    (outside / "main" / "per_class.csv").write_text("class,secret\nprecious,1\n")
    site_made.save(tmp_path, record.model_copy(update={"config": record.config | config}))
    build(tmp_path)
    for name, found in pages_of(tmp_path / "v1" / "site").items():
        assert "precious" not in found.text, name


@pytest.mark.parametrize("trial", ["..", ".", "", "../other", "/", "main/plots"])
def test_a_record_cannot_name_a_trial_folder_elsewhere(tmp_path, trial):
    record = site_made.a_record("r1")
    folder = site_made.run_folder(tmp_path, record)
    for place in (folder, folder.parent, folder.parent / "other", folder / "main" / "plots"):
        place.mkdir(exist_ok=True)
        (place / "per_class.csv").write_text("class,secret\nprecious,1\n")
    trials = (site_made.records_made.trial(record.metrics, name=trial),)
    site_made.save(tmp_path, record.model_copy(update={"trials": trials}))
    build(tmp_path)
    assert "precious" not in Page.of(tmp_path / "v1" / "site" / "records" / "r1.html").text


def test_a_run_folder_that_is_a_link_is_not_followed(tmp_path):
    record = site_made.a_record("r1")
    folder = site_made.run_folder(tmp_path, record)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    site_made.save(tmp_path, record)
    build(tmp_path)
    assert not (tmp_path / "v1" / "site" / "pictures").exists()


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("see https://example.org/a?b=1#c.", ["https://example.org/a?b=1#c"]),
        ("arXiv 2302.12084, arXiv:1902.03368", ["2302.12084", "1902.03368"]),
        ("doi:10.21227/H25W98", ["https://doi.org/10.21227/H25W98"]),
        ("javascript:alert(1) data:text/html,x file:///etc/passwd ftp://a.b //a.b", []),
        ('https://a.b"onmouseover="alert(1)', ["https://a.b"]),
        ("https://a.b<script>", ["https://a.b"]),
    ],
)
def test_only_web_addresses_become_links(text, links):
    page = Page()
    page.feed(str(linked(text)))
    assert len(page.links) == len(links)
    assert all(part in link for part, link in zip(links, page.links, strict=True))
    assert {tag for tag, _ in page.tags} <= {"a"}
    assert page.handlers == []
    assert " ".join(page.text.split()) == " ".join(text.split())
