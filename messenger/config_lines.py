"""Tell on which line of a TOML file each key stands. tomllib knows values, not places.

Takes text that tomllib has accepted; doesn't judge it again. A key in an inline table has the outer key's line.
Of an array of tables each has its number in the path, from 0: ``("rule", "0", "name")``.
"""

import re
import tomllib

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*')"""
_KEY = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_HEADER = re.compile(rf"[ \t]*(\[\[?)[ \t]*({_KEY})[ \t]*\]\]?")
_ENTRY = re.compile(rf"[ \t]*({_KEY})[ \t]*=")
_TOKEN = re.compile(
    r'''(?P<text>"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')'''
    r"""|(?P<comment>\#[^\n]*)|(?P<open>[\[{])|(?P<close>[\]}])|(?P<newline>\n)|(?P<other>[^"'\#\[{\]}\n]+)""",
    re.DOTALL,
)

Place = tuple[str, ...]


def places(text: str) -> dict[Place, int]:
    """Return the line number of each table and key of *text*, by its path, such as ``("site", "name")``."""
    found: dict[Place, int] = {}
    arrays: dict[Place, int] = {}
    table: Place = ()
    position, depth, line = 0, 0, 1
    fresh = True  # at the start of a line, outside any list
    while position < len(text):
        if fresh and (match := _HEADER.match(text, position)):
            table = _table(_parts(match[2]), match[1] == "[[", arrays)
            _note(found, table, line)
        elif fresh and (match := _ENTRY.match(text, position)):
            _note(found, table + _parts(match[1]), line)
        else:
            match = _TOKEN.match(text, position)
            if match is None:
                return found
            depth += {"open": 1, "close": -1}.get(match.lastgroup or "", 0)
        line += match[0].count("\n")
        fresh = match.lastgroup == "newline" and depth == 0
        position = match.end()
    return found


def line_of(found: dict[Place, int], place: Place) -> int:
    """Return the line of *place*, or of the nearest thing around it; 0 where the file has neither."""
    while place:
        if place in found:
            return found[place]
        place = place[:-1]
    return 0


def _table(parts: Place, one_more: bool, arrays: dict[Place, int]) -> Place:
    """The path of a table's header; *arrays* counts what stands in each array of tables, and is brought up to date."""
    place: Place = ()
    for at, part in enumerate(parts, 1):
        place = (*place, part)
        if one_more and at == len(parts):
            arrays[place] = arrays.get(place, 0) + 1
        if place in arrays:
            place = (*place, str(arrays[place] - 1))
    return place


def _parts(key: str) -> Place:
    return tuple(_plain(part) for part in re.findall(_PART, key))


def _plain(part: str) -> str:
    if part.startswith('"') and "\\" in part:
        return str(tomllib.loads(f"it = {part}")["it"])
    return part[1:-1] if part[0] in "\"'" else part


def _note(found: dict[Place, int], place: Place, line: int) -> None:
    for length in range(1, len(place) + 1):
        found.setdefault(place[:length], line)
