"""What a rule may ask of a mail: each condition made once into a function that answers for any mail.

Cheap ones come first. An answer says what was asked for and where it stood, never what was found.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

from ..message import clean, headers
from . import patterns, subject, text
from .values import Rule, Seen, TextPattern

log = logging.getLogger(__name__)

#: Seconds for one own expression in one mail.
LIMIT = 1.0
#: Bytes of a header field, and of all that have a name with ``*``, that are looked at.
FIELD = 16_384
FIELDS = 262_144


@dataclass(frozen=True)
class Answer:
    """What one condition says of a mail."""

    #: None: it can't tell before the body was seen.
    holds: bool | None
    why: str
    doubtful: bool = False


#: An address in lower case, and its domain.
Party = tuple[str, str]
Condition = Callable[["Facts", Party], Answer]


class Facts:
    """What was found out about one mail, for all rules and recipients that ask; each thing once."""

    def __init__(self, seen: Seen) -> None:
        self.sender = party(seen.mail_from)
        self.authenticated = seen.authenticated
        self.headers = seen.headers
        self.names = [name.lower() for name, _ in seen.headers]
        self.raw = seen.raw
        self._content: text.Content | None = None
        self._subjects: list[str] | None = None
        self._remembered: dict[Hashable, Answer] = {}

    @property
    def subjects(self) -> list[str]:
        if self._subjects is None:
            self._subjects = list(map(subject.text, self.values("subject")))
        return self._subjects

    @property
    def content(self) -> text.Content:
        """Texts and names of files, once the body was seen."""
        if self._content is None:
            assert self.raw is not None
            self._content = text.content_of(self.raw)
        return self._content

    def values(self, name: str) -> list[bytes]:
        """Values of the fields called *name*, in lower case."""
        return [self.headers[at][1] for at, key in enumerate(self.names) if key == name]

    def values_like(self, name: str) -> list[bytes]:
        """Values of the fields whose name fits the glob *name*."""
        begin = re.split(r"[*?]", name)[0].lower()
        if not any([key.startswith(begin) for key in self.names]):  # noqa: C419  (a list is quicker)
            return []
        glob = patterns.glob(name)
        return [value for key, value in self.headers if glob.fullmatch(key)]

    def remembered(self, key: Hashable, find: Callable[[Facts], Answer]) -> Answer:
        """The answer to *key*, found out at most once in a mail: each of a hundred recipients asks."""
        answer = self._remembered.get(key)
        if answer is None:
            answer = self._remembered[key] = find(self)
        return answer


def party(address: str) -> Party:
    address = address.lower()
    return address, address.rpartition("@")[2].rstrip(".")


def conditions(rule: Rule) -> Iterable[Condition]:
    """Yield what must hold for *rule* to hold, in the order of what it costs to find out."""
    if rule.authenticated:
        yield _is_authenticated
    if rule.sender:
        yield _listed("sender", rule.sender)
    if rule.recipient:
        yield _listed("recipient", rule.recipient)
    if rule.subject:
        yield _subject(rule.subject, rule.subject_at)
    for name, pattern in rule.header.items():
        yield _header(name, pattern)
    if rule.larger_than:
        yield _larger(rule.larger_than)
    if rule.attachment:
        yield _attachment(rule.attachment)
    if rule.text:
        yield _text(rule.text)


def _is_authenticated(facts: Facts, recipient: Party) -> Answer:
    return _LOGGED_IN if facts.authenticated else _NOT_LOGGED_IN


_LOGGED_IN = Answer(True, "the client has logged in")
_NOT_LOGGED_IN = Answer(False, "the client has not logged in")
_NO_BODY_YET = Answer(None, "the body has to be seen first")


def _listed(side: str, listed: tuple[str, ...]) -> Condition:
    is_sender = side == "sender"
    exact = {one.lower(): one for one in listed if not one.startswith("*.")}
    suffixes = [(one[1:].lower(), one) for one in listed if one.startswith("*.")]
    yes = {one: Answer(True, f"the {side} is in {one}" if "@" not in one else f"the {side} is {one}") for one in listed}
    no = Answer(False, f"the {side} is not in the list")

    def answer(facts: Facts, recipient: Party) -> Answer:
        address, domain = facts.sender if is_sender else recipient
        found = exact.get(address) or exact.get(domain)
        if found is None:
            found = next((pattern for suffix, pattern in suffixes if domain.endswith(suffix)), None)
        return yes[found] if found else no

    return answer


def _subject(words: tuple[str, ...], place: str) -> Condition:
    where = {"start": "begins with", "end": "ends with"}.get(place, "holds")
    no = Answer(False, f"the subject {where} none of its words")
    stands = subject.finder(words, place)
    yes = [(subject.finder((word,), place), Answer(True, f'the subject {where} "{word}"')) for word in words]

    def answer(facts: Facts, recipient: Party) -> Answer:
        for line in facts.subjects:
            if stands(line):
                return next((said for one, said in yes if one(line)), no)
        return no

    return answer


def _header(name: str, pattern: str) -> Condition:
    plain = name.lower() if "*" not in name else None
    matching = _value_matcher(pattern)
    yes = Answer(True, f"{name}: like {pattern}")
    no = Answer(False, f"{name}: none like {pattern}")
    late = Answer(True, f"{name}: no answer from {pattern} in time, which counts as found", doubtful=True)
    long = Answer(True, f"{name}: too long to look for {pattern}, which counts as found", doubtful=True)

    def find(facts: Facts) -> Answer:
        until = time.monotonic() + LIMIT
        left = FIELDS
        for value in facts.values(plain) if plain else facts.values_like(name):
            left -= len(value)
            if left < 0 or len(value) > FIELD:
                return long
            try:
                if matching(_field_text(value), until):
                    return yes
            except TimeoutError:
                log.warning("gateway: %s of the field %s took longer than %g s", pattern, name, LIMIT)
                return late
        return no

    key = ("header", name, pattern)

    def answer(facts: Facts, recipient: Party) -> Answer:
        if plain is not None and plain not in facts.names:
            return no
        return facts.remembered(key, find)

    return answer


def _field_text(value: bytes) -> str:
    if value.isascii() and b"=?" not in value and b"  " not in value:
        words = value.decode("ascii")
        if words.isprintable():  # nearly every field
            return words.strip()
    return clean.line(headers.words(headers.loose(value)), FIELD)


def _value_matcher(pattern: str) -> Callable[[str, float], bool]:
    """A glob fits the whole value; an expression any part of it, until a moment of the monotonic clock."""
    inside = patterns.expression(pattern)
    if inside is None:
        whole: re.Pattern[str] = patterns.glob(pattern)
        return lambda value, until: whole.fullmatch(value) is not None
    return lambda value, until: patterns.stands_in(inside, value, until)


def _larger(limit: int) -> Condition:
    yes, no = Answer(True, f"larger than {limit} bytes"), Answer(False, f"not larger than {limit} bytes")

    def answer(facts: Facts, recipient: Party) -> Answer:
        return _NO_BODY_YET if facts.raw is None else yes if len(facts.raw) > limit else no

    return answer


def _attachment(globs: tuple[str, ...]) -> Condition:
    names = [(one, patterns.glob(one)) for one in globs]

    def find(facts: Facts) -> Answer:
        for glob, pattern in names:
            if count := sum(pattern.fullmatch(name) is not None for name in facts.content.names):
                return Answer(True, f"{count} attached like {glob}")
        if not facts.content.whole:
            return Answer(True, "not all of the mail could be read, which counts as found", doubtful=True)
        return Answer(False, "nothing of these names is attached")

    def answer(facts: Facts, recipient: Party) -> Answer:
        return _NO_BODY_YET if facts.raw is None else facts.remembered(("attachment", globs), find)

    return answer


def _text(wanted: tuple[TextPattern, ...]) -> Condition:
    def find(facts: Facts) -> Answer:
        doubt: Answer | None = None
        for one in wanted:
            said = _counted(one, facts.content)
            if said.holds and not said.doubtful:
                return said
            doubt = doubt or (said if said.holds else None)
        return doubt or Answer(False, "the text holds too few of what it names")

    def answer(facts: Facts, recipient: Party) -> Answer:
        return _NO_BODY_YET if facts.raw is None else facts.remembered(("text", wanted), find)

    return answer


def _counted(wanted: TextPattern, content: text.Content) -> Answer:
    found: set[str] = set()
    places: dict[str, None] = {}
    until = time.monotonic() + LIMIT
    try:
        for one in content.texts:
            if here := patterns.different(wanted.pattern, one.words, until):
                found |= here
                places[one.place] = None
    except TimeoutError:
        log.warning("gateway: counting %s took longer than %g s", wanted.pattern, LIMIT)
        return Answer(True, f"{wanted.pattern}: no end of counting in time, which counts as found", doubtful=True)
    if len(found) >= wanted.count:
        return Answer(
            True, f"{wanted.pattern}: {len(found)} different in {', '.join(places)}, {wanted.count} set it off"
        )
    if not content.whole:
        return Answer(
            True, f"{wanted.pattern}: not all of the mail could be read, which counts as found", doubtful=True
        )
    return Answer(False, f"{wanted.pattern}: {len(found)} different, {wanted.count} would set it off")
