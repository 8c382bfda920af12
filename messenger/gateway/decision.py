"""Decide how one mail goes to each of its recipients, and say why: values in, values out.

Knows what settings, rules and keys together mean (docs/policy.md). Knows no files, no Postfix, no CMS: whoever asks
hands in what looks those up. Where anything says that a mail must be protected, clear text is no answer.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from ..envelope import AddressError, normal
from . import subject
from .lookup import Levels
from .values import Choice, Decision, EncryptMode, Judgement, Result, Rule, Seen, Setting, Way

_READ_RECEIPT = "read-receipt"
_OTP_PDF = "otp-pdf"
_KEYS = (Way.SMIME, Way.PGP)
_TUNNEL = (Way.PDF, Way.WEBMAIL)
#: Of an address that names a way; one that names more is no person's.
_HOPS = 10


@dataclass(frozen=True)
class Ground:
    """What decisions about mails of one client stand on."""

    levels: Levels
    rules: tuple[Rule, ...]
    #: In A-labels and lower case.
    own_domains: Collection[str]
    #: Names of ways: which is tried first. What isn't named is never taken.
    order: Sequence[str]
    #: Whether there is a certificate, or a key and a filter, for a ``normal`` address.
    certificates: Callable[[str], bool]
    pgp: Callable[[str], bool]
    #: Of [tunnel]: what stands where the policy names none.
    webmail_sender: str
    webmail_recipient: str
    judge: Callable[[tuple[Rule, ...], Seen, str], Judgement]
    #: Whether a mail is encrypted already.
    encrypted: Callable[[bytes], bool]
    #: ``normal`` addresses that tunnel mails go to; the tunnel is not wrapped again.
    webmail_recipients: Collection[str] = field(default_factory=frozenset)
    #: Senders of Messenger's own mail, where it comes from a host of Messenger's; else nothing.
    exempt_senders: Collection[str] = field(default_factory=frozenset)


def decide(seen: Seen, ground: Ground) -> Decision:
    """Choose a way for each of ``seen.rcpt_tos``: as many choices, in their order, each named as it stands there.

    Without ``seen.raw`` the choices hold only if the decision doesn't need the body. A table that can't be asked raises
    its own error, which is temporary.
    """
    is_encrypted = cache(lambda: seen.raw is not None and ground.encrypted(seen.raw))
    found = [_one(seen, recipient, ground, is_encrypted) for recipient in seen.rcpt_tos]
    choices = tuple(choice for choice, _ in found)
    judgements = [judgement for _, judgement in found if judgement is not None]
    spoke = {one.rule for judgement in judgements for one in judgement.verdicts if one.matched}
    # A signature over the subject is worth more than a tidy subject.
    signed = bool(seen.values("DKIM-Signature"))
    remove = () if signed else trigger_words(seen, [rule for rule in ground.rules if rule.name in spoke])
    needs_body = seen.raw is None and (
        bool(remove)
        or any(choice.way is not Way.CLEAR for choice in choices)
        or any(judgement.needs_body for judgement in judgements)
    )
    return Decision(choices, needs_body, remove)


def outside(address: str, own_domains: Collection[str]) -> bool:
    """Whether mail to *address* may leave the site: its domain is none of ours, or it names a way on from ours."""
    _, at, domain = destination(address, own_domains).rpartition("@")
    return bool(at) and not _is_ours(domain, own_domains)


def destination(address: str, own_domains: Collection[str]) -> str:
    """Where Postfix sends mail to *address*: behind a source route, or a way that is written before our own domain.

    allow_percent_hack and swap_bangpath are on unless a site turns them off: anna%example.net@ours, example.net!anna.
    """
    for _ in range(_HOPS):
        if address.startswith("@") and ":" in address:  # RFC 5321, appendix C
            address = address.partition(":")[2]
            continue
        local_part, at, domain = address.rpartition("@")
        if at and not _is_ours(domain, own_domains):
            break
        way = (local_part if at else address).strip('"')
        if "@" in way:
            address = way
        elif "!" in way:
            address = "@".join(reversed(way.split("!", 1)))
        elif "%" in way:
            address = "@".join(way.rsplit("%", 1))
        else:
            break
    return _one_spelling(address)


def _is_ours(domain: str, own_domains: Collection[str]) -> bool:
    return domain.lower().rstrip(".") in own_domains


def trigger_words(seen: Seen, rules: Iterable[Rule]) -> tuple[str, ...]:
    """The words of *rules* in the subject that are to be taken out, spelled as they are there, each once."""
    texts = [subject.text(value) for value in seen.values("Subject")]
    found = (
        hit
        for rule in rules
        if rule.remove_subject
        for text in texts
        for hit in subject.hits(text, rule.subject, rule.subject_at)
    )
    return tuple(dict.fromkeys(found))


def _one(
    seen: Seen, recipient: str, ground: Ground, is_encrypted: Callable[[], bool]
) -> tuple[Choice, Judgement | None]:
    if why := _untouched(seen, recipient, ground):
        return Choice(recipient, Way.CLEAR, proof=(why,)), None
    if is_encrypted():
        return Choice(recipient, Way.ENCRYPTED, proof=("its content is encrypted already: left as it is",)), None
    whom = destination(recipient, ground.own_domains)
    judgement = ground.judge(ground.rules, seen, whom)
    mode, steps = _mode(seen, whom, judgement, ground)
    choice = _Chooser(seen, whom, ground).choose(mode)
    proof = (*steps, *choice.proof)
    if whom != _one_spelling(recipient) and choice.way is not Way.CLEAR:
        # A copy of ours would go to the address as it is written, and that is nobody's mailbox.
        proof = (*proof, f"the address is a way to {whom}, which has to be written itself: {Way.REFUSE}")
        choice = Choice(recipient, Way.REFUSE)
    return replace(choice, recipient=recipient, rules=judgement.rules, proof=proof), judgement


def _untouched(seen: Seen, recipient: str, ground: Ground) -> str:
    """Why nobody is asked about this mail; empty if the policy is."""
    if not outside(recipient, ground.own_domains):
        return "the recipient is in a domain of ours"
    if not seen.mail_from and not seen.authenticated:  # no mail system logs in: people do
        return "the null sender: a bounce or a report"
    if recipient in ground.webmail_recipients:
        return "the recipient is the tunnel itself"
    if seen.mail_from in ground.exempt_senders:
        return "it is mail of Messenger's own, from a host of Messenger's"
    return ""


def _mode(seen: Seen, recipient: str, judgement: Judgement, ground: Ground) -> tuple[EncryptMode, list[str]]:
    """What the modes of both sides and the rules mean together, and how."""
    by_sender, by_recipient = ground.levels.mode_of(seen.mail_from), ground.levels.mode_of(recipient)
    sides = {EncryptMode(str(by_sender.value)), EncryptMode(str(by_recipient.value))}
    if EncryptMode.MANDATORY in sides or judgement.result is Result.MANDATORY:
        mode = EncryptMode.MANDATORY
    elif EncryptMode.FORCE in sides:
        mode = EncryptMode.FORCE
    elif EncryptMode.NO_ENCRYPTION in sides and judgement.result is not Result.ALLOW:
        mode = EncryptMode.NO_ENCRYPTION
    else:
        mode = EncryptMode.ALLOW
    named = f" ({', '.join(judgement.rules)})" if judgement.rules else ""
    return mode, [
        f"encrypt_mode of the sender: {by_sender.value} ({by_sender.origin})",
        f"encrypt_mode of the recipient: {by_recipient.value} ({by_recipient.origin})",
        f"rules: {judgement.result}{named}",
        f"together: {mode}",
    ]


class _Chooser:
    """Tries the ways to one recipient, and remembers what it saw."""

    def __init__(self, seen: Seen, recipient: str, ground: Ground) -> None:
        self._seen, self._recipient, self._ground = seen, recipient, ground
        self._proof: list[str] = []

    def choose(self, mode: EncryptMode) -> Choice:
        if mode is EncryptMode.NO_ENCRYPTION:
            return self._chosen(Way.CLEAR, "nothing is to be encrypted")
        order = [Way(name) for name in self._ground.order]
        if mode is EncryptMode.MANDATORY:
            way = self._first(order)
            return self._chosen(way) if way else self._chosen(Way.REFUSE, "must be protected, and there is no way to")
        way = self._first([way for way in order if way in _KEYS])
        if way is None and not self._on("only_if_mandatory"):
            way = self._first([way for way in order if way in _TUNNEL])
        return self._chosen(way) if way else self._chosen(Way.CLEAR, "may go in clear")

    def _first(self, ways: list[Way]) -> Way | None:
        return next((way for way in ways if self._has(way)), None)

    def _has(self, way: Way) -> bool:
        if way is Way.SMIME:
            return self._noted(self._ground.certificates(self._recipient), "smime", "a certificate", "no certificate")
        if way is Way.PGP:
            return self._noted(self._ground.pgp(self._recipient), "pgp", "a key", "no key")
        names = ("enabled", "otp_enabled") if way is Way.PDF else ("enabled",)
        if not all(self._on(name, f"{way} needs ") for name in names):
            return False
        addressed = _is_address(self._recipient) and _is_address(self._seen.mail_from)
        return addressed or self._noted(False, way, "", "sender or recipient is no address that Messenger knows")

    def _noted(self, has: bool, way: str, yes: str, no: str) -> bool:
        self._proof.append(f"{way}: {yes if has else no}")
        return has

    def _on(self, name: str, before: str = "") -> bool:
        setting = self._setting(name)
        self._proof.append(f"{before}{name}: {str(setting.value).lower()} ({setting.origin})")
        return bool(setting.value)

    def _setting(self, name: str) -> Setting:
        return self._ground.levels.setting(name, self._seen.mail_from, self._recipient)

    def _chosen(self, way: Way, why: str = "") -> Choice:
        if way not in _TUNNEL:
            return Choice(self._recipient, way, proof=(*self._proof, f"{why}: {way}" if why else f"so: {way}"))
        options = {_READ_RECEIPT} if self._on("read_receipt") else set()
        options |= {_OTP_PDF} if way is Way.PDF else set()
        return Choice(
            self._recipient,
            way,
            frozenset(options),
            webmail_sender=str(self._setting("webmail_sender").value) or self._ground.webmail_sender,
            webmail_recipient=str(self._setting("webmail_recipient").value) or self._ground.webmail_recipient,
            proof=(*self._proof, f"so: {way}"),
        )


def _is_address(address: str) -> bool:
    try:
        normal(address)
    except AddressError:
        return False
    return True


def _one_spelling(address: str) -> str:
    return normal(address) if _is_address(address) else address
