"""The site in headless Chromium, opened from disk."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import fractions_made
import site_made
from pages_read import pages_of

from benchmark.leaderboard import build

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not on the path")

DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
# WCAG 2.2, level AA, for text of this size.
LEAST_CONTRAST = 4.5


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A board with several sections, hostile names, wide tables and a run folder."""
    results = tmp_path_factory.mktemp("results")
    scores = {"macro_f1": 0.6, "balanced_accuracy": 0.5, "accuracy": 0.7, "ece": 0.1}
    first = site_made.a_record("r1", 0.8, extra=scores)
    site_made.save(
        results,
        first,
        site_made.a_record("r2", 0.9, arch="VGG16", extra=scores | {"ece": 0.2}, method="focal"),
        site_made.a_record("r3", 0.7, arch="ResNet50", framework="keras"),
        site_made.a_record("r4", None, arch="MobileNet", extra=scores),
        site_made.hostile_record(),
        fractions_made.a_record({"5": 0.4, "100": 0.8}),
    )
    site_made.run_folder(results, first)
    build(results)
    return results / "v1" / "site"


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        # As root, as in most containers, Chromium starts only without its sandbox.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """A page that notes what it says on the console and what it asks for."""

    def __init__(self, chromium, **settings):
        self.context = chromium.new_context(**settings)
        self.tab = self.context.new_page()
        self.faults, self.asked = [], []
        self.tab.on("console", lambda message: self.faults.append(message.text))
        self.tab.on("pageerror", lambda error: self.faults.append(str(error)))
        self.tab.on("requestfailed", lambda request: self.faults.append(request.url))
        self.tab.on("dialog", lambda dialog: (self.faults.append("a dialog"), dialog.dismiss()))
        self.tab.on("request", lambda request: self.asked.append(request.url))

    def open(self, file):
        self.tab.goto(file.as_uri(), wait_until="load")
        return self.tab

    def column(self, place, table):
        rows = self.tab.locator(f"#{table} tbody.run tr:visible")
        return [r.locator("th, td").nth(place).inner_text().split("\n")[0] for r in rows.all()]


@pytest.fixture
def visit(chromium):
    opened = []

    def make(**settings):
        opened.append(Visit(chromium, **({"viewport": DESK} | settings)))
        return opened[-1]

    yield make
    for each in opened:
        each.context.close()


def main_table(tab):
    """The id of the table of the diagnosis section on isic2018."""
    section = tab.locator(
        "section", has=tab.get_by_role("heading", name="diagnosis (version 1) on")
    )
    return section.filter(has_text="isic2018").locator("table").first.get_attribute("id")


def test_every_page_opens_without_a_fault_and_asks_for_files_beside_it_alone(site, visit):
    seen = visit()
    for name in pages_of(site):
        tab = seen.open(site / name)
        # Pictures are loaded when they are scrolled to, and those of closed details never.
        for image in tab.locator("img:visible").all():
            image.scroll_into_view_if_needed()
            assert image.evaluate("i => i.decode().then(() => i.naturalWidth)") > 0
    assert seen.faults == []
    root = site.as_uri()
    assert [url for url in seen.asked if not url.startswith((root, "data:,"))] == []


def test_a_click_sorts_a_second_turns_it_and_a_third_brings_the_ranks_back(site, visit):
    seen = visit()
    tab = seen.open(site / "index.html")
    table = main_table(tab)
    head = tab.locator(f"#{table} thead th", has_text="architecture")
    ranked = seen.column(1, table)
    assert ranked == ["VGG16", "Xception", "ResNet50", "MobileNet"]
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert seen.column(1, table) == ["MobileNet", "ResNet50", "VGG16", "Xception"]
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert seen.column(1, table) == ["Xception", "VGG16", "ResNet50", "MobileNet"]
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") is None
    assert seen.column(1, table) == ranked


def test_numbers_sort_as_numbers_the_better_first_and_missing_ones_last(site, visit):
    seen = visit()
    tab = seen.open(site / "index.html")
    table = main_table(tab)
    error = tab.locator(f"#{table} thead th", has_text="ECE")
    error.get_by_role("button").click()
    place = error.evaluate("head => head.cellIndex")
    assert error.get_attribute("aria-sort") == "ascending"
    assert seen.column(place, table) == ["0.100", "0.100", "0.200", "-"]
    error.get_by_role("button").click()
    assert seen.column(place, table) == ["0.200", "0.100", "0.100", "-"]


def test_the_keyboard_alone_sorts_and_skips_to_the_content(site, visit):
    seen = visit()
    tab = seen.open(site / "index.html")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert tab.locator(".skip").bounding_box()["x"] >= 0
    table = main_table(tab)
    button = tab.locator(f"#{table} thead th", has_text="architecture").get_by_role("button")
    button.focus()
    tab.keyboard.press("Enter")
    assert seen.column(1, table)[0] == "MobileNet"


def test_a_filter_keeps_the_rows_that_have_every_word_and_says_how_many(site, visit):
    seen = visit()
    tab = seen.open(site / "index.html")
    table = main_table(tab)
    form = tab.locator(f"form[data-table={table}]")
    form.get_by_label("Filter").fill("TORCH focal")
    assert seen.column(1, table) == ["VGG16"]
    assert form.locator("output").inner_text() == "1 of 4 rows"
    form.get_by_label("Filter").fill("")
    assert len(seen.column(1, table)) == 4


def test_sorting_within_a_filter_shows_no_row_that_the_filter_hides(site, visit):
    seen = visit()
    tab = seen.open(site / "index.html")
    table = main_table(tab)
    tab.locator(f"form[data-table={table}]").get_by_label("Filter").fill("torch")
    head = tab.locator(f"#{table} thead th", has_text="architecture")
    head.get_by_role("button").click()
    assert seen.column(1, table) == ["MobileNet", "VGG16", "Xception"]


def test_a_hostile_name_shows_as_text_and_does_nothing(site, visit):
    seen = visit()
    tab = seen.open(site / "index.html")
    link = tab.locator("table").get_by_role("link", name="<script>alert(1)</script>").first
    assert "onerror=alert(2)" in link.inner_text()
    link.hover()
    link.click()
    assert "<script>alert(1)</script>" in tab.get_by_role("heading", level=1).inner_text()
    assert seen.faults == []


def test_a_record_opens_from_the_board_and_leads_back(site, visit):
    seen = visit()
    tab = seen.open(site / "index.html")
    tab.get_by_role("link", name="record of seed 0").first.click()
    assert tab.get_by_role("heading", level=1).inner_text().endswith("seed 0")
    tab.get_by_role("link", name="rank 1 of").click()
    assert tab.url.startswith((site / "index.html").as_uri() + "#section-")


def test_without_scripts_the_tables_stand_and_nothing_offers_what_does_not_work(site, visit):
    seen = visit(java_script_enabled=False)
    tab = seen.open(site / "index.html")
    assert tab.get_by_role("columnheader", name="architecture").first.is_visible()
    assert tab.get_by_role("button").count() == 0
    assert tab.get_by_label("Filter").locator("visible=true").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESK, PHONE])
def test_no_page_is_wider_than_the_screen(site, visit, scheme, viewport):
    seen = visit(color_scheme=scheme, viewport=viewport)
    for name in pages_of(site):
        tab = seen.open(site / name)
        tab.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        assert tab.evaluate("document.documentElement.scrollWidth") <= viewport["width"], name


def test_a_dark_screen_gets_a_dark_page(site, visit):
    paper = "getComputedStyle(document.body).backgroundColor"
    light, dark = (
        visit(color_scheme=scheme).open(site / "index.html").evaluate(paper)
        for scheme in ("light", "dark")
    )
    assert _brightness(light) > 0.9
    assert _brightness(dark) < 0.05


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_lies_behind_it(site, visit, scheme):
    seen = visit(color_scheme=scheme)
    for name in ("index.html", "records/hostile.html", "datasets/isic2018.html"):
        tab = seen.open(site / name)
        written = tab.evaluate(_COLOURS)
        assert len(written) > 10, name
        for ink, paper, text in written:
            bright, dim = sorted((_brightness(ink), _brightness(paper)), reverse=True)
            assert (bright + 0.05) / (dim + 0.05) >= LEAST_CONTRAST, (name, text, ink, paper)


# Of each element with text of its own: its colour, the first colour behind it, its text.
_COLOURS = """() => {
  const written = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  const paper = (e) => {
    const colour = getComputedStyle(e).backgroundColor;
    return colour === "rgba(0, 0, 0, 0)" ? paper(e.parentElement) : colour;
  };
  return [...document.body.querySelectorAll("*")]
    .filter((e) => e.checkVisibility() && written(e))
    .map((e) => [getComputedStyle(e).color, paper(e), e.textContent.slice(0, 40)]);
}"""


def _brightness(colour):
    """Relative luminance of "rgb(r, g, b)", as WCAG has it."""
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").rstrip(")").split(",")]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_tables_are_named_and_their_headings_say_what_they_head(site, visit):
    seen = visit()
    for name in pages_of(site):
        tab = seen.open(site / name)
        for table in tab.locator("table").all():
            assert table.locator("caption").text_content().strip()
            assert table.locator("thead th:not([scope=col])").count() == 0
            assert table.locator("tbody th:not([scope=row])").count() == 0
        assert tab.locator("img:not([alt]), img[alt='']").count() == 0
        assert tab.get_by_role("main").count() == 1
        assert tab.get_by_role("heading", level=1).count() == 1
