"""Change one setting in the policy's text by its line, so that every other line stays as somebody wrote it.

Knows TOML's lines, no settings. Text in, text out; whoever asks compares what the new text means with what it should.
tomlkit moves sections that stand between rules, and the comments above them, to other places: so not by tomlkit.
"""

import json
import re

from ..config_lines import Place, places

_VALUE = re.compile(r"""^([^=]*=[ \t]*)("(?:\\.|[^"\\])*"|'[^']*'|[A-Za-z0-9_.+-]+)([ \t]*(?:#.*)?)$""")


def put(text: str, section: Place, name: str, value: bool | str) -> str:
    """Write *name* = *value* into *section*, named as it is written in *text*, or into a new one at the end."""
    found, lines = places(text), _lines(text)
    if at := found.get((*section, name)):
        lines[at - 1] = _VALUE.sub(lambda match: match[1] + _written(value) + match[3], lines[at - 1])
    elif (header := found.get(section)) and _is_header(lines[header - 1]):
        last = max([header, *_keys(found, section)])
        lines.insert(last, f"{name} = {_written(value)}")
    else:
        lines += [*([""] if lines and lines[-1].strip() else []), _header(section), f"{name} = {_written(value)}"]
    return "\n".join(lines) + "\n"


def take_out(text: str, section: Place, name: str) -> str:
    """Take *name* out of *section*, and the section's head with it if nothing is left under it, not even a comment."""
    found, lines = places(text), _lines(text)
    at, header = found.get((*section, name)), found.get(section)
    if at is None or header is None or at == header:
        return text
    others = [line for line in _keys(found, section) if line != at]
    head = lines[header - 1]
    above = lines[header - 2].strip() if header > 1 else ""
    # What somebody wrote about the section stays with it.
    bare = _is_header(head) and head.rstrip().endswith("]") and not above and not others and at == header + 1
    del lines[at - 1]
    below = lines[header].strip() if header < len(lines) else ""
    if bare and (not below or _is_header(below)):
        del lines[header - 1]
        if header > 1 and (header - 1 == len(lines) or not lines[header - 1].strip()):
            del lines[header - 2]
    return "\n".join(lines) + "\n" if lines else ""


def _lines(text: str) -> list[str]:
    # Not splitlines, which knows more ends of lines than TOML.
    return text.removesuffix("\n").split("\n") if text else []


def _keys(found: dict[Place, int], section: Place) -> list[int]:
    return [line for place, line in found.items() if len(place) > len(section) and place[: len(section)] == section]


def _is_header(line: str) -> bool:
    return line.lstrip().startswith("[")


def _header(section: Place) -> str:
    return f"[{'.'.join([section[0], *map(_written, section[1:])])}]"


def _written(value: bool | str) -> str:
    return str(value).lower() if isinstance(value, bool) else json.dumps(str(value), ensure_ascii=False)
