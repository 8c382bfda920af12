"""Turn a short text of the site's own into HTML: paragraphs, lists, headings, bold, links. Everything else is escaped.

The marks are those of Markdown, and few: "# " before a heading, "- " before each item of a list, **bold**,
[words](https://...). Web and mail addresses become links by themselves. A line stays a line: postal addresses do.
"""

import re

from markupsafe import Markup, escape

_LINK = r"(?:https?://|mailto:|tel:)[^\s()<>\"]+"
_INLINE = re.compile(
    rf"\*\*(?P<bold>[^*\n]+)\*\*"
    rf"|\[(?P<words>[^\[\]\n]+)\]\((?P<to>{_LINK})\)"
    rf"|(?P<url>https?://[^\s<>\"]*[^\s<>\".,;:!?)'])"
    rf"|(?P<address>[\w.+-]{{1,64}}@[\w-]{{1,63}}(?:\.[\w-]{{1,63}})+)"
)


def html(text: str) -> Markup:
    """Return *text* as HTML that can do nothing but lead somewhere; headings begin at ``<h3>``."""
    blocks = re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip())
    return Markup("\n").join(part for block in blocks for part in _block(block.strip().split("\n")) if block.strip())


def _block(lines: list[str]) -> list[Markup]:
    found: list[Markup] = []
    items: list[Markup] = []
    running: list[Markup] = []

    def close() -> None:
        if items:
            found.append(Markup("<ul>%s</ul>") % Markup().join(Markup("<li>%s</li>") % item for item in items))
        if running:
            found.append(Markup("<p>%s</p>") % Markup("<br>\n").join(running))
        items.clear()
        running.clear()

    for line in lines:
        mark, _, rest = line.strip().partition(" ")
        if mark in ("#", "##", "###"):
            close()
            found.append(Markup("<h3>%s</h3>") % _inline(rest))
        elif mark in ("-", "*"):
            if running:
                close()
            items.append(_inline(rest))
        else:
            if items:
                close()
            running.append(_inline(line.strip()))
    close()
    return found


def _inline(line: str) -> Markup:
    found, at = Markup(), 0
    for match in _INLINE.finditer(line):
        found += escape(line[at : match.start()]) + _marked(match)
        at = match.end()
    return found + escape(line[at:])


def _marked(match: re.Match[str]) -> Markup:
    if match["bold"]:
        return Markup("<strong>%s</strong>") % match["bold"]
    if match["words"]:
        return Markup('<a href="%s">%s</a>') % (match["to"], match["words"])
    if match["url"]:
        return Markup('<a href="%s">%s</a>') % (match["url"], match["url"])
    return Markup('<a href="mailto:%s">%s</a>') % (match["address"], match["address"])
