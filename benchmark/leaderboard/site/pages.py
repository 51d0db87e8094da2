"""Views to HTML. All text from records is hostile: it is escaped, once, by templates and `rows`.

No text from a record enters a script or a style, and no page runs a script but table.js.
"""

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from benchmark.common.wording import plain
from benchmark.leaderboard.site.rows import body

STYLE, _SCRIPT = "site.css", "table.js"
_PACKAGE = "benchmark.leaderboard.site"
# Only what these match becomes a link, so no other scheme does.
_ADDRESS = re.compile(
    r"https?://[^\s<>\"'();,]+[^\s<>\"'();,.]|arXiv[ :]\d{4}\.\d{4,5}|doi:10\.[^\s;,]+"
)
# A whole one: parentheses and commas are part of it.
_WHOLE = re.compile(r"https?://[\x21-\x7e]+")


def page(template: str, title: str, root: str, **view: Any) -> bytes:
    """A whole page as UTF-8.

    Args:
        template: its file in templates/.
        title: of the page, in the browser's bar.
        root: from the page to the site's folder: "" or "../".
        view: what the template shows.
    """
    html = (
        _environment()
        .get_template(template)
        .render(
            title=title,
            root=root,
            script=Markup(asset(_SCRIPT)),
            script_hash=_script_hash(),
            **view,
        )
    )
    return (html + "\n").encode()


@cache
def asset(name: str) -> str:
    """The text of a file beside this one."""
    return files(_PACKAGE).joinpath(name).read_text(encoding="utf-8")


@cache
def _script_hash() -> str:
    """How a content security policy names the one script that it allows."""
    digest = hashlib.sha256(asset(_SCRIPT).encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(_PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"linked": linked, "address": address, "verbatim": _verbatim}
    environment.globals["body"] = body
    return environment


def _shown(value: Any) -> Any:
    """Text without control characters, of which some turn the direction of what follows."""
    if isinstance(value, str) and not isinstance(value, Markup) and not value.isprintable():
        return plain(value)
    return value


def _verbatim(text: str) -> Markup:
    """Text that keeps its line breaks, and no other control character."""
    lines = text.split("\n")
    return escape("\n".join(line if line.isprintable() else plain(line) for line in lines))


def linked(text: str) -> Markup:
    """Text in which web addresses, arXiv numbers and DOIs are links; nothing else becomes one."""
    parts, end = [], 0
    for found in _ADDRESS.finditer(text):
        parts += [escape(plain(text[end : found.start()])), _link(found[0])]
        end = found.end()
    return Markup("").join([*parts, escape(plain(text[end:]))])


def address(text: str) -> Markup:
    """A whole web address as a link that vouches for nothing; other text stays text."""
    if not _WHOLE.fullmatch(text):
        return escape(plain(text))
    return Markup('<a href="{0}" rel="noreferrer nofollow">{0}</a>').format(text)


def _link(address: str) -> Markup:
    target = address
    if address.startswith("arXiv"):
        target = f"https://arxiv.org/abs/{address[6:]}"
    elif address.startswith("doi:"):
        target = f"https://doi.org/{address[4:]}"
    return Markup('<a href="{}" rel="noreferrer">{}</a>').format(target, address)
