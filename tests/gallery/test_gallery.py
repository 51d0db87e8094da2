"""The gallery page: whole, self-contained, escaped, repeatable, light."""

import base64
import dataclasses
import hashlib
import json
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from benchmark import gallery, pictures
from benchmark.errors import UserError
from benchmark.gallery import Section
from benchmark.pictures import Exhibit

NASTY = """<script>alert("x")</script> & 'q' http://a.example"""
VOID = {"meta", "img", "link", "br"}


class Page(HTMLParser):
    """The elements of a page with their attributes, and a check that tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words += data

    def all(self, tag: str, css: str = "") -> list[dict[str, str | None]]:
        """The attributes of every such element."""
        return (
            [a for t, a in self.elements if t == tag and css in (a.get("class") or "").split()]
            if css
            else [a for t, a in self.elements if t == tag]
        )


def exhibit(number: int = 0, **changes) -> Exhibit:
    """A noisy photograph, as photographs are."""
    rng = np.random.default_rng(number)
    told = {
        "id": f"image-{number}",
        "photograph": rng.integers(90, 200, (120, 160, 3), np.uint8),
        "experts": np.eye(20),
        "network": rng.random((5, 5)),
        "truth": ("Acne", "Vitiligo")[number % 2],
        "said": "Acne",
        "scores": {"F1": number / 10, "Gaussian": float("nan")},
        "annotators": 2,
        "characteristics": ("Papule",),
    }
    return Exhibit(**{**told, **changes})


def written(folder, sections, title="Net", summary=(("images", "3"),), sheets=()) -> Page:
    path = gallery.write(folder, title, summary, sections, sheets)
    assert path == folder / "gallery.html"
    page = Page(path.read_text(encoding="utf-8"))
    assert page.open == []
    return page


def test_every_exhibit_is_one_card_of_four_images_with_words(tmp_path):
    page = written(tmp_path, [Section("All", "note", [exhibit(n) for n in range(3)])])
    cards = page.all("article", "card")
    assert [card["data-id"] for card in cards] == ["image-0", "image-1", "image-2"]
    assert [card["data-verdict"] for card in cards] == ["1", "0", "1"]
    images = [image for image in page.all("img") if image["alt"]]
    assert len(images) == 12
    assert "network says Acne" in page.words
    assert "diagnosed correctly" in page.words


def test_the_images_of_a_card_are_its_panels(tmp_path):
    page = written(tmp_path, [Section("All", "", [exhibit()])])
    photograph = next(i for i in page.all("img") if i["alt"].startswith("photograph"))
    content = base64.b64decode(photograph["src"].removeprefix("data:image/jpeg;base64,"))
    read = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert read.shape == (240, 320, 3)
    assert (int(photograph["width"]), int(photograph["height"])) == (320, 240)


def test_nothing_is_loaded_from_elsewhere(tmp_path):
    pictures.confusion(np.eye(2), ["a", "b"], "hand", tmp_path / "confusion.png")
    sheets = [tmp_path / "confusion.png"]
    page = written(tmp_path, [Section("All", "note", [exhibit()])], sheets=sheets)
    text = (tmp_path / "gallery.html").read_text(encoding="utf-8")
    assert "http:" not in text
    assert "https:" not in text
    assert str(tmp_path) not in text
    for _, attributes in page.elements:
        assert (attributes.get("src") or "data:").startswith("data:")
        assert (attributes.get("href") or "#").startswith("#")
    assert "@import" not in text
    assert "url(" not in text


def test_the_policy_allows_this_style_and_script_only(tmp_path):
    written(tmp_path, [Section("All", "", [exhibit()])])
    text = (tmp_path / "gallery.html").read_text(encoding="utf-8")
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in text
    # An inline style or handler would be blocked by it.
    page = Page(text)
    assert not [a for _, a in page.elements if "style" in a or any(k.startswith("on") for k in a)]


def test_text_from_outside_stays_text(tmp_path):
    card = exhibit(
        id=NASTY, truth=NASTY, said=f"{NASTY}!", characteristics=(NASTY,), scores={NASTY: 0.5}
    )
    page = written(tmp_path, [Section(NASTY, NASTY, [card])], NASTY, [(NASTY, NASTY)])
    assert len(page.all("script")) == 1
    assert page.words.count(NASTY) >= 9
    (found,) = page.all("article", "card")
    assert found["data-truth"] == NASTY
    assert json.loads(found["data-seen"]) == [NASTY]
    assert json.loads(found["data-scores"]) == {NASTY: 0.5}


def test_the_filters_offer_what_the_cards_hold(tmp_path):
    cards = [exhibit(0), exhibit(1, characteristics=("Plaque", "Scale"))]
    page = written(tmp_path, [Section("All", "", cards)])
    offered = [option["value"] for option in page.all("option")]
    assert {"Acne", "Vitiligo", "Papule", "Plaque", "Scale", "1", "0"} <= set(offered)
    assert json.dumps(["F1", -1]) in offered
    assert json.dumps(["Gaussian", 1]) in offered
    (form,) = page.all("form")
    # Shown by the script, without which it would do nothing.
    assert "hidden" in form


def test_without_characteristics_there_is_no_such_filter(tmp_path):
    page = written(tmp_path, [Section("All", "", [exhibit(characteristics=())])])
    assert "seen" not in [select["name"] for select in page.all("select")]


def test_an_undefined_score_is_a_dash_and_no_number(tmp_path):
    page = written(tmp_path, [Section("All", "", [exhibit()])])
    (card,) = page.all("article", "card")
    assert json.loads(card["data-scores"]) == {"F1": 0.0, "Gaussian": None}
    assert "nan" not in page.words.lower()


def test_an_empty_section_says_so(tmp_path):
    page = written(tmp_path, [Section("None", "", []), Section("All", "", [exhibit()])])
    assert "There is no image here." in page.words
    assert len(page.all("article", "card")) == 1


def test_a_gallery_without_any_image_has_no_controls(tmp_path):
    page = written(tmp_path, [])
    assert not page.all("form")


def test_empty_maps_are_remarked_on(tmp_path):
    zero = exhibit(network=np.zeros((3, 3)), experts=np.zeros((3, 3)))
    page = written(tmp_path, [Section("All", "", [zero])])
    assert "The network's map is zero everywhere." in page.words
    assert "No annotator marked anything." in page.words


def test_lines_are_explained_as_they_are_drawn(tmp_path):
    alone = written(tmp_path / "a", [Section("All", "", [exhibit(annotators=1)])])
    several = written(tmp_path / "b", [Section("All", "", [exhibit(annotators=3)])])
    assert "marked by the annotator" in alone.words
    assert "at least half" not in alone.words
    assert "at least half" in several.words


def test_the_same_arguments_give_the_same_bytes(tmp_path):
    sections = [Section("All", "note", [exhibit(n) for n in range(3)])]
    written(tmp_path / "a", sections)
    written(tmp_path / "b", sections)
    first = (tmp_path / "a" / "gallery.html").read_bytes()
    assert first == (tmp_path / "b" / "gallery.html").read_bytes()


def test_exhibits_are_gone_through_once_and_not_kept(tmp_path):
    class Lazy:
        asked = 0

        def __len__(self):
            return 3

        def __iter__(self):
            for number in range(3):
                self.asked += 1
                yield exhibit(number)

    lazy = Lazy()
    page = written(tmp_path, [Section("All", "", lazy)])
    assert lazy.asked == 3
    assert len(page.all("article", "card")) == 3


@pytest.mark.parametrize("count", [100, 400])
def test_the_page_stays_below_15_megabytes(count, tmp_path):
    # Noise is harder to compress than any photograph.
    card = exhibit()
    cards = [dataclasses.replace(card, id=f"i{n}") for n in range(count)]
    written(tmp_path, [Section("All", "", cards)])
    assert (tmp_path / "gallery.html").stat().st_size < 15e6


def test_small_sheets_are_copied_and_large_ones_shrunk(tmp_path):
    rng = np.random.default_rng(0)
    pictures.confusion(np.eye(2), ["a", "b"], "hand", tmp_path / "confusion.png")
    cv2.imwrite(str(tmp_path / "large-noise.png"), rng.integers(0, 255, (700, 2000, 3), np.uint8))
    sheets = [tmp_path / "confusion.png", tmp_path / "large-noise.png"]
    page = written(tmp_path, [], sheets=sheets)
    small, large = [image for image in page.all("img") if image["alt"]]
    assert base64.b64decode(small["src"].split(",")[1]) == sheets[0].read_bytes()
    assert small["alt"].startswith("Confusion matrix of 2 classes")
    assert (large["width"], large["height"]) == ("1400", "490")
    assert large["src"].startswith("data:image/jpeg")
    assert large["alt"] == "large noise"


def test_a_folder_that_cannot_be_written_is_the_users_to_mend(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        gallery.write(tmp_path / "file", "Net", [], [])
