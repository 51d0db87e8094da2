"""The gallery of a run: every test image as a card on one HTML page that needs nothing else.

Photographs and maps lie inside the page as JPEG, so it can be moved, mailed and opened offline.
How a card is drawn is in `pictures.panels`; looks and behaviour are in page.css and page.js.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.common.files import write_text
from benchmark.gallery.inline import card_images, sheet_image
from benchmark.gallery.page import Card, page
from benchmark.pictures.exhibit import Exhibit

__all__ = ["Section", "write"]

# Up to this many cards, images have their full side; more cards share the same page size by smaller
# images, down to the least that can be looked at. Measured on the synthetic data: 100 cards and
# four sheets weigh 6.5 MB.
_FULL_CARDS, _FULL_SIDE, _LEAST_SIDE = 100, 320, 96


@dataclass(frozen=True)
class Section:
    """A heading of the gallery, a sentence below it, and what is shown there.

    `exhibits` is gone through once and in order; a lazy sequence keeps memory small.
    """

    title: str
    note: str
    exhibits: Sequence[Exhibit]


def write(
    folder: Path,
    title: str,
    summary: Sequence[tuple[str, str]],
    sections: Sequence[Section],
    sheets: Sequence[Path] = (),
) -> Path:
    """Write `folder`/gallery.html, atomically; the same arguments give the same bytes.

    Args:
        folder: where the page goes.
        title: the page's heading.
        summary: (name, value) pairs shown at the top, such as ("images", "113").
        sections: the cards; a section without an exhibit says so.
        sheets: PNG files to show below the cards, copied into the page.

    Returns:
        The page's path.

    Raises:
        UserError: the folder cannot be written.
    """
    side = _side(sum(len(section.exhibits) for section in sections))
    cards = [
        (section.title, section.note, [_card(exhibit, side) for exhibit in section.exhibits])
        for section in sections
    ]
    target = Path(folder) / "gallery.html"
    write_text(target, page(title, summary, cards, [sheet_image(path) for path in sheets]))
    return target


def _side(cards: int) -> int:
    """The longer side of a card's images in pixels."""
    if cards <= _FULL_CARDS:
        return _FULL_SIDE
    return max(round(_FULL_SIDE * (_FULL_CARDS / cards) ** 0.5), _LEAST_SIDE)


def _card(exhibit: Exhibit, side: int) -> Card:
    remarks = []
    if exhibit.experts.max() <= 0:
        remarks.append("No annotator marked anything.")
    if exhibit.network.max() <= 0:
        remarks.append("The network's map is zero everywhere.")
    return Card(
        id=exhibit.id,
        truth=exhibit.truth,
        said=exhibit.said,
        correct=exhibit.correct,
        scores=dict(exhibit.scores),
        annotators=exhibit.annotators,
        characteristics=exhibit.characteristics,
        images=card_images(exhibit, side),
        remarks=tuple(remarks),
    )
