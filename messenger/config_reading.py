"""Fill dataclasses from parsed TOML, by their field types alone, and gather what is wrong, each with its line.

A field without a default is required; a key without a field is unknown. Knows no key by name.
"""

import difflib
import os
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from .config_forms import SOCKET_PATH_MAX, Form
from .config_lines import Place, line_of
from .errors import MessengerError


class Reading:
    """One pass over one file; gathers what is wrong instead of stopping at the first."""

    def __init__(self, base: Path, lines: dict[Place, int]) -> None:
        self.base = base
        self.lines = lines
        self.errors: list[tuple[int, str]] = []

    def wrong(self, place: Place, text: str) -> None:
        line = line_of(self.lines, place)
        self.errors.append((line, f"line {line}: {text}" if line else text))

    def table(self, kind: Any, found: Mapping[str, Any], place: Place) -> Any:
        kinds = hints(kind)
        known = {item.name: item for item in fields(kind)}
        for name in found.keys() - known.keys():
            self.wrong((*place, name), _unknown(place, name, list(known)))
        values = {
            name: self.value(kinds[name], found[name], (*place, name))
            if name in found
            else self.absent(item, kinds[name], (*place, name))
            for name, item in known.items()
        }
        return None if self.errors else kind(**values)

    def absent(self, item: Field[Any], hint: Any, place: Place) -> Any:
        if is_dataclass(hint):
            return self.table(hint, {}, place)
        if item.default is MISSING:
            section = ".".join(place[:-1])
            self.wrong(place[:-1], f"[{section}] lacks {place[-1]}: expected {_expected(hint)}")
            return None
        return self.placed(hint, item.default)

    def value(self, hint: Any, found: Any, place: Place) -> Any:
        if is_dataclass(hint):
            if isinstance(found, dict):
                return self.table(hint, found, place)
        elif _fits(hint, found):
            try:
                return self.placed(hint, _converted(hint, found))
            except (ValueError, KeyError, MessengerError):
                pass  # said below, with what was expected
        expected = f"a section [{'.'.join(place)}]" if is_dataclass(hint) else _expected(hint)
        self.wrong(place, f"{_name(place)}: expected {expected}, found {shown(found)}")
        return None

    def placed(self, hint: Any, value: Any) -> Any:
        """Relative paths start at the folder of the settings file."""
        if isinstance(value, Path):
            return self.base / value
        if isinstance(value, tuple):
            return tuple(self.placed(None, item) for item in value)
        _, form = _bare(hint)
        if form and form.socket and not value.startswith("inet"):
            path = str(self.base / value)
            if len(os.fsencode(path)) > SOCKET_PATH_MAX:
                raise ValueError(path)
            return path
        return value


def hints(kind: Any) -> dict[str, Any]:
    """Return the kind and form of each field of a dataclass."""
    return get_type_hints(kind, include_extras=True)


def _unknown(place: Place, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    advice = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
    kind = "key" if place else "section"
    return f"{_name((*place, name))}: unknown {kind}; {advice}"


def _name(place: Place) -> str:
    return f"[{'.'.join(place[:-1])}] {place[-1]}" if len(place) > 1 else f"[{place[0]}]"


def _bare(hint: Any) -> tuple[Any, Form | None]:
    """Split ``Annotated[kind, Form]``; ``Path | None`` is a path that may be empty."""
    if get_origin(hint) is Annotated:
        kind, form = get_args(hint)
        return kind, form
    return hint, None


def _fits(hint: Any, found: Any) -> bool:
    kind, form = _bare(hint)
    if form and form.also is not None and type(found) is form.also:
        return True
    if get_origin(kind) is tuple:
        return isinstance(found, list) and all(_fits(get_args(kind)[0], item) for item in found)
    if kind is Path or isinstance(kind, UnionType):
        return isinstance(found, str) and (bool(found.strip()) or kind is not Path) and "\0" not in found
    return type(found) is kind  # bool is an int to isinstance


def _converted(hint: Any, found: Any) -> Any:
    kind, form = _bare(hint)
    value = found
    if get_origin(kind) is tuple:
        value = tuple(_converted(get_args(kind)[0], item) for item in found)
    elif kind is Path or isinstance(kind, UnionType):
        value = Path(found) if found else None
    return form.parse(value) if form else value


def _expected(hint: Any) -> str:
    kind, form = _bare(hint)
    if form:
        return form.expected
    if get_origin(kind) is tuple:
        return f"a list, each {_expected(get_args(kind)[0])}"
    words = {str: "text in quotes", bool: "true or false", int: "a whole number"}
    return words.get(kind, 'a path such as "keys/link.key"')


def shown(found: Any) -> str:
    try:
        text = repr(found) if not isinstance(found, bool) else str(found).lower()
    except ValueError:  # in hexadecimal a number may have more digits than Python writes out
        text = "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."
