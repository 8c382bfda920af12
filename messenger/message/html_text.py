"""The words of an HTML mail as plain text, and how deep its tags are nested.

Tokenised as the HTML standard (section 13.2.5) does, in one pass: time grows with the length and nothing else,
which the standard library's parser can't promise. What comes out is text, to be escaped like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

#: A tag, a comment (opened <!, <? or </ with no letter after it), a tag that never ends, or a run of text.
_TOKEN = re.compile(
    r"""<(/?+[a-zA-Z][^\s/>]*+)((?:[^>"'=]++|=\s*+"[^"]*+"|=\s*+'[^']*+'|=|"|')*+)>"""
    r"""|<!--(?:>|->|.*?(?:-->|--!>|\Z))|</?+[a-zA-Z].*+|<[!?/][^>]*+>?|(?:[^<]++|<(?![a-zA-Z!?/]))++""",
    re.DOTALL,
)
_MARKUP = re.compile(r"<[a-zA-Z!?/]")
_ATTRIBUTE = re.compile(r"""([^\s/=>"']++)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++)))?""")
#: An honest mail has a few thousand; each costs some microseconds.
TOKENS = 100_000
#: Characters; a longer line is broken.
LINE = 4000
#: Their content is no markup.
OPAQUE = frozenset(["script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes"])
#: Their content is no text for people.
_UNREAD = frozenset(["template", "svg", "math"]) | OPAQUE
VOID = frozenset(
    """area base br col embed hr img input link meta param source track wbr basefont bgsound
    frame""".split()  # noqa: SIM905 (a list people can read)
)
#: Closed by the next of their own kind.
_SIBLINGS = frozenset(["p", "li", "dt", "dd", "option", "tr", "td", "th"])
_BLOCKS = frozenset(
    """address article aside blockquote body caption center dd details dir div dl dt fieldset figcaption figure
    footer form h1 h2 h3 h4 h5 h6 header hgroup hr html li main menu nav ol p pre section summary table tbody
    tfoot thead tr ul""".split()  # noqa: SIM905 (a list people can read)
)
_PARAGRAPHS = frozenset(["p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "blockquote", "pre", "table"])
_SPACE = re.compile(r"[ \t\r\n\f]+")
_HIDDEN = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all", re.IGNORECASE)
#: Hints for line breaking, and padding after the preview text.
_UNPRINTED = {0xAD: None, 0x200B: None, 0x34F: None, 0xA0: " "}
_NOTHING = re.compile(r"(?!)")


def tokens(html: str, most: int = TOKENS) -> Iterator[tuple[str, str, int]]:
    """Yield (name, attributes, where they begin) for a start tag, ("/name", ...) for an end tag, ("", text, ...).

    Stops after *most*.
    """
    at, count = 0, 0
    while count < most and (found := _TOKEN.match(html, at)):
        count += 1
        at = found.end()
        if not found[1]:
            if not _MARKUP.match(found[0]):
                yield "", found[0], at
            continue
        name = found[1].lower()
        yield name, found[2], found.start(2)
        if name in OPAQUE:
            closing = re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE).search(html, at)
            if closing is None:
                return
            yield "", html[at : closing.start()], at
            at = closing.start()


def attributes(inside: str) -> dict[str, str]:
    """The attributes in the second half of a start tag; of two with one name the first counts."""
    found: dict[str, str] = {}
    for name, *values in _ATTRIBUTE.findall(inside):
        found.setdefault(name.lower(), unescape("".join(values)))
    return found


def depth(html: str, limit: int) -> int:
    """The most tags open at once; counting stops past *limit*."""
    stack: list[str] = []
    count: dict[str, int] = {}
    most = 0
    for name, _, _ in tokens(html):
        if name.startswith("/"):
            if count.get(name[1:]):
                while count[name[1:]]:
                    last = stack.pop()
                    count[last] -= 1
                    if last == name[1:]:
                        break
        elif name and name not in VOID and not (name in _SIBLINGS and stack and stack[-1] == name):
            stack.append(name)
            count[name] = count.get(name, 0) + 1
            most = max(most, len(stack))
            if most > limit:
                break
    return most


def words(html: str, limit: int = 1_000_000, most: int = TOKENS) -> str:
    """The text a reader would see, in lines and paragraphs; links are followed by where they lead.

    *limit* is in characters of text, *most* in tokens that are read.
    """
    return _Text(limit, most, _HIDDEN).of(html) or _Text(limit, most, _NOTHING).of(html)


class _Text:
    """One run over one mail."""

    def __init__(self, limit: int, most: int, hidden: re.Pattern[str]) -> None:
        self.limit = limit
        self.most = most
        self.hidden = hidden
        self.out: list[str] = []
        self.length = 0
        self.line = ""
        self.gap = False  # an empty line is due before the next one
        self.quotes = 0
        self.quoted = 0  # how deep the last line was
        self.target = ""
        self.start = 0  # of the link's words in the line
        self.lists: list[int] = []

    def of(self, html: str) -> str:
        skip, level, pre = "", 0, 0
        for name, rest, _ in tokens(html, self.most):
            if skip:
                # A hidden or unreadable element: count its own kind until it is closed.
                level += (name == skip) - (name == "/" + skip)
                skip = skip if level else ""
            elif not name:
                self.text(rest, pre > 0)
            elif name in _UNREAD or (name not in VOID and self.hidden.search(rest)):
                skip, level = name, 1
            else:
                pre = max(pre + (name == "pre") - (name == "/pre"), 0)
                self.tag(name, rest)
            if len(self.line) > LINE:  # it is copied each time that something is added
                self.flush()
            if self.length > self.limit:
                break
        self.flush()
        return "".join(self.out).strip("\n")

    def text(self, given: str, pre: bool) -> None:
        given = unescape(given).translate(_UNPRINTED)
        if pre:
            *lines, given = given.split("\n")
            for one in lines:
                self.line += one
                self.newline()
        else:
            given = _SPACE.sub(" ", given)
            if not self.line or self.line[-1] in " \t":
                given = given.lstrip(" ")
        self.line += given

    def tag(self, name: str, rest: str) -> None:
        match name:
            case "br":
                self.newline()
            case "hr":
                self.flush()
                self.line = "-" * 20
                self.flush()
            case "img":
                alt = attributes(rest).get("alt", "").strip()
                self.line += f"[{alt}]" if alt else ""
            case "li":
                self.flush()
                self.line = "  " * max(len(self.lists) - 1, 0) + self.bullet()
            case "ul" | "ol":
                self.lists.append(1 if name == "ol" else 0)
            case "/ul" | "/ol":
                self.lists[-1:] = []
            case "td" | "th":
                self.line += "\t" if self.line.strip() else ""
            case "a":
                self.target, self.start = attributes(rest).get("href", "").strip(), len(self.line)
            case "/a":
                self.link()
        bare = name.lstrip("/")
        if bare in _BLOCKS and name != "li":
            self.flush()
            if bare in _PARAGRAPHS:
                self.space()
        if bare == "blockquote":
            self.quotes = min(max(self.quotes + (1 if name == bare else -1), 0), 20)

    def bullet(self) -> str:
        if not self.lists or not self.lists[-1]:
            return "- "
        self.lists[-1] += 1
        return f"{self.lists[-1] - 1}. "

    def link(self) -> None:
        shown, target = self.line[self.start :].strip(), self.target
        if shown and target.lower().startswith(("http://", "https://")) and shown.rstrip("/") not in target:
            self.line += f" <{target[:2000]}>"
        self.target = ""

    def newline(self) -> None:
        if self.line.strip():
            self.flush()
        else:
            self.space()

    def flush(self) -> None:
        """End the line, if there is one."""
        if self.line.strip():
            if self.gap and self.out:
                self.out.append(("> " * min(self.quotes, self.quoted)).rstrip() + "\n")
            self.out.append("> " * self.quotes + self.line.rstrip() + "\n")
            self.length += len(self.out[-1])
            self.gap, self.quoted = False, self.quotes
        self.line, self.start = "", 0

    def space(self) -> None:
        """One empty line, never two, none at the top or the end."""
        self.gap = True
