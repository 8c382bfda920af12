"""Judge one mail by the policy's rules, for one recipient, before its body was seen and after.

Values in, values out. On doubt (a mail that can't be read whole, an expression out of time) a rule that protects holds,
and a rule that exempts doesn't. What a verdict says never holds what was found in the mail.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..message import clean, headers
from . import patterns, subject, text
from .values import Judgement, Result, Rule, Seen, TextPattern, Verdict

log = logging.getLogger(__name__)

#: Seconds for one own expression in one mail.
LIMIT = 1.0
#: Bytes of a header field, and of all that have a name with ``*``, that are looked at.
FIELD = 16_384
FIELDS = 262_144

_STRENGTH = {Result.NONE: 0, Result.ALLOW: 1, Result.MANDATORY: 2}


@dataclass(frozen=True)
class Answer:
    """What one condition says of a mail."""

    #: None: it can't tell before the body was seen.
    holds: bool | None
    why: str
    doubtful: bool = False


_Condition = Callable[["Facts", str], Answer]


def judge(rules: tuple[Rule, ...], seen: Seen, recipient: str) -> Judgement:
    """Ask *rules* in their order about the mail *seen* on its way to *recipient* (``normal``). Never raises."""
    facts = _facts(seen)
    verdicts: list[Verdict] = []
    for one in _compiled(_Same(rules)):
        verdict = one.verdict(facts, recipient)
        verdicts.append(verdict)
        if verdict.matched and verdict.result is Result.NONE:
            break
    return _together(verdicts)


def _together(verdicts: list[Verdict]) -> Judgement:
    """The strongest of what holds; and whether the rules that can't tell yet could change it."""
    result = Result.NONE
    # Which results are still possible: of those whose asking has ended, and of those where it goes on.
    ended: set[Result] = set()
    going = {Result.NONE}
    for verdict in verdicts:
        if verdict.matched is False:
            continue
        if verdict.matched:
            result = max(result, verdict.result, key=_STRENGTH.__getitem__)
        if verdict.result is Result.NONE:
            ended |= going
            going = set() if verdict.matched else going
        else:
            stronger = {max(one, verdict.result, key=_STRENGTH.__getitem__) for one in going}
            going = stronger if verdict.matched else going | stronger
    names = tuple(verdict.rule for verdict in verdicts if verdict.matched and verdict.result is result)
    return Judgement(result, names, tuple(verdicts), needs_body=len(ended | going) > 1)


class _Same:
    """A key that is the object itself: rules hold mappings, which have no hash."""

    __slots__ = ("rules",)

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.rules = rules

    def __hash__(self) -> int:
        return id(self.rules)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.rules is other.rules


# The policy's rules are one object until its file changes.
@lru_cache(8)
def _compiled(same: _Same) -> tuple[_Compiled, ...]:
    return tuple(map(_Compiled, same.rules))


class _Compiled:
    """A rule, its conditions in the order of what they cost."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._conditions = tuple(_conditions(rule))
        # Most mails fail most rules, each for one of a few reasons.
        self._verdicts: dict[str, Verdict] = {}

    def verdict(self, facts: Facts, recipient: str) -> Verdict:
        try:
            return self._verdict(facts, recipient)
        except Exception as error:
            # Whatever a mail does to us: it doesn't get out in clear by that.
            log.warning('gateway: rule "%s" could not be judged: %s', self._rule.name, type(error).__name__)
            matched = self._rule.result is not Result.NONE
            return self._said(matched, "it could not be judged")

    def _verdict(self, facts: Facts, recipient: str) -> Verdict:
        reasons: list[str] = []
        unknown: Answer | None = None
        doubtful = False
        for condition in self._conditions:
            answer = condition(facts, recipient)
            if answer.holds is False:
                return self._failed(answer.why)
            if answer.holds is None:
                unknown = answer
            doubtful = doubtful or answer.doubtful
            reasons.append(answer.why)
        if unknown is not None:
            return self._said(None, unknown.why)
        if doubtful and self._rule.result is Result.NONE:
            return self._said(False, f"in doubt, so it exempts nothing: {'; '.join(reasons)}")
        return self._said(True, "; ".join(reasons) or "it names nothing, so it holds for every mail")

    def _failed(self, why: str) -> Verdict:
        verdict = self._verdicts.get(why)
        if verdict is None:
            verdict = self._said(False, why)
            if len(self._verdicts) < 64:
                self._verdicts[why] = verdict
        return verdict

    def _said(self, matched: bool | None, why: str) -> Verdict:
        return Verdict(self._rule.name, matched, self._rule.result, why)


class Facts:
    """What was found out about one mail, for all rules and recipients that ask; each thing once."""

    def __init__(self, seen: Seen) -> None:
        self.mail_from = seen.mail_from
        self.authenticated = seen.authenticated
        self.headers: dict[str, list[bytes]] = {}
        for name, value in seen.headers:
            self.headers.setdefault(name.lower(), []).append(value)
        self.subjects = [subject.text(value) for value in self.headers.get("subject", ())]
        self.raw = seen.raw
        self._content: text.Content | None = None
        self._remembered: dict[Any, Answer] = {}

    @property
    def content(self) -> text.Content:
        """Texts and names of files, once the body was seen."""
        if self._content is None:
            assert self.raw is not None
            self._content = text.content_of(self.raw)
        return self._content

    def remembered(self, key: Any, found: Callable[[], Answer]) -> Answer:
        """The answer to *key*, found out at most once in a mail: each of a hundred recipients asks."""
        if key not in self._remembered:
            self._remembered[key] = found()
        return self._remembered[key]


def _facts(seen: Seen) -> Facts:
    # As functools.cached_property does it on a frozen dataclass: it lives as long as the mail.
    facts = vars(seen).get("_facts")
    if not isinstance(facts, Facts):
        facts = vars(seen)["_facts"] = Facts(seen)
    return facts


def _conditions(rule: Rule) -> Iterable[_Condition]:
    if rule.authenticated:
        yield _is_authenticated
    if rule.sender:
        yield _party("sender", rule.sender)
    if rule.recipient:
        yield _party("recipient", rule.recipient)
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


def _is_authenticated(facts: Facts, recipient: str) -> Answer:
    return _LOGGED_IN if facts.authenticated else _NOT_LOGGED_IN


_LOGGED_IN = Answer(True, "the client has logged in")
_NOT_LOGGED_IN = Answer(False, "the client has not logged in")
_NO_BODY_YET = Answer(None, "the body has to be seen first")


def _party(side: str, listed: tuple[str, ...]) -> _Condition:
    exact = {one.lower(): one for one in listed if not one.startswith("*.")}
    suffixes = [(one[1:].lower(), one) for one in listed if one.startswith("*.")]
    yes = {one: Answer(True, f"the {side} is in {one}" if "@" not in one else f"the {side} is {one}") for one in listed}
    no = Answer(False, f"the {side} is not in the list")

    def answer(facts: Facts, recipient: str) -> Answer:
        address = (facts.mail_from if side == "sender" else recipient).lower()
        domain = address.rpartition("@")[2].rstrip(".")
        found = exact.get(address) or exact.get(domain)
        if found is None:
            found = next((pattern for suffix, pattern in suffixes if domain.endswith(suffix)), None)
        return yes[found] if found else no

    return answer


def _subject(words: tuple[str, ...], place: str) -> _Condition:
    where = {"start": "begins with", "end": "ends with"}.get(place, "holds")
    no = Answer(False, f"the subject {where} none of its words")
    yes = [(word, Answer(True, f'the subject {where} "{word}"')) for word in words]

    def answer(facts: Facts, recipient: str) -> Answer:
        for line in facts.subjects:
            if subject.hits(line, words, place):
                return next((said for word, said in yes if subject.hits(line, (word,), place)), no)
        return no

    return answer


def _header(name: str, pattern: str) -> _Condition:
    named = patterns.glob(name) if "*" in name else None
    matching = _value_matcher(pattern)
    yes = Answer(True, f"{name}: like {pattern}")
    no = Answer(False, f"{name}: none like {pattern}")
    late = Answer(True, f"{name}: no answer from {pattern} in time, which counts as found", doubtful=True)
    long = Answer(True, f"{name}: too long to look for {pattern}, which counts as found", doubtful=True)

    def find(facts: Facts) -> Answer:
        until = time.monotonic() + LIMIT
        left = FIELDS
        for key, values in facts.headers.items():
            if not (named.fullmatch(key) if named else key == name.lower()):
                continue
            for value in values:
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

    def answer(facts: Facts, recipient: str) -> Answer:
        if named is None and name.lower() not in facts.headers:
            return no
        return facts.remembered(key, lambda: find(facts))

    return answer


def _field_text(value: bytes) -> str:
    return clean.line(headers.words(headers.loose(value)), FIELD)


def _value_matcher(pattern: str) -> Callable[[str, float], bool]:
    """A glob fits the whole value; an expression any part of it, until a moment of the monotonic clock."""
    inside = patterns.expression(pattern)
    if inside is None:
        whole: re.Pattern[str] = patterns.glob(pattern)
        return lambda value, until: whole.fullmatch(value) is not None
    return lambda value, until: patterns.stands_in(inside, value, until)


def _larger(limit: int) -> _Condition:
    yes, no = Answer(True, f"larger than {limit} bytes"), Answer(False, f"not larger than {limit} bytes")

    def answer(facts: Facts, recipient: str) -> Answer:
        return _NO_BODY_YET if facts.raw is None else yes if len(facts.raw) > limit else no

    return answer


def _attachment(globs: tuple[str, ...]) -> _Condition:
    names = [(one, patterns.glob(one)) for one in globs]

    def find(facts: Facts) -> Answer:
        for glob, pattern in names:
            if count := sum(pattern.fullmatch(name) is not None for name in facts.content.names):
                return Answer(True, f"{count} attached like {glob}")
        if not facts.content.whole:
            return Answer(True, "not all of the mail could be read, which counts as found", doubtful=True)
        return Answer(False, "nothing of these names is attached")

    def answer(facts: Facts, recipient: str) -> Answer:
        return _NO_BODY_YET if facts.raw is None else facts.remembered(("attachment", globs), lambda: find(facts))

    return answer


def _text(wanted: tuple[TextPattern, ...]) -> _Condition:
    def find(facts: Facts) -> Answer:
        doubt: Answer | None = None
        for one in wanted:
            said = _counted(one, facts.content)
            if said.holds and not said.doubtful:
                return said
            doubt = doubt or (said if said.holds else None)
        return doubt or Answer(False, "the text holds too few of what it names")

    def answer(facts: Facts, recipient: str) -> Answer:
        return _NO_BODY_YET if facts.raw is None else facts.remembered(("text", wanted), lambda: find(facts))

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
