"""Answer a mail or pass it on: who gets the answer, its subject, which mails it belongs to, what it quotes.

Values in, values out. Knows no pages, no settings and no bytes of mail; reply_mail.py writes those. Words for people
come from the caller, in the language of whoever answers.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from . import envelope
from .message import Message, Person, persons

#: RFC 5322 sets no limit to References; what identifies a conversation is its first mail and the last ones.
REFERENCES = 20
SUBJECT_CHARACTERS = 300
QUOTE_CHARACTERS = 100_000
#: Far more than a person types; beyond it the rest isn't looked at.
TYPED_CHARACTERS = 20_000

_ID = re.compile(r"<[!-;=?-~]{1,250}>")
# What mail programs put in front, in the languages met most: some count along, "Re[2]:".
_AGAIN = r"(?:re|aw|antw|antwort|sv|vs|odp|rif|res|回复|回覆)"
_ON = r"(?:fwd?|wg|tr|vl|rv|enc|转发|轉寄)"
_COUNT = r"(?:\s?[\[(]\d{1,3}[\])])?\s?[:：]\s*"
_ANSWERED = re.compile(rf"(?:{_AGAIN}{_COUNT})+", re.IGNORECASE)
_FORWARDED = re.compile(rf"(?:{_ON}{_COUNT})+", re.IGNORECASE)
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_SURPLUS = re.compile(r"\s+")
_QUOTED = re.compile(r"(?:^[^\n>].{0,300}:[ \t]*\n\n?)?(?:^>[^\n]*(?:\n|\Z))+", re.MULTILINE)
_EMPTY_LINES = re.compile(r"\n{3,}")


@dataclass(frozen=True)
class Recipients:
    """Addresses as ``envelope.normal`` spells them."""

    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    #: Who would belong to them and can't be written to from here, as the mail writes them.
    outside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Thread:
    """RFC 5322, 3.6.4: Message-IDs in angle brackets; In-Reply-To may be empty."""

    in_reply_to: str = ""
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class Typed:
    """Addresses out of a field that a person filled in."""

    addresses: tuple[str, ...]
    #: What is no address, as it was typed.
    unclear: tuple[str, ...]


def recipients(message: Message, own: str, own_domains: Collection[str], *, to_all: bool = False) -> Recipients:
    """Who gets an answer to *message*, from the person with the address *own*: people of *own_domains* alone.

    Those its Reply-To names, else its sender (RFC 5322, 3.6.2); with *to_all*, whoever got it as well. An answer to
    a mail of one's own goes to whom that went.
    """
    authors = message.reply_to or message.senders
    if authors and all(_spelled(one.address) == own for one in authors):
        authors = message.to
    sorter = _Sorter(own, own_domains)
    to = sorter.sort(authors)
    cc: tuple[str, ...] = ()
    if to_all:
        others = sorter.sort(message.to)
        cc = sorter.sort(message.cc)
        # With nobody of the authors in reach, the others are who is written to.
        to, cc = (to, (*others, *cc)) if to else (others, cc)
        to, cc = (to, cc) if to else (cc, ())
    return Recipients(to, cc, tuple(sorter.outside))


class _Sorter:
    """Puts each person into one place, the first."""

    def __init__(self, own: str, own_domains: Collection[str]) -> None:
        self._domains = own_domains
        self._seen = {own}
        self.outside: list[str] = []

    def sort(self, people: Iterable[Person]) -> tuple[str, ...]:
        inside: list[str] = []
        for one in people:
            address = _spelled(one.address)
            if (address or one.address) in self._seen:
                continue
            self._seen.add(address or one.address)
            if address and envelope.domain_of(address) in self._domains:
                inside.append(address)
            elif one.address:
                self.outside.append(one.address)
        return tuple(inside)


def _spelled(address: str) -> str:
    try:
        return envelope.normal(address)
    except envelope.AddressError:
        return ""


def typed(text: str) -> Typed:
    """Take apart what somebody typed as recipients: names or not, commas, semicolons or lines between them."""
    value = text[:TYPED_CHARACTERS]
    # Without names in it, spaces separate too: "anna@example.org bob@example.org".
    value = re.sub(r"[\r\n]+" if re.search(r'[<"(]', value) else r"\s+", ",", value)
    addresses: dict[str, None] = {}
    unclear: dict[str, None] = {}
    for one in persons(value.encode("utf-8", "replace")):
        address = _spelled(one.address)
        if one.suspicious:  # two addresses and no comma: neither of them is dropped silently
            unclear[f"{one.name} {one.address}"] = None
        elif address:
            addresses[address] = None
        else:
            unclear[one.address or one.name] = None
    return Typed(tuple(addresses), tuple(unclear))


def subject_of_answer(subject: str) -> str:
    """*subject* with one "Re:" in front, whatever stood there for the same."""
    rest = _ANSWERED.sub("", one_line(subject), count=1) if _ANSWERED.match(one_line(subject)) else one_line(subject)
    return f"Re: {rest}".rstrip()


def subject_of_forward(subject: str) -> str:
    """*subject* with one "Fwd:" in front, whatever stood there for the same."""
    found = _FORWARDED.match(one_line(subject))
    return f"Fwd: {one_line(subject)[found.end() if found else 0 :]}".rstrip()


def one_line(text: str) -> str:
    """*text* as a subject: one line, at most SUBJECT_CHARACTERS."""
    return _SURPLUS.sub(" ", _UNSEEN.sub(" ", text)).strip()[:SUBJECT_CHARACTERS].rstrip()


def thread(message: Message) -> Thread:
    """What an answer to *message* writes into In-Reply-To and References (RFC 5322, 3.6.4)."""
    parent = _ID.findall(message.message_id)[:1]
    before = _ids(message, "references")
    if not before:
        answered = _ids(message, "in-reply-to")
        before = answered if len(answered) == 1 else []
    if not parent:
        return Thread("", ())
    every = [*(one for one in dict.fromkeys(before) if one != parent[0]), parent[0]]
    if len(every) > REFERENCES:
        every = [every[0], *every[-(REFERENCES - 1) :]]
    return Thread(parent[0], tuple(every))


def thread_of(message: Message) -> Thread:
    """The thread that *message* itself is written into, as far as its fields hold Message-IDs."""
    return Thread(next(iter(_ids(message, "in-reply-to")), ""), tuple(_ids(message, "references")[-REFERENCES:]))


def _ids(message: Message, name: str) -> list[str]:
    return next((_ID.findall(value) for key, value in message.headers if key.lower() == name), [])


def quoted(text: str) -> str:
    """*text* with a mark of quotation before each line."""
    cut = text[:QUOTE_CHARACTERS].strip("\n")
    lines = [*cut.split("\n"), *(["[…]"] if len(text) > QUOTE_CHARACTERS else [])]
    return "\n".join(f">{'' if not line or line.startswith('>') else ' '}{line}".rstrip() for line in lines)


def unquoted(text: str) -> str:
    """*text* without the lines that are quoted, and without the line that says whose they are."""
    return _EMPTY_LINES.sub("\n\n", _QUOTED.sub("\n", plain(text))).strip("\n")


def plain(text: str) -> str:
    """What a browser sends of a text, with newlines alone, and without controls."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", "", lines)
