"""The forms that settings of the policy may have, in the file, in a table and on the command line; and whose they are.

Knows each setting by name and what its value may be. Knows nothing of levels, files or Postfix.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from .. import config_reading
from ..config_forms import Form, address_or_nothing, domain
from ..errors import MessengerError
from .values import EncryptMode, PolicyError, Settings

_YES = ("yes", "true", "on", "1")
_NO = ("no", "false", "off", "0")


def flag(value: Any) -> bool:
    """Accept true and false, and no number in their place."""
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def one_of(*words: str) -> Form:
    """Make the form of one word of several; the complaint names the nearest."""

    def parse(value: Any) -> str:
        if value not in words:
            raise ValueError(near(str(value), words))
        return str(value)

    return Form(", ".join(words[:-1]) + " or " + words[-1], parse)


def _address(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return address_or_nothing(value)


_FLAG = Form("true or false", flag)
_ADDRESS = Form('a mail address, or "" for that of [tunnel]', _address)
_MODE = one_of(*EncryptMode)

#: By name, in the order in which they are shown.
FORMS: Mapping[str, Form] = {
    item.name: _FLAG if isinstance(item.default, bool) else _ADDRESS if item.default == "" else _MODE
    for item in fields(Settings)
}


def checked(name: str, value: Any) -> bool | str:
    """Return *value* as it is used under *name*, or raise PolicyError with what was expected."""
    known(name)
    found: bool | str = formed(FORMS[name], name, value)
    return found


def formed(form: Form, what: str, value: Any) -> Any:
    """Return what *form* makes of *value*; PolicyError names *what*, what was expected, what was found."""
    try:
        return form.parse(value)
    except (ValueError, KeyError, TypeError, AttributeError, MessengerError) as error:
        reason = str(error) if isinstance(error, MessengerError) else ""
        near_one = f"; did you mean {error.args[0]}?" if _names_one(form, error) else ""
        raise PolicyError(
            f"{what}: expected {form.expected}, found {shown(value)}{near_one}{f' ({reason})' if reason else ''}"
        ) from error


def _names_one(form: Form, error: Exception) -> bool:
    return isinstance(error, ValueError) and bool(error.args) and error.args[0] in form.expected.split(" ")


def said(name: str, text: str) -> bool | str:
    """Return what *text* means as the value of *name*: in tables and on the command line nothing is quoted."""
    known(name)
    if isinstance(getattr(Settings, name), bool):
        word = text.strip().lower()
        if word not in _YES + _NO:
            raise PolicyError(f"{name}: expected yes or no (true or false), found {shown(text)}")
        return word in _YES
    return checked(name, text.strip())


def known(name: str) -> None:
    """Raise PolicyError for what is no setting, naming the nearest."""
    if name not in FORMS:
        raise PolicyError(f"{name}: unknown setting; {advice(name, FORMS)}")


def advice(name: str, words: Iterable[str]) -> str:
    """Say what *name* may have been meant to be, or what there is."""
    words = list(words)
    nearest = near(name, words)
    return f"did you mean {nearest}?" if nearest else f"known here: {', '.join(words)}"


def near(word: str, words: Iterable[str]) -> str:
    """Return the one of *words* that *word* looks like, or ""."""
    found = difflib.get_close_matches(word.lower().replace("-", "_"), {one.replace("-", "_"): one for one in words}, 1)
    return next((one for one in words if found and one.replace("-", "_") == found[0]), "")


def domain_pattern(text: str) -> str:
    """Return a domain, or "*." and a domain, in A-labels and lower case; raises PolicyError."""
    stars, bare = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    try:
        if "@" in bare or bare.strip() != bare:
            raise ValueError(text)
        return stars + domain(bare)
    except (ValueError, MessengerError) as error:
        hint = "; what holds for all stands in [global]" if text in ("*", "*.", ".") else ""
        raise PolicyError(
            f'expected a domain such as "example.com" or "*.example.com", found {text!r}{hint}'
        ) from error


def shown(value: Any) -> str:
    """Write a value as TOML would, cut short."""
    if isinstance(value, str) and '"' not in value:
        return f'"{value}"' if len(value) <= 78 else f'"{value[:76]}...'
    return config_reading.shown(value)
