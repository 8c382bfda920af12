"""The layers between a mail and the person who looks at it, and what a mail is with some of them off."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from functools import cached_property
from pathlib import Path

from messenger import message
from messenger.message import FRAME_SANDBOX, policy
from messenger_reader.access import HEADERS

SANITISER, POLICY, SANDBOX = "sanitiser", "policy", "sandbox"
LAYERS = (SANITISER, POLICY, SANDBOX)
Layers = frozenset[str]
#: All on; each one off; each one alone; none, which shows that the harness would see it.
COMBINATIONS: tuple[Layers, ...] = (
    frozenset(LAYERS),
    *(frozenset(LAYERS) - {one} for one in LAYERS),
    *(frozenset({one}) for one in LAYERS),
    frozenset(),
)
_HEAD = "<!DOCTYPE html><html><head><meta charset=utf-8></head>"


@dataclass(frozen=True)
class Item:
    """One mail."""

    name: str
    raw: bytes

    @cached_property
    def shown(self) -> str:
        """As the portal shows it."""
        return message.show(self.raw).html

    @cached_property
    def written(self) -> str:
        """As its sender wrote it, around it what makes it a document."""
        html = message.read(self.raw).html
        return self.shown if html is None else _HEAD + html

    def document(self, layers: Layers) -> str:
        return self.shown if SANITISER in layers else self.written


def frame_policy(layers: Layers) -> str:
    """The header of the frame's document; the portal's own with all layers on."""
    rules, _, sandbox = policy(False).partition("; sandbox ")
    assert sandbox == FRAME_SANDBOX
    return "; ".join([rules] * (POLICY in layers) + [f"sandbox {sandbox}"] * (SANDBOX in layers))


def page_policy(layers: Layers) -> str:
    """The header of the page around the frame."""
    return HEADERS["Content-Security-Policy"] if POLICY in layers else ""


def mail_of(html: str) -> bytes:
    """A mail that is this HTML."""
    made = EmailMessage(policy=SMTP)
    made["From"], made["To"], made["Subject"] = "x@evil.test", "alice@example.net", "x"
    made.set_content(re.sub("[\ud800-\udfff]", "\ufffd", html), subtype="html", charset="utf-8", cte="base64")
    return made.as_bytes()


def numbered(vectors: Iterable[tuple[str, str]]) -> list[Item]:
    """Vectors of ours, each with hosts of its own under evil.test, so that what is asked for has a name."""
    return [
        Item(name, mail_of(html.replace("evil.test", f"v{number}.evil.test")))
        for number, (name, html) in enumerate(vectors)
    ]


def read_folder(folder: Path) -> Iterator[Item]:
    """Every .html, .htm and .eml below *folder*."""
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        match path.suffix.lower():
            case ".eml":
                yield Item(name, path.read_bytes())
            case ".html" | ".htm":
                yield Item(name, mail_of(path.read_bytes().decode("utf-8", "replace")))
