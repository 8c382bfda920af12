"""Addresses and envelopes (RFC 5321, RFC 6531): one spelling for each mailbox, or a refusal.

Knows the grammar of addresses. Knows nothing of mail content, files or sockets: text in, text out.
docs/mailbox.md says what counts as the same address and what is refused.
"""

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import idna

from .errors import MessengerError

# RFC 5321, sections 4.5.3.1.1 and 4.5.3.1.3; a path of 256 octets holds an address of 254 and its angle brackets.
LOCAL_PART_OCTETS = 64
DOMAIN_OCTETS = 253
ADDRESS_OCTETS = 254
LABEL_OCTETS = 63

#: Longer input is refused unread, so that hostile input never meets the slower rules below.
INPUT_CHARACTERS = 1024

#: Whoever asks about an address asks several times in a row; the rules are a pure function and give the same again.
_REMEMBERED = 1024

# RFC 5321, section 4.1.2, with the non-ASCII of RFC 6531, section 3.3.
_ATEXT = r"A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u0080-\U0010ffff"
_DOT_STRING = re.compile(rf"[{_ATEXT}]+(?:\.[{_ATEXT}]+)*")
_QUOTED_STRING = re.compile(r'"((?:[ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*)"')
_LDH_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")

# Controls, surrogates, line and paragraph separators, and code points that have no settled lower case yet.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp", "Cn"})
# Persian, Sinhala and others need these two to spell words; every other format character only hides things.
_JOINERS = "\u200c\u200d"

# Letters that a reader takes for Latin ones: a label made of nothing else is shown as its A-label.
_LATIN_LOOK_ALIKES = frozenset("авекмнорстухьіїјѕһԁԛԝӏґүҽοανικρτυωγηεϲϳɡıɩοօսհոցյԍӕ")


class AddressError(MessengerError):
    """Not an address that mail can be sent to."""


@dataclass(frozen=True)
class Envelope:
    """Who sent a mail to whom, as SMTP said it, and what Postfix calls it."""

    mail_from: str
    rcpt_tos: tuple[str, ...]
    queue_id: str


def normal(address: str) -> str:
    """Return the one spelling of *address* that stands for its mailbox everywhere.

    Lower case, NFC, no needless quotes, the domain as A-labels; the result can be sent to.
    """
    return _parts(address)[2]


def domain_of(address: str) -> str:
    """Return the domain of *address* in A-labels and lower case."""
    return _parts(address)[1]


def local_part_of(address: str) -> str:
    """Return the local part of *address* in lower case, as it is meant: without quotes and backslashes."""
    return _parts(address)[0]


def display(address: str) -> str:
    """Return *address* for people to read: the domain in its own script, unless that could pass for another one."""
    local_part, domain, _ = _parts(address)
    return f"{quoted(local_part)}@{'.'.join(map(_label_for_people, domain.split('.')))}"


def quoted(local_part: str) -> str:
    """Write *local_part* as RFC 5321 wants it: quoted only where it must be."""
    if _DOT_STRING.fullmatch(local_part):
        return local_part
    return '"' + re.sub(r'(["\\])', r"\\\1", local_part) + '"'


@lru_cache(_REMEMBERED)
def _parts(address: str) -> tuple[str, str, str]:
    """The local part as it is meant, the domain, and both as they are written."""
    if len(address) > INPUT_CHARACTERS:
        raise AddressError(f"an address has at most {ADDRESS_OCTETS} octets; this one has {len(address)} characters")
    bare = address[1:-1] if address.startswith("<") and address.endswith(">") else address
    if bare.startswith("@"):
        raise AddressError(f"{address!r}: expected user@domain without a source route (RFC 5321, appendix C)")
    found = _QUOTED_STRING.match(bare) or _DOT_STRING.match(bare)
    if found is None or bare[found.end() : found.end() + 1] != "@":
        raise AddressError(f"{address!r}: expected user@domain (RFC 5321, section 4.1.2)")
    written = found.group(0)
    if written.startswith('"'):
        written = re.sub(r"\\(.)", r"\1", written[1:-1])
    local_part = _lower(written)
    _check_characters(address, local_part)
    domain = _domain(address, bare[found.end() + 1 :])
    return local_part, domain, _checked_lengths(address, local_part, domain)


def _lower(local_part: str) -> str:
    # RFC 8265, section 3.3: toLowerCase, not case folding, which would make one mailbox of strasse and straße.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", local_part).lower())


def _check_characters(address: str, local_part: str) -> None:
    for character in local_part:
        category = unicodedata.category(character)
        if category in _REFUSED_CATEGORIES or (category == "Cf" and character not in _JOINERS):
            raise AddressError(f"{address!a}: U+{ord(character):04X} has no place in an address")


def _checked_lengths(address: str, local_part: str, domain: str) -> str:
    if not local_part:
        raise AddressError(f"{address!r}: expected something before the @")
    written = quoted(local_part)
    whole = f"{written}@{domain}"
    for what, text, limit in (
        ("local part", written, LOCAL_PART_OCTETS),
        ("domain", domain, DOMAIN_OCTETS),
        ("address", whole, ADDRESS_OCTETS),
    ):
        size = len(text.encode())
        if size > limit:
            raise AddressError(f"{address!r}: the {what} has {size} octets, at most {limit} are allowed (RFC 5321)")
    return whole


def _domain(address: str, domain: str) -> str:
    if domain.startswith("["):
        return _address_literal(address, domain)
    if domain.isascii():
        labels = domain.lower().split(".")
    else:
        try:
            mapped = idna.uts46_remap(domain, std3_rules=True, transitional=False)
            labels = [_a_label(label) for label in mapped.split(".")]
        except (idna.IDNAError, UnicodeError) as error:
            raise AddressError(f"{address!a}: not a domain of IDNA 2008: {error}") from error
    for label in labels:
        if len(label) > LABEL_OCTETS or not _LDH_LABEL.fullmatch(label):
            raise AddressError(f"{address!r}: expected a domain of letters, digits and hyphens, found {domain!r}")
    return ".".join(labels)


def _a_label(label: str) -> str:
    return label if label.isascii() else idna.alabel(label).decode("ascii")


def _address_literal(address: str, domain: str) -> str:
    inside = domain[1:-1] if domain.endswith("]") else ""
    try:
        if inside.lower().startswith("ipv6:"):
            return f"[ipv6:{ipaddress.IPv6Address(_without_zone(inside[5:]))}]"
        return f"[{ipaddress.IPv4Address(inside)}]"
    except ValueError as error:
        raise AddressError(f"{address!r}: expected [192.0.2.1] or [IPv6:2001:db8::1] after the @: {error}") from error


def _without_zone(literal: str) -> str:
    if "%" in literal:
        raise ValueError("an address in a mail has no zone")
    return literal


def _label_for_people(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        shown = idna.ulabel(label)
        safe = idna.alabel(shown).decode("ascii") == label and _looks_like_itself(shown)
    except (idna.IDNAError, UnicodeError):
        return label
    return shown if safe else label


def _looks_like_itself(label: str) -> bool:
    letters = [character for character in label if character.isalpha()]
    scripts = {unicodedata.name(letter, "?").split()[0] for letter in letters}
    # Japanese is written in three scripts at once; everything else that mixes scripts is up to something.
    if len(scripts) > 1 and not scripts <= {"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"}:
        return False
    return not all(letter in _LATIN_LOOK_ALIKES for letter in letters if not letter.isascii())
