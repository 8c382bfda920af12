"""One [[rule]] of the policy's file, as parsed TOML, to a ``Rule``; or complaints, each with its key.

Knows the keys of a rule and what each may hold. What a rule means for a mail is judged elsewhere.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from ..config_forms import Form, is_field_name, octets
from ..envelope import normal
from . import patterns
from .setting_forms import advice, domain_pattern, flag, formed, one_of, shown
from .values import PolicyError, Result, Rule, TextPattern

#: Takes the key (or "") and the sentence.
Wrong = Callable[[str, str], None]

#: A name goes into header fields and log lines.
_NAME_MAX = 100
_COUNT_MAX = 100_000
#: Words become an expression, and one of a whole page takes seconds to make.
_WORD_MAX = 1000


def read_rule(found: Mapping[str, Any], number: int, wrong: Wrong) -> Rule | None:
    """Return the rule that *found* says, the *number*-th of the file, or None after complaints to *wrong*."""
    title = f'rule "{found["name"]}"' if isinstance(found.get("name"), str) else f"rule {number}"
    values: dict[str, Any] = {}
    complaints = 0

    def complain(key: str, text: str) -> None:
        nonlocal complaints
        complaints += 1
        wrong(key, text)

    for key, value in found.items():
        if key not in _FORMS:
            complain(key, f"{title}: {key}: unknown key; {advice(key, _FORMS)}")
            continue
        try:
            values[key] = formed(_FORMS[key], f"{title}: {key}", value)
        except PolicyError as error:
            complain(key, str(error))
    for key in ("name", "result"):
        if key not in found:
            complain("", f"{title}: lacks {key}: expected {_FORMS[key].expected}")
    for key in ("subject_at", "remove_subject"):
        if key in found and "subject" not in found:
            complain(key, f"{title}: {key}: says nothing without subject; add that, or take it out")
    if not complaints and not any(values.get(key) for key in _CONDITIONS):
        complain("", f"{title}: holds for every mail; name one of {', '.join(_CONDITIONS)}, or set encrypt_mode")
    return None if complaints else Rule(**values)


def _line(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > _NAME_MAX:
        raise ValueError(value)
    return value.strip()


def _several(one: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    def parse(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or not value:
            raise ValueError(value)
        return tuple(one(item) for item in value)

    return parse


def _word(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > _WORD_MAX:
        raise ValueError(value)
    return value.strip()


def _party(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return normal(value) if "@" in value else domain_pattern(value)


def _header(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict) or not value:
        raise ValueError(value)
    for name, pattern in value.items():
        if not is_field_name(name.replace("*", "x")) or not isinstance(pattern, str) or not pattern:
            raise PolicyError(f"{name} = {shown(pattern)}")
        patterns.check(pattern)
    return MappingProxyType(dict(value))


def _size(value: Any) -> int:
    if type(value) not in (int, str):
        raise ValueError(value)
    return octets(value)


def _text(value: Any) -> TextPattern:
    found = {"pattern": value} if isinstance(value, str) else value
    if not isinstance(found, dict) or not isinstance(found.get("pattern"), str):
        raise ValueError(value)
    if unknown := found.keys() - {"pattern", "count"}:
        raise PolicyError(f"{unknown.pop()}: unknown key; known here: pattern, count")
    count = found.get("count", 1)
    if type(count) is not int or not 1 <= count <= _COUNT_MAX:
        raise PolicyError(f"count: expected a number from 1 to {_COUNT_MAX}, found {shown(count)}")
    if found["pattern"] not in ("iban", "card") and patterns.expression(found["pattern"]) is None:
        raise PolicyError(f"{shown(found['pattern'])}: {advice(found['pattern'], ('iban', 'card'))}")
    patterns.check(found["pattern"])
    return TextPattern(found["pattern"], count)


_PARTIES = Form('a list of addresses and domains such as ["anna@example.com", "*.example.com"]', _several(_party))

_RESULTS = one_of(*Result)
_FORMS: Mapping[str, Form] = {
    "name": Form(f"a name of at most {_NAME_MAX} printable characters", _line),
    "result": Form(_RESULTS.expected, lambda value: Result(_RESULTS.parse(value))),
    "subject": Form('a list of words such as ["[secure]"], each of at most 1000 characters', _several(_word)),
    "subject_at": one_of("start", "end", "anywhere"),
    "remove_subject": Form("true or false", flag),
    "header": Form('fields with a pattern each, such as { Sensitivity = "company-confidential" }', _header),
    "sender": _PARTIES,
    "recipient": _PARTIES,
    "larger_than": Form('bytes, or a size such as "5 MB"', _size),
    "attachment": Form('a list of file names such as ["*.xlsx"]', _several(_word)),
    "text": Form('a list of "iban", "card", "/expression/" or { pattern = "iban", count = 3 }', _several(_text)),
    "authenticated": Form("true or false", flag),
}
assert list(_FORMS) == [item.name for item in fields(Rule)]

_CONDITIONS = ("subject", "header", "sender", "recipient", "larger_than", "attachment", "text", "authenticated")
