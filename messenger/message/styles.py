"""Style attributes: an allowlist of properties, and of what their values may be made of.

What comes out is written anew from tokens of known kinds, never copied from the mail: there is no way for an escape,
a url(), a var() or a function we don't know to get through. A declaration with one of these is dropped whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import tinycss2  # type: ignore[import-untyped]  # ships no types
from tinycss2.ast import (  # type: ignore[import-untyped]
    Declaration,
    DimensionToken,
    FunctionBlock,
    HashToken,
    IdentToken,
    LiteralToken,
    Node,
    NumberToken,
    PercentageToken,
    StringToken,
    WhitespaceToken,
)
from tinycss2.color3 import parse_color  # type: ignore[import-untyped]

LENGTH = 10_000

_SIDES = ("top", "right", "bottom", "left")
#: Nothing that lifts an element out of the flow (position, transform, z-index, clip), loads, animates or counts.
PROPERTIES = frozenset(
    """background-color border border-collapse border-color border-radius border-spacing border-style border-width
    border-top-left-radius border-top-right-radius border-bottom-left-radius border-bottom-right-radius
    box-sizing caption-side clear color direction display empty-cells float font font-family font-size font-style
    font-variant font-weight height letter-spacing line-height list-style list-style-position list-style-type
    margin max-height max-width min-height min-width opacity overflow overflow-wrap padding table-layout text-align
    text-decoration text-decoration-color text-decoration-line text-decoration-style text-indent text-transform
    vertical-align visibility white-space width word-break word-spacing word-wrap""".split()  # noqa: SIM905 (a list people can read)
) | frozenset(
    name
    for side in _SIDES
    for name in (
        f"margin-{side}",
        f"padding-{side}",
        f"border-{side}",
        *(f"border-{side}-{what}" for what in ("color", "style", "width")),
    )
)
_UNITS = frozenset(["px", "pt", "pc", "em", "rem", "ex", "ch", "in", "cm", "mm", "vw", "vh", "deg"])
_FUNCTIONS = frozenset(("rgb", "rgba", "hsl", "hsla"))
_IDENT = re.compile(r"-?[a-zA-Z][a-zA-Z0-9-]{0,60}")
_HEX = re.compile(r"[0-9a-fA-F]{3,8}")
_FONT = re.compile(r"[^\x00-\x1f\x7f\"'\\<>;{}()&]{1,100}")


class _Refused(Exception):
    """The declaration holds something that isn't on the list."""


def declarations(style: str) -> Iterator[tuple[str, str, bool]]:
    """The declarations of a style attribute that may stay, written anew: name, value, was it !important."""
    # An escape spoils the declaration it is in; cut there, whatever the tokeniser would make of it.
    kept = ";".join(one for one in style[:LENGTH].split(";") if "\\" not in one)
    try:
        nodes = tinycss2.parse_blocks_contents(kept, skip_comments=True, skip_whitespace=True)
    except (ValueError, RecursionError):  # a number of thousands of digits
        return
    for node in nodes:
        if isinstance(node, Declaration):
            name = node.lower_name
            try:
                if name == "background":
                    yield from _background(node)
                elif name in PROPERTIES:
                    yield name, _value(node.value), node.important
            except _Refused:
                continue


def clean(style: str) -> str:
    """A style attribute made of what may stay; "" when nothing may."""
    return ";".join(f"{name}:{value}" for name, value, _ in declarations(style))


def color(value: str) -> str:
    """A legacy colour attribute (bgcolor, color), or "" if it isn't one."""
    value = value.strip()
    bare = value.removeprefix("#")
    if _HEX.fullmatch(bare) and len(bare) in (3, 6):
        return f"#{bare}"
    return value if value.isascii() and value.isalpha() and len(value) <= 30 else ""


def _background(declaration: Declaration) -> Iterator[tuple[str, str, bool]]:
    """Of the shorthand only the colour, so that white words on a dark picture stay readable without the picture."""
    for token in declaration.value:
        if isinstance(token, (HashToken, IdentToken, FunctionBlock)) and parse_color(token) is not None:
            yield "background-color", _value([token]), declaration.important
            return


def _value(tokens: Iterable[Node]) -> str:
    value = "".join(_token(token) for token in tokens).strip()
    if not value:
        raise _Refused
    return value


def _token(token: Node, inside: bool = False) -> str:
    match token:
        case WhitespaceToken():
            return " "
        case IdentToken() if _IDENT.fullmatch(token.value):
            return str(token.value)
        case NumberToken() | PercentageToken() | DimensionToken():
            return _number(token)
        case HashToken() if _HEX.fullmatch(token.value):
            return f"#{token.value}"
        case LiteralToken() if token.value in (",", "/"):
            return str(token.value)
        case StringToken() if not inside and _FONT.fullmatch(token.value):
            return f"'{token.value}'"
        case FunctionBlock() if not inside and token.lower_name in _FUNCTIONS:
            return f"{token.lower_name}({''.join(_token(one, True) for one in token.arguments)})"
    raise _Refused


def _number(token: NumberToken | PercentageToken | DimensionToken) -> str:
    unit = ""
    if isinstance(token, PercentageToken):
        unit = "%"
    elif isinstance(token, DimensionToken):
        unit = token.lower_unit
        if unit not in _UNITS:
            raise _Refused
    if not abs(token.value) <= 10_000:
        raise _Refused
    return f"{token.value:.4f}".rstrip("0").rstrip(".") + unit
