"""Whom people may write to from here: what the settings allow, and what is wrong with what somebody typed.

Values in, values out; the words for it are in compose_words.py.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from messenger import envelope, reply

from .drafts import Draft

if TYPE_CHECKING:
    from messenger.config import Config

#: More than any round of people who must all be told at once.
RECIPIENTS = 50
TEXT_CHARACTERS = 500_000
#: What can be wrong, by the field it is about.
MISSING, UNCLEAR, OUTSIDE, MANY, EMPTY, LONG = "missing", "unclear", "outside", "many", "empty", "long"


@dataclass(frozen=True)
class Fault:
    """Something to mend before a mail can go."""

    kind: str
    #: to, cc, text
    field: str
    #: The addresses it is about.
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rights:
    reply: bool
    reply_all: bool
    #: Write to somebody who hasn't written, and pass mail on.
    write: bool
    domains: tuple[str, ...]
    #: The only ones who may be written to so; with none, everybody in the domains.
    listed: tuple[str, ...] = ()

    def faults(self, draft: Draft, answerable: Collection[str]) -> list[Fault]:
        """What keeps *draft* from going; *answerable* may be written to because of what it answers."""
        found = [fault for field in ("to", "cc") for fault in self._faults_of(field, getattr(draft, field), answerable)]
        every = {one for field in (draft.to, draft.cc) for one in reply.typed(field).addresses}
        if not every and not found:
            found.append(Fault(MISSING, "to"))
        if len(every) > RECIPIENTS:
            found.append(Fault(MANY, "to"))
        if not (draft.text.strip() or draft.files or draft.quote):
            found.append(Fault(EMPTY, "text"))
        if len(draft.text) > TEXT_CHARACTERS:
            found.append(Fault(LONG, "text"))
        return found

    def _faults_of(self, field: str, typed: str, answerable: Collection[str]) -> list[Fault]:
        read = reply.typed(typed)
        outside = tuple(one for one in read.addresses if not (one in answerable or self._may_write_to(one)))
        faults = [Fault(UNCLEAR, field, read.unclear), Fault(OUTSIDE, field, outside)]
        return [fault for fault in faults if fault.addresses]

    def _may_write_to(self, address: str) -> bool:
        if not self.write:
            return False
        return address in self.listed if self.listed else envelope.domain_of(address) in self.domains


def rights_of(config: Config) -> Rights:
    settings = config.reply
    return Rights(
        reply=settings.enabled,
        reply_all=settings.enabled and settings.reply_all,
        write=settings.enabled and settings.compose_to != "off",
        domains=config.site.own_domains,
        listed=settings.compose_list if settings.compose_to == "list" else (),
    )
