"""Move what a mail's <style> says into style attributes, before sanitising takes <style> and class away.

Newsletters and Outlook put margins, colours and hidden pieces there. Only plain selectors are understood (elements,
classes, ids, one inside another); media queries and states are not. This is about looks alone: everything it
writes goes through the sanitiser like the sender's own words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape

import tinycss2  # type: ignore[import-untyped]  # ships no types
from tinycss2.ast import (  # type: ignore[import-untyped]
    HashToken,
    IdentToken,
    LiteralToken,
    Node,
    QualifiedRule,
    WhitespaceToken,
)

from . import html_text, styles

CSS = 200_000  # characters of style sheets read
RULES = 2_000
WRITTEN = 500_000  # characters added to a mail
COMPARED = 2_000_000  # rules with elements; about a second


@dataclass(frozen=True)
class _Compound:
    """What one element must be: a name (or any), and all of these classes and ids."""

    name: str
    marks: frozenset[str]

    def fits(self, element: _Compound) -> bool:
        return self.name in ("", element.name) and self.marks <= element.marks


@dataclass(frozen=True)
class _Rule:
    weight: tuple[int, int, int, int]  # ids, classes, elements, place in the sheet
    inner: _Compound
    outer: tuple[_Compound, ...]  # innermost first
    usual: str
    important: str


def inlined(html: str) -> str:
    """*html* with the rules of its style sheets in the style attributes; of two, the first attribute counts."""
    rules = _by_key(_rules(_sheets(html)))
    if not rules:
        return html
    out: list[str] = []
    stack: list[_Compound] = []
    at, left, effort = 0, WRITTEN, 0
    for name, rest, position in html_text.tokens(html):
        if name.startswith("/"):
            _pop(stack, name[1:])
        elif name:
            given = html_text.attributes(rest)
            element = _Compound(name, _marks(given))
            candidates = [one for key in (name, *element.marks) for one in rules.get(key, ())]
            effort += sum(1 + len(one.outer) * len(stack) for one in candidates)
            if effort > COMPARED:
                break
            style = _style(element, stack, candidates, given.get("style", ""))
            if style and len(style) < left:
                left -= len(style)
                out += (html[at:position], f' style="{escape(style)}"')
                at = position
            if name not in html_text.VOID and len(stack) < 600:
                stack.append(element)
    return "".join((*out, html[at:]))


def _sheets(html: str) -> str:
    if "<style" not in html.lower():
        return ""
    sheets, inside = [], False
    for name, rest, _ in html_text.tokens(html):
        if inside and not name:
            sheets.append(rest)
        inside = name == "style"
    return "\n".join(sheets)[:CSS]


def _pop(stack: list[_Compound], name: str) -> None:
    # Elements whose end was left out lie above it; few, or the tag has no start at all.
    for back in range(1, min(len(stack), 50) + 1):
        if stack[-back].name == name:
            del stack[-back:]
            return


def _marks(given: dict[str, str]) -> frozenset[str]:
    classes = (f".{one}" for one in given.get("class", "").split()[:50])
    return frozenset((*classes, f"#{given['id']}") if given.get("id") else classes)


def _style(element: _Compound, stack: list[_Compound], candidates: list[_Rule], own: str) -> str:
    """The declarations in order of their weight; the element's own beat all but the important ones."""
    fitting = [one for one in candidates if _fits(one, element, stack)]
    if not fitting:
        return ""
    fitting.sort(key=lambda one: one.weight)
    usual = (one.usual for one in fitting)
    important = (one.important for one in fitting)
    return ";".join(piece for piece in (*usual, own, *important) if piece)


def _fits(rule: _Rule, element: _Compound, stack: list[_Compound]) -> bool:
    if not rule.inner.fits(element):
        return False
    above = reversed(stack)
    return all(any(wanted.fits(one) for one in above) for wanted in rule.outer)


def _by_key(rules: Iterable[_Rule]) -> dict[str, list[_Rule]]:
    """Each rule under one thing its element must have."""
    found: dict[str, list[_Rule]] = {}
    for rule in rules:
        found.setdefault(min(rule.inner.marks, default=rule.inner.name), []).append(rule)
    return found


def _rules(css: str) -> Iterator[_Rule]:
    count = 0
    try:
        nodes = tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True) if css else ()
        for node in nodes:
            if not isinstance(node, QualifiedRule):
                continue
            kept = list(styles.declarations(tinycss2.serialize(node.content)))
            usual = ";".join(f"{name}:{value}" for name, value, strong in kept if not strong)
            important = ";".join(f"{name}:{value}" for name, value, strong in kept if strong)
            for selector in _split(node.prelude) if kept else ():
                count += 1
                if count > RULES:
                    return
                if rule := _rule(selector, count, usual, important):
                    yield rule
    except (ValueError, RecursionError):  # thousands of digits, or of brackets
        return


def _split(prelude: Iterable[Node]) -> Iterator[list[Node]]:
    selector: list[Node] = []
    for token in prelude:
        if isinstance(token, LiteralToken) and token.value == ",":
            yield selector
            selector = []
        else:
            selector.append(token)
    yield selector


def _rule(selector: list[Node], place: int, usual: str, important: str) -> _Rule | None:
    parts: list[tuple[str, set[str]]] = [("", set())]
    dot = False
    for token in selector:
        name, marks = parts[-1]
        if dot:
            if not isinstance(token, IdentToken):
                return None
            marks.add(f".{token.value}")
            dot = False
        elif isinstance(token, WhitespaceToken):
            if name or marks:
                parts.append(("", set()))
        elif isinstance(token, HashToken):
            marks.add(f"#{token.value}")
        elif isinstance(token, LiteralToken) and token.value == ".":
            dot = True
        elif isinstance(token, IdentToken) and not name and not marks:
            parts[-1] = (token.lower_value, marks)
        else:
            return None
    compounds = [_Compound(name, frozenset(marks)) for name, marks in parts if name or marks]
    if dot or not compounds or len(compounds) > 6:
        return None
    ids = sum(mark[0] == "#" for one in compounds for mark in one.marks)
    classes = sum(len(one.marks) for one in compounds) - ids
    names = sum(bool(one.name) for one in compounds)
    return _Rule((ids, classes, names, place), compounds[-1], tuple(compounds[-2::-1]), usual, important)
