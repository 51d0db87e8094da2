"""The gallery's HTML. All text that comes from outside goes through `_text` or `_attribute`."""

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

from benchmark.common.wording import counted
from benchmark.gallery.inline import Image, colour_bar
from benchmark.pictures.sheets import number


@dataclass(frozen=True)
class Card:
    """One test image as the page needs it; see `pictures.Exhibit`."""

    id: str
    truth: str
    said: str
    correct: bool
    scores: dict[str, float]
    annotators: int
    characteristics: tuple[str, ...]
    images: tuple[Image, ...]
    remarks: tuple[str, ...]


def page(
    title: str,
    summary: Sequence[tuple[str, str]],
    sections: Sequence[tuple[str, str, Sequence[Card]]],
    sheets: Sequence[Image],
) -> str:
    """The whole page.

    Args:
        title: heading and name of the page.
        summary: (name, value) pairs below it.
        sections: (title, note, cards).
        sheets: pictures after the cards.
    """
    style, script = _asset("page.css"), _asset("page.js")
    cards = [card for _, _, shown in sections for card in shown]
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        # Nothing is loaded from anywhere, and no script runs but ours.
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:;'
        f" style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none';"
        " form-action 'none'\">",
        f"<title>{_text(title)}</title>",
        f"<style>{style}</style>",
        "</head>",
        "<body>",
        '<a class="skip" href="#images">Skip to the images</a>',
        f"<header><h1>{_text(title)}</h1>",
        _summary(summary),
        _legend(cards),
        "</header>",
        _controls(cards),
        '<main id="images">',
        *(_section(place, *section) for place, section in enumerate(sections)),
        _sheets(sheets),
        "</main>",
        _VIEWER,
        f"<script>{script}</script>",
        "</body>",
        "</html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _summary(summary: Sequence[tuple[str, str]]) -> str:
    if not summary:
        return ""
    pairs = (f"<div><dt>{_text(n)}</dt><dd>{_text(v)}</dd></div>" for n, v in summary)
    return f'<dl class="summary">{"".join(pairs)}</dl>'


def _legend(cards: Sequence[Card]) -> str:
    """The colours and lines of the maps, as far as these cards have them."""
    if not cards:
        return ""
    if all(card.annotators == 1 for card in cards):
        lines = 'Line: <i class="thick"></i> marked by the annotator'
    else:
        lines = (
            'Lines: <i class="thin"></i> marked by any annotator (on their map also by all),'
            ' <i class="thick"></i> by at least half'
        )
    return (
        '<p class="legend"><span>Share of the annotators, strength of the network&#x27;s map:'
        f" 0&nbsp;{_img(colour_bar())}&nbsp;1</span> <span>{lines}</span></p>"
    )


def _controls(cards: Sequence[Card]) -> str:
    """Filters and order; hidden until the script runs, without which they would do nothing."""
    if not cards:
        return ""
    orders = [("", "as listed"), ("id", "by name")]
    for name in dict.fromkeys(name for card in cards for name in card.scores):
        # JSON keeps a score's own name apart from the direction, whatever its letters.
        orders.append((json.dumps([name, -1]), f"{name}, highest first"))
        orders.append((json.dumps([name, 1]), f"{name}, lowest first"))
    seen = sorted({name for card in cards for name in card.characteristics})
    boxes = [
        _select("order", "Order", orders),
        _select("truth", "Diagnosis", _choices("all", sorted({card.truth for card in cards}))),
        _select("verdict", "Network", [("", "all"), ("1", "correct"), ("0", "wrong")]),
    ]
    if seen:
        boxes.append(_select("seen", "Characteristic", _choices("all", seen)))
    return (
        f'<form class="controls" hidden>{"".join(boxes)}'
        f'<output aria-live="polite">{counted(len(cards), "image")}</output></form>'
    )


def _choices(everything: str, names: Iterable[str]) -> list[tuple[str, str]]:
    return [("", everything), *((name, name) for name in names)]


def _select(name: str, label: str, choices: Iterable[tuple[str, str]]) -> str:
    options = "".join(f'<option value="{_attribute(v)}">{_text(t)}</option>' for v, t in choices)
    return f'<label>{label} <select name="{name}">{options}</select></label>'


def _section(place: int, title: str, note: str, cards: Sequence[Card]) -> str:
    empty = "No image matches." if cards else "There is no image here."
    return (
        f'<section class="cards" aria-labelledby="section-{place}">'
        f'<h2 id="section-{place}">{_text(title)}</h2>'
        + (f'<p class="note">{_text(note)}</p>' if note else "")
        + f'<p class="empty"{" hidden" if cards else ""}>{empty}</p>'
        + f'<div class="grid">{"".join(map(_card, cards))}</div></section>'
    )


def _card(card: Card) -> str:
    values = {n: None if math.isnan(v) else round(v, 6) for n, v in card.scores.items()}
    data = {
        "id": card.id,
        "truth": card.truth,
        "verdict": str(int(card.correct)),
        "seen": json.dumps(card.characteristics),
        "scores": json.dumps(values),
    }
    attributes = "".join(f' data-{name}="{_attribute(value)}"' for name, value in data.items())
    verdict = "✓ diagnosed correctly" if card.correct else f"✗ network says {card.said}"
    scores = "".join(
        f"<div><dt>{_text(name)}</dt><dd>{number(value)}</dd></div>"
        for name, value in card.scores.items()
    )
    people = counted(card.annotators, "annotator")
    seen = ": ".join(filter(None, (people, ", ".join(card.characteristics))))
    remarks = "".join(f'<p class="remark">{_text(remark)}</p>' for remark in card.remarks)
    return (
        f'<article class="card"{attributes}>'
        f'<button type="button" class="views" aria-label="Enlarge {_attribute(card.id)}">'
        f"{''.join(map(_view, card.images))}</button>"
        f'<div class="words"><h3>{_text(card.truth)}</h3>'
        f'<p class="verdict {"right" if card.correct else "wrong"}">{_text(verdict)}</p>'
        f'<dl class="scores">{scores}</dl>'
        f'<p class="seen">{_text(seen)}</p>{remarks}<p class="id">{_text(card.id)}</p></div>'
        "</article>\n"
    )


def _view(image: Image) -> str:
    return f'<span class="view">{_img(image)}<small aria-hidden="true">{image.name}</small></span>'


def _sheets(sheets: Sequence[Image]) -> str:
    if not sheets:
        return ""
    shown = "".join(
        f'<figure><button type="button" class="sheet" aria-label="Enlarge {_attribute(s.name)}">'
        f"{_img(s)}</button><figcaption>{_text(s.name)}</figcaption></figure>"
        for s in sheets
    )
    return (
        '<section aria-labelledby="sheets"><h2 id="sheets">Charts and sheets</h2>'
        f'<div class="sheets">{shown}</div></section>'
    )


_VIEWER = (
    '<dialog id="viewer" aria-label="Enlarged image"><div class="bar">'
    '<button type="button" name="previous" aria-label="Previous image">←</button>'
    '<button type="button" name="next" aria-label="Next image">→</button>'
    '<button type="button" name="close" aria-label="Close">✕</button></div>'
    '<div class="stage"></div></dialog>'
)


def _img(image: Image) -> str:
    size = f'width="{image.width}" height="{image.height}"'
    return f'<img src="{image.uri}" {size} alt="{_attribute(image.alt)}" decoding="async">'


def _text(text: str) -> str:
    return escape(text, quote=False)


def _attribute(text: str) -> str:
    return escape(text, quote=True)


def _asset(name: str) -> str:
    return files("benchmark.gallery").joinpath(name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    """How a content security policy names the one style or script that it allows."""
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
