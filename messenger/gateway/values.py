"""The gateway's words: settings with their origin, rules, what a mail shows of itself, and what is decided about it.

Values only. Knows nothing of files, Postfix or keys.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ..errors import MessengerError


class PolicyError(MessengerError):
    """The policy can't be used as it stands. Names the place and what to write there."""


class EncryptMode(enum.StrEnum):
    """What a site wants of mail from or to an address."""

    NO_ENCRYPTION = "no-encryption"
    ALLOW = "allow"
    MANDATORY = "mandatory"
    FORCE = "force"


class Result(enum.StrEnum):
    """What a rule says about a mail."""

    NONE = "none"
    ALLOW = "allow"
    MANDATORY = "mandatory"


class Way(enum.StrEnum):
    """How a mail goes to one recipient."""

    #: Untouched: nothing asks for protection, or it goes to a domain of ours.
    CLEAR = "clear"
    #: Untouched, since its content is encrypted already.
    ENCRYPTED = "encrypted"
    SMIME = "smime"
    #: Left to the filter that the settings name.
    PGP = "pgp"
    #: A tunnel mail with the option otp-pdf.
    PDF = "pdf"
    WEBMAIL = "webmail"
    #: Must be protected, and there is no way to.
    REFUSE = "refuse"


@dataclass(frozen=True)
class Settings:
    """What a level may say, by the gateway's known names; the defaults are the factory's."""

    enabled: bool = False
    encrypt_mode: EncryptMode = EncryptMode.ALLOW
    only_if_mandatory: bool = True
    read_receipt: bool = False
    otp_enabled: bool = False
    #: Empty: those of [tunnel].
    webmail_recipient: str = ""
    webmail_sender: str = ""


@dataclass(frozen=True)
class Setting:
    """One setting as it holds for somebody, and where that was said."""

    name: str
    value: bool | str
    #: "factory", "global", "domain *.example.com", "user anna@example.com"; a table's answer has its name behind.
    origin: str


@dataclass(frozen=True)
class TextPattern:
    """Something to count in a mail's text."""

    #: "iban", "card", or an own expression between slashes.
    pattern: str
    #: So many different ones, and the rule speaks.
    count: int = 1


@dataclass(frozen=True)
class Rule:
    """One rule. Everything it names must hold (and); of several values in one list, one must (or)."""

    name: str
    result: Result
    #: Words in the subject, as they are written, without regard to case.
    subject: tuple[str, ...] = ()
    #: "start", "end" or "anywhere".
    subject_at: str = "anywhere"
    remove_subject: bool = True
    #: Name of a header field (may hold ``*``) to a pattern of its value: a glob, or an expression between slashes.
    header: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    #: Addresses, domains, "*.example.com"; of sender and recipient.
    sender: tuple[str, ...] = ()
    recipient: tuple[str, ...] = ()
    #: Bytes; mails larger than that.
    larger_than: int = 0
    #: Globs of file names.
    attachment: tuple[str, ...] = ()
    text: tuple[TextPattern, ...] = ()
    #: Only mail of clients that have logged in to Postfix.
    authenticated: bool = False


@dataclass(frozen=True)
class Policy:
    """The whole of gateway.toml; names of settings to values, as far as each level says anything."""

    everywhere: Mapping[str, bool | str] = field(default_factory=lambda: MappingProxyType({}))
    #: By domain in A-labels, or "*." and a domain.
    domains: Mapping[str, Mapping[str, bool | str]] = field(default_factory=lambda: MappingProxyType({}))
    #: By ``normal`` address.
    users: Mapping[str, Mapping[str, bool | str]] = field(default_factory=lambda: MappingProxyType({}))
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Seen:
    """What is known of a mail so far."""

    #: ``normal`` addresses; "" is the null sender. An address that ``normal`` refuses stands as the client sent it.
    mail_from: str
    rcpt_tos: tuple[str, ...]
    #: Header fields in their order: name, and value as bytes, unfolded.
    headers: tuple[tuple[str, bytes], ...] = ()
    authenticated: bool = False
    #: The whole message, once its end was seen.
    raw: bytes | None = None

    def values(self, name: str) -> list[bytes]:
        """Values of the fields called *name*, in whatever case."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass(frozen=True)
class Verdict:
    """What one rule said."""

    rule: str
    #: None: it can't tell before the body was seen.
    matched: bool | None
    result: Result
    #: For a person: which word stood where, never the content it matched.
    why: str


@dataclass(frozen=True)
class Judgement:
    """What the rules said together: the strongest of those that matched."""

    result: Result
    #: Names of the rules that made it so.
    rules: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    #: A rule that could still make it stronger has to see the body.
    needs_body: bool = False


@dataclass(frozen=True)
class Choice:
    """How a mail goes to one recipient, and why."""

    #: As the client sent it.
    recipient: str
    way: Way
    #: Of a tunnel mail: read-receipt, otp-pdf.
    options: frozenset[str] = frozenset()
    #: Names of rules that spoke.
    rules: tuple[str, ...] = ()
    webmail_sender: str = ""
    webmail_recipient: str = ""
    #: Each step from settings and rules to the way, in words, in order.
    proof: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """What is to be done with one mail."""

    choices: tuple[Choice, ...]
    #: The way of somebody hangs on the body, or changing the mail needs it; asked again with it.
    needs_body: bool = False
    #: Words to take out of the subject, as they stand in it.
    remove: tuple[str, ...] = ()


def matches(pattern: str, value: str) -> bool:
    """Whether *value* is what *pattern* means: a glob of ``*`` and ``?`` over the whole, without regard to case."""
    words = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    return re.fullmatch(words, value, re.IGNORECASE | re.DOTALL) is not None
