"""Pages of the site as their readers have them: text, tables, links and what is loaded."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

# Attributes whose address a browser loads without being asked to.
_LOADING = {"src", "srcset", "poster", "data", "background", "action", "formaction", "manifest"}
_VOID = {"meta", "link", "img", "input", "br", "hr"}


@dataclass
class Table:
    """Headings, and of each row its group's class and the text of its cells."""

    caption: str = ""
    heads: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)


class Page(HTMLParser):
    """One parsed page; every element must be closed where it was opened."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.text, self.title = "", ""
        self.tables, self.links, self.images, self.loaded, self.scripts = [], [], [], [], []
        self.handlers, self.ids, self.policy, self.tags = [], [], "", []
        self.labels = []
        self._open = []
        self._kind, self._spaced = "", False

    @classmethod
    def of(cls, file: Path) -> "Page":
        page = cls()
        page.feed(file.read_text(encoding="utf-8"))
        page.close()
        assert page._open == [], file
        page.text, page.title = (" ".join(text.split()) for text in (page.text, page.title))
        for table in page.tables:
            table.caption = " ".join(table.caption.split())
            table.heads = [" ".join(head.split()) for head in table.heads]
            table.rows = [[" ".join(cell.split()) for cell in row] for row in table.rows]
        return page

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        assert len(given) == len(attrs), f"an attribute twice in {tag} {attrs}"
        self.tags.append((tag, given))
        if tag not in _VOID:
            self._open.append(tag)
        self.handlers += [name for name in given if name.startswith("on")]
        self.handlers += [name for name in given if name == "style"]
        self.ids += [given["id"]] if "id" in given else []
        self.loaded += [value for name, value in given.items() if name in _LOADING]
        self.loaded += [given["href"]] if tag == "link" else []
        if tag == "a":
            self.links.append(given["href"])
        if tag == "img":
            self.images.append(given)
        if tag == "script":
            self.scripts.append("")
        if tag == "meta" and given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]
        if tag == "table":
            self.tables.append(Table())
        if tag == "tbody":
            self._kind = given.get("class", "")
        if tag == "tr" and "tbody" in self._open:
            self.tables[-1].rows.append([])
            self.tables[-1].kinds.append(self._kind)
        if tag in ("td", "th"):
            into = self.tables[-1].heads if "thead" in self._open else self.tables[-1].rows[-1]
            into.append("")
        # Elements that stand on lines of their own are apart in the text too.
        if tag in ("small", "dt", "dd", "p", "li", "a", "td", "th", "div"):
            self.handle_data(" ")

    def handle_endtag(self, tag):
        if tag in ("line", "svg") and self._open[-1] != tag:
            return
        assert self._open.pop() == tag, tag

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self._open.pop()

    def handle_data(self, data):
        if "script" in self._open:
            self.scripts[-1] += data
            return
        if "title" in self._open:
            self.title += data
            return
        self.text += data
        if "caption" in self._open:
            self.tables[-1].caption += data
        elif "thead" in self._open and self.tables[-1].heads:
            self.tables[-1].heads[-1] += data
        elif "tbody" in self._open and self.tables[-1].rows and self.tables[-1].rows[-1]:
            self.tables[-1].rows[-1][-1] += data


def pages_of(site: Path) -> dict[str, Page]:
    """Every page of the site by its path inside; there is one, or a test would look at nothing."""
    pages = {p.relative_to(site).as_posix(): Page.of(p) for p in sorted(site.rglob("*.html"))}
    assert "index.html" in pages
    return pages
