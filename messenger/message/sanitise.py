"""A mail's HTML to HTML that can do nothing but be looked at. Runs in the child process (sandbox.py).

nh3 parses and writes; this file says which elements and attributes there are, and looks at every value. Pictures
are put in and remote ones taken out while sanitising, because nothing may rewrite HTML that is already clean.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

import nh3

from . import clean, html_text, inlining, pictures, styles

TAGS = frozenset(
    """a abbr acronym address article aside b bdi big blockquote br caption center cite code col colgroup dd del
    dfn div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark nav ol p
    pre q s samp section small span strike strong sub sup table tbody td tfoot th thead time tr tt u ul var
    wbr""".split()  # noqa: SIM905 (a list people can read)
)
#: Gone with all that is in them.
EMPTIED = frozenset(
    """script style title svg math template iframe object embed applet noembed noframes noscript xmp plaintext
    textarea select option datalist audio video canvas frameset""".split()  # noqa: SIM905 (a list people can read)
)
_BOX = {"align", "valign", "width", "height", "bgcolor"}
_CELL = _BOX | {"colspan", "rowspan", "nowrap", "scope"}
ATTRIBUTES: dict[str, set[str]] = {
    "*": {"style", "dir", "lang"},
    "a": {"href"},
    "abbr": {"title"},
    "img": {"src", "alt", "width", "height", "align", "border", "hspace", "vspace"},
    "font": {"color", "face", "size"},
    "table": _BOX | {"border", "cellpadding", "cellspacing", "role"},
    "td": _CELL,
    "th": _CELL,
    "tr": {"align", "valign", "bgcolor", "height"},
    "tbody": {"align", "valign"},
    "thead": {"align", "valign"},
    "tfoot": {"align", "valign"},
    "col": {"span", "width", "align", "valign"},
    "colgroup": {"span", "width", "align", "valign"},
    "ol": {"start", "type"},
    "ul": {"type"},
    "li": {"type", "value"},
    "hr": {"align", "width", "size", "color"},
    "br": {"clear"},
    **{name: {"align"} for name in ["p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "caption"]},
}
#: What a value must look like, in full; an attribute that isn't named here, nor handled below, goes.
_SHAPES = {
    **dict.fromkeys(("width", "height"), re.compile(r"\s*\d{1,5}(\.\d{1,4})?\s*(%|px|pt)?\s*")),
    **dict.fromkeys(("border", "hspace", "vspace", "cellpadding", "cellspacing"), re.compile(r"\s*\d{1,3}(px)?\s*")),
    **dict.fromkeys(("colspan", "rowspan", "span"), re.compile(r"\s*\d{1,3}\s*")),
    **dict.fromkeys(("align", "valign", "clear", "scope"), re.compile(r"[A-Za-z]{1,12}")),
    **dict.fromkeys(("start", "value"), re.compile(r"-?\d{1,6}")),
    "size": re.compile(r"[+-]?\d{1,3}"),
    "type": re.compile(r"[1aAiI]|disc|circle|square", re.IGNORECASE),
    "face": re.compile(r"[\w ,.'-]{1,200}"),
    "dir": re.compile(r"ltr|rtl|auto", re.IGNORECASE),
    "lang": re.compile(r"[A-Za-z0-9-]{1,35}"),
    "nowrap": re.compile(r"(nowrap)?", re.IGNORECASE),
    "role": re.compile(r"presentation|none", re.IGNORECASE),
}
_OURS = {"target", "rel", "referrerpolicy"}  # set below, by nh3, on elements we name
#: What a browser skips in an address: these anywhere, any control or space at the ends.
_SKIPPED = {9: None, 10: None, 13: None}
_ENDS = "".join(map(chr, range(0x21)))
_LINK = re.compile(r"(?:https?://|mailto:|tel:)[^\x00-\x1f\x7f]{1,8000}", re.IGNORECASE)
_REMOTE = re.compile(r"(?:https?:)?[/\\]{2}", re.IGNORECASE)
_NUMERIC = re.compile(r"&#(?:x([0-9a-f]{1,6})|(\d{1,7}));?", re.IGNORECASE)


@dataclass(frozen=True)
class Sanitised:
    """Clean HTML for inside <body>, and what was worth keeping of the mail's own <html> and <body>."""

    html: str
    remote_pictures: int
    body_style: str = ""
    language: str = ""
    direction: str = ""


@dataclass
class _Run:
    """What one run over one mail needs to remember."""

    inline: Mapping[str, bytes]
    remote: bool
    blocked: int = 0
    room: int = pictures.MAIL
    uris: dict[str, str] = field(default_factory=dict)
    cleaned: dict[str, str] = field(default_factory=dict)

    def attribute(self, tag: str, name: str, value: str) -> str | None:
        """Decide over one attribute; None takes it out."""
        if name in _OURS:
            return value
        if shape := _SHAPES.get(name):
            return value.strip() if shape.fullmatch(value) else None
        match name:
            case "style":
                return self.style(value) or None
            case "href":
                return link(value)
            case "src":
                return self.picture(value)
            case "alt" | "title":
                return clean.line(value, 500)
            case "bgcolor" | "color":
                return styles.color(value) or None
        return None

    def style(self, value: str) -> str:
        if value not in self.cleaned:
            self.cleaned[value] = styles.clean(value)
        return self.cleaned[value]

    def picture(self, value: str) -> str | None:
        address = _bare(value)
        if _REMOTE.match(address):
            if not self.remote:
                self.blocked += 1
                return None
            # Never in the clear: the portal's page is HTTPS, and so is the frame's policy for pictures.
            rest = _REMOTE.sub("", address, count=1)
            return f"https://{rest}" if _LINK.fullmatch(f"https://{rest}") else None
        if address not in self.uris:
            self.uris[address] = pictures.data_uri(self.content(address))
        uri = self.uris[address]
        if not uri or len(uri) > self.room:
            return None
        self.room -= len(uri)
        return uri

    def content(self, address: str) -> bytes:
        if address[:4].lower() == "cid:":
            return self.inline.get(content_id(address), b"")
        return pictures.from_data_uri(address)


def _bare(address: str) -> str:
    return address.translate(_SKIPPED).strip(_ENDS)


def content_id(address: str) -> str:
    """The Content-ID that a cid: address means (RFC 2392)."""
    return unquote(address[4:], errors="replace").strip("<> ")


def link(value: str) -> str | None:
    """The address a link may lead to, or None."""
    address = clean.line(_bare(value), 8000)
    return address.replace(" ", "%20") if _LINK.fullmatch(address) else None


def sanitise(html: str, inline: Mapping[str, bytes], remote_pictures: bool) -> Sanitised:
    """Return *html* with nothing left that runs, loads, submits or leaves its place."""
    run = _Run(inline, remote_pictures)
    cleaner = nh3.Cleaner(
        tags=set(TAGS),
        clean_content_tags=set(EMPTIED),
        attributes=ATTRIBUTES,
        attribute_filter=run.attribute,
        strip_comments=True,
        url_schemes={"http", "https", "mailto", "tel", "cid", "data"},  # by element in attribute()
        url_relative="pass_through",
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}, "img": {"referrerpolicy": "no-referrer"}},
    )
    html = inlining.inlined(_NUMERIC.sub(_visible, html))
    cleaned = cleaner.clean(html)  # before the count of the blocked ones is read
    return Sanitised(cleaned, run.blocked, **_frame(html))


def _visible(found: re.Match[str]) -> str:
    """Character references to what clean.block() takes out of text."""
    number = int(found[1], 16) if found[1] else int(found[2])
    unseen = number > 0x10FFFF or not clean.block(chr(number))
    return "" if unseen else found[0]


def _frame(html: str) -> dict[str, str]:
    """The parser drops <html> and <body>; their colours and direction are half of how many mails look."""
    found: dict[str, str] = {}
    for name, inside, _ in html_text.tokens(html):
        if name in ("html", "body"):
            given = html_text.attributes(inside)
            for attribute, key in (("lang", "language"), ("dir", "direction")):
                if _SHAPES[attribute].fullmatch(given.get(attribute, "")):
                    found[key] = given[attribute]
            if name == "body":
                return {**found, "body_style": _body_style(given)}
    return found


def _body_style(given: dict[str, str]) -> str:
    kept = {key: value for key, value, _ in styles.declarations(given.get("style", ""))}
    kept.setdefault("background-color", styles.color(given.get("bgcolor", "")))
    kept.setdefault("color", styles.color(given.get("text", "")))
    wanted = ("background-color", "color", "font-family", "font-size", "line-height", "direction")
    return ";".join(f"{key}:{kept[key]}" for key in wanted if kept.get(key))
