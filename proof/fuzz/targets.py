"""All targets, by name. Each is loaded where it is fed: one needs half of the portal, another nothing at all."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

from .target import Target

TARGETS = {
    "unwrap": "cms.UNWRAP",
    "wrap": "cms.WRAP",
    "message": "mails.MESSAGE",
    "html": "mails.HTML",
    "text": "mails.TEXT",
    "gateway": "mails.GATEWAY",
    "calendar": "mails.CALENDAR",
    "search": "names.SEARCH",
    "token": "names.TOKEN",
    "address": "names.ADDRESS",
    "maildir": "names.MAILDIR",
    "letters": "letters.LETTERS",
    "archive": "archives.ARCHIVE",
    "settings": "policies.SETTINGS",
    "policy": "policies.POLICY",
    "milter": "milter.MILTER",
    "pages": "pages.PAGES",
}
BREAKING = "breaking"
#: With the one that only shows that the fuzzer sees what it should.
ALL = {**TARGETS, BREAKING: "breaking.BREAKS"}


def load(name: str) -> Target:
    """The target of that name."""
    module, _, target = ALL[name].partition(".")
    found = getattr(import_module(f"{__package__}.{module}"), target)
    assert isinstance(found, Target)
    return replace(found, name=name)
