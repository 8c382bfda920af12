"""Judge one mail by the policy's rules, for one recipient, before its body was seen and after.

Values in, values out. On doubt (a mail that can't be read whole, an expression out of time) a rule that protects holds,
and a rule that exempts doesn't. What a verdict says never holds what was found in the mail.
"""

from __future__ import annotations

import logging
from functools import lru_cache

from .conditions import Answer, Facts, Party, conditions, party
from .values import Judgement, Result, Rule, Seen, Verdict

log = logging.getLogger(__name__)

_STRENGTH = {Result.NONE: 0, Result.ALLOW: 1, Result.MANDATORY: 2}


def judge(rules: tuple[Rule, ...], seen: Seen, recipient: str) -> Judgement:
    """Ask *rules* in their order about the mail *seen* on its way to *recipient* (``normal``). Never raises."""
    facts = _facts(seen)
    verdicts: list[Verdict] = []
    whom = party(recipient)
    for one in _compiled(_Same(rules)):
        verdict = one.verdict(facts, whom)
        verdicts.append(verdict)
        if verdict.matched and verdict.result is Result.NONE:
            break
    return _together(verdicts)


def _together(verdicts: list[Verdict]) -> Judgement:
    """The strongest of what holds; and whether the rules that can't tell yet could change it."""
    if all([verdict.matched is False for verdict in verdicts]):  # noqa: C419  (most mails: a list is quicker)
        return Judgement(Result.NONE, (), tuple(verdicts))
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
        self._conditions = tuple(conditions(rule))
        # Most mails fail most rules, each for one of a few reasons.
        self._failed: dict[str, Verdict] = {}

    def verdict(self, facts: Facts, recipient: Party) -> Verdict:
        try:
            return self._verdict(facts, recipient)
        except Exception as error:
            # Whatever a mail does to us: it doesn't get out in clear by that.
            log.warning('gateway: rule "%s" could not be judged: %s', self._rule.name, type(error).__name__)
            matched = self._rule.result is not Result.NONE
            return self._said(matched, "it could not be judged")

    def _verdict(self, facts: Facts, recipient: Party) -> Verdict:
        answers: list[Answer] = []
        for condition in self._conditions:
            answer = condition(facts, recipient)
            if answer.holds is False:
                return self._failed.get(answer.why) or self._remembered(answer.why)
            answers.append(answer)
        unknown = next((answer for answer in answers if answer.holds is None), None)
        if unknown is not None:
            return self._said(None, unknown.why)
        reasons = "; ".join(answer.why for answer in answers)
        if self._rule.result is Result.NONE and any(answer.doubtful for answer in answers):
            return self._said(False, f"in doubt, so it exempts nothing: {reasons}")
        return self._said(True, reasons or "it names nothing, so it holds for every mail")

    def _remembered(self, why: str) -> Verdict:
        verdict = self._said(False, why)
        if len(self._failed) < 64:
            self._failed[why] = verdict
        return verdict

    def _said(self, matched: bool | None, why: str) -> Verdict:
        return Verdict(self._rule.name, matched, self._rule.result, why)


def _facts(seen: Seen) -> Facts:
    # As functools.cached_property does it on a frozen dataclass: it lives as long as the mail.
    facts = vars(seen).get("_facts")
    if not isinstance(facts, Facts):
        facts = vars(seen)["_facts"] = Facts(seen)
    return facts
