"""The policy's text: read it whole, or say all that is wrong with it; and change one setting in it.

Text in, values or text out. Knows nothing of where the file is or when it is read.
"""

import re
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..config_lines import Place, places
from ..config_reading import Reading
from ..envelope import normal
from ..errors import MessengerError
from .policy_lines import put, take_out
from .rule_reading import Wrong, read_rule
from .setting_forms import advice, checked, domain_pattern, known, shown
from .values import Policy, PolicyError, Rule


class Level(StrEnum):
    """Whose word a setting is, by the names of the sections."""

    GLOBAL = "global"
    DOMAIN = "domain"
    USER = "user"


_SECTIONS = (*Level, "rule")
_EXAMPLE = "a section of settings"


def parse(text: str, path: Path) -> Policy:
    """Make a policy of *text*; *path* is what errors name.

    Raises one PolicyError that names everything wrong, with lines, what was expected, and what may have been meant.
    """
    try:
        found = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # beside its own: numbers too long, lists too deep
        raise PolicyError(_syntax(path, text, str(error))) from error
    reading = Reading(path.parent, {})
    policy = _policy(found, reading)
    if reading.errors:
        # Finding lines takes as long as all the rest; done for who needs them.
        reading = Reading(path.parent, places(text))
        _policy(found, reading)
        count = len(reading.errors)
        summary = f"{path}: {count} error{'s' if count > 1 else ''} in the policy; mend:"
        raise PolicyError("\n  ".join([summary, *(text for _, text in sorted(reading.errors))]))
    return policy


def _policy(found: dict[str, Any], reading: Reading) -> Policy:
    for name in found.keys() - set(_SECTIONS):
        reading.wrong((name,), f"[{name}]: unknown section; {advice(name, _SECTIONS)}")
    return Policy(
        everywhere=_settings(found.get(Level.GLOBAL, {}), ("global",), reading),
        domains=_level(found.get(Level.DOMAIN, {}), Level.DOMAIN, reading),
        users=_level(found.get(Level.USER, {}), Level.USER, reading),
        rules=_rules(found.get("rule", []), reading),
    )


def target_of(level: Level, target: str) -> str:
    """Return the one spelling of the domain, wildcard or address that *level* speaks of; raises PolicyError."""
    if level is Level.GLOBAL:
        return ""
    if level is Level.DOMAIN:
        return domain_pattern(target)
    try:
        return normal(target)
    except MessengerError as error:
        raise PolicyError(f'expected an address such as "anna@example.com": {error}') from error


def changed(text: str, level: Level, target: str, name: str, value: bool | str | None) -> str:
    """Set *name* for *target* in the policy's *text*, or with None take it out; everything else stays as written.

    Raises PolicyError for a name, value or target that can't be, and for text that is no policy.
    """
    known(name)
    target = target_of(level, target)
    if value is not None:
        value = checked(name, value)
    old = parse(text, Path("the policy"))
    wanted = _with(old, level, target, name, value)
    if wanted == _spoken(old):
        return text
    section = _section(text, level, target)
    new = take_out(text, section, name) if value is None else put(text, section, name, value)
    if _understood(new) != wanted:
        raise PolicyError(f"[{level}]: {name} stands there in a way that only an editor can change; use one")
    return new


#: What is said at all: sections, by their names as ``normal``, to their settings.
_Spoken = dict[tuple[Level, str], dict[str, bool | str]]


def _spoken(policy: Policy) -> tuple[_Spoken, tuple[Rule, ...]]:
    said = {(Level.GLOBAL, ""): dict(policy.everywhere)}
    said |= {(Level.DOMAIN, target): dict(settings) for target, settings in policy.domains.items()}
    said |= {(Level.USER, target): dict(settings) for target, settings in policy.users.items()}
    return {place: settings for place, settings in said.items() if settings}, policy.rules


def _with(
    policy: Policy, level: Level, target: str, name: str, value: bool | str | None
) -> tuple[_Spoken, tuple[Rule, ...]]:
    said, rules = _spoken(policy)
    settings = {key: old for key, old in said.pop((level, target), {}).items() if key != name}
    if value is not None:
        settings[name] = value
    return said | ({(level, target): settings} if settings else {}), rules


def _understood(text: str) -> tuple[_Spoken, tuple[Rule, ...]] | None:
    try:
        return _spoken(parse(text, Path("the policy")))
    except PolicyError:
        return None


def _section(text: str, level: Level, target: str) -> Place:
    """The section of *target* as it is spelled in *text*; where it isn't, as it should be."""
    if level is Level.GLOBAL:
        return (str(level),)
    spelled = next((key for key in tomllib.loads(text).get(level, {}) if target_of(level, key) == target), target)
    return str(level), spelled


def _level(found: Any, level: Level, reading: Reading) -> Mapping[str, Mapping[str, bool | str]]:
    place = (str(level),)
    if not isinstance(found, dict):
        reading.wrong(place, f"[{level}]: expected {_EXAMPLE} for each {level}, found {shown(found)}")
        return {}
    by_target: dict[str, Mapping[str, bool | str]] = {}
    written: dict[str, str] = {}
    for key, settings in found.items():
        try:
            target = target_of(level, key)
        except PolicyError as error:
            reading.wrong((*place, key), f'[{level}."{key}"]: {error}')
            continue
        if target in by_target:
            reading.wrong((*place, key), f'[{level}."{key}"]: the same as "{written[target]}"; put both together')
        written[target] = key
        by_target[target] = _settings(settings, (*place, key), reading)
    return by_target


def _settings(found: Any, place: Place, reading: Reading) -> Mapping[str, bool | str]:
    section = f'[{place[0]}."{place[1]}"]' if len(place) > 1 else f"[{place[0]}]"
    if not isinstance(found, dict):
        reading.wrong(place, f"{section}: expected {_EXAMPLE}, found {shown(found)}")
        return {}
    settings: dict[str, bool | str] = {}
    for name, value in found.items():
        try:
            settings[name] = checked(name, value)
        except PolicyError as error:
            reading.wrong((*place, name), f"{section} {error}")
    return settings


def _rules(found: Any, reading: Reading) -> tuple[Rule, ...]:
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        reading.wrong(("rule",), f"[[rule]]: expected sections of rules, each under [[rule]], found {shown(found)}")
        return ()
    rules: dict[str, Rule] = {}
    for number, one in enumerate(found):
        place = ("rule", str(number))

        rule = read_rule(one, number + 1, _at(place, reading))
        if rule is not None and rule.name in rules:
            reading.wrong((*place, "name"), f'rule "{rule.name}": another rule has that name; name each differently')
        elif rule is not None:
            rules[rule.name] = rule
    return tuple(rules.values())


def _at(place: Place, reading: Reading) -> Wrong:
    return lambda key, text: reading.wrong((*place, key) if key else place, text)


def _syntax(path: Path, text: str, error: str) -> str:
    at = re.search(r"line (\d+)", error)
    line = at[1] if at else text.count("\n") + 1
    reason = re.sub(r" \(at .*\)$", "", error)
    return f'{path}, line {line}: not TOML ({reason}). A setting looks like: encrypt_mode = "mandatory"'
