"""Images as they lie inside the page: small JPEG or PNG files as data URIs, with their words."""

import base64
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Pillow

from benchmark.common.wording import counted
from benchmark.pictures.exhibit import Exhibit
from benchmark.pictures.panels import coloured, panels

_QUALITY = 82
# Charts are smaller and sharper as PNG; sheets full of photographs are not.
_LARGEST_PNG = 150_000
_WIDEST_SHEET = 1400


@dataclass(frozen=True)
class Image:
    """An image of the page: its data URI, its size in pixels, its name and its words."""

    uri: str
    width: int
    height: int
    name: str
    alt: str


def card_images(exhibit: Exhibit, side: int) -> tuple[Image, ...]:
    """Photograph, annotators' map, network's map and overlay of an exhibit."""
    drawn = panels(exhibit, side)
    people = counted(exhibit.annotators, "annotator")
    return (
        _jpeg(drawn.photograph, "photograph", f"photograph of {exhibit.truth}"),
        _jpeg(drawn.experts, "annotators", f"map of what {people} marked"),
        _jpeg(drawn.network, "network", "the network's map"),
        _jpeg(drawn.overlay, "overlay", "the network's map on the photograph, annotators' lines"),
    )


def sheet_image(path: Path) -> Image:
    """A PNG file, smaller where it is large; its words are those the file carries."""
    name = path.stem.replace("-", " ").replace("_", " ")
    with Pillow.open(path) as opened:
        alt = str(opened.info.get("Description", name))
        width, height = opened.size
        if path.stat().st_size <= _LARGEST_PNG:
            return Image(_uri(path.read_bytes(), "png"), width, height, name, alt)
        # Transparent paper is white paper.
        paper = Pillow.new("RGBA", opened.size, "white")
        image = np.asarray(Pillow.alpha_composite(paper, opened.convert("RGBA")).convert("RGB"))
    if width > _WIDEST_SHEET:
        size = (_WIDEST_SHEET, max(round(height * _WIDEST_SHEET / width), 1))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return _jpeg(image, name, alt)


def colour_bar() -> Image:
    """The colours of the maps from 0 to 1."""
    ramp = coloured(np.linspace(0, 1, 128, dtype=np.float32)[None])
    _, content = cv2.imencode(".png", ramp[..., ::-1])
    return Image(_uri(content.tobytes(), "png"), 128, 1, "scale", "")


def _jpeg(image: np.ndarray, name: str, alt: str) -> Image:
    _, content = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    height, width = image.shape[:2]
    return Image(_uri(content.tobytes(), "jpeg"), width, height, name, alt)


def _uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
