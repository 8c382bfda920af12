"""From verified content to envelope, options and original message: the three profiles of docs/tunnel.md, in order."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from .. import tunnel_fields
from ..envelope import domain_of
from . import mime
from .addresses import MAX_ADDRESSES, addresses, canonical, text
from .policy import Policy
from .refused import Refused, malformed

log = logging.getLogger(__name__)

WRAPPED, PROTECTED, OUTER = "wrapped", "protected", "outer"

#: RFC 2046, 5.2.1: message/rfc822 is never encoded. Byte for byte means there is nothing to decode either.
_PLAIN_ENCODINGS = frozenset({b"", b"7bit", b"8bit", b"binary"})
_STRUCTURAL = ("content-", "mime-version")


@dataclass(frozen=True)
class Contents:
    profile: str
    raw: bytes
    mail_from: str
    rcpt_tos: tuple[str, ...]
    options: frozenset[str]


def read(content: mime.Entity, outer: mime.Entity, policy: Policy) -> Contents:
    """Read the signed entity *content*; *outer* is the header nobody signed."""
    fields = policy.fields
    kind, _ = mime.content_type(content)
    if kind == "message/rfc822" and (_values(content, fields.sender) or _values(content, fields.recipient)):
        return _wrapped(content, policy)
    if content.values("from"):
        return _protected(content, policy)
    if policy.accept_outer_headers:
        return _outer(content, outer, policy)
    raise Refused("profile", "no envelope under the signature; [tunnel] accept_outer_headers would look outside of it")


def _wrapped(content: mime.Entity, policy: Policy) -> Contents:
    fields = policy.fields
    if content.one("content-transfer-encoding").lower() not in _PLAIN_ENCODINGS:
        raise malformed("message/rfc822 with an encoding, which RFC 2046 rules out")
    if content.body >= content.end:
        raise malformed("the original message is empty")
    senders = _values(content, fields.sender)
    if len(senders) != 1:
        raise Refused("addresses", f"{fields.sender[0]} stands {len(senders)} times, not once")
    recipients = [canonical(text(value)) for value in _values(content, fields.recipient)]
    raw = bytes(memoryview(content.data)[content.body : content.end])
    return Contents(WRAPPED, raw, _reverse_path(senders[0]), _some(recipients), _options(content, policy))


def _reverse_path(value: bytes) -> str:
    """The sender's address; empty for ``<>``, which an answering machine's mail has (RFC 5321, 4.5.5)."""
    return "" if value == b"<>" else canonical(text(value))


def _protected(content: mime.Entity, policy: Policy) -> Contents:
    """RFC 9788: the signed part has header fields of its own, and with them it is a message of its own."""
    recipients = _foreign(content.values("to") + content.values("cc"), policy)
    raw = bytes(memoryview(content.data)[content.start : content.end])
    return Contents(PROTECTED, raw, _author(content.values("from")), recipients, _options(content, policy))


def _outer(content: mime.Entity, outer: mime.Entity, policy: Policy) -> Contents:
    """Plain S/MIME: what is outside belongs to nobody; the site has said that it trusts it."""
    fields = policy.fields
    options = tunnel_fields.outer_options(outer.values, fields)
    recipients = _foreign(_values(outer, fields.outer_recipient), policy)
    header = _kept_header(outer)
    raw = b"".join((header, b"MIME-Version: 1.0\r\n", memoryview(content.data)[content.start : content.end]))
    return Contents(OUTER, raw, _author(_values(outer, fields.outer_sender)), recipients, options)


def _author(values: list[bytes]) -> str:
    if len(values) != 1:
        raise Refused("addresses", f"the sender's field stands {len(values)} times, not once")
    found = addresses(values[0])
    if len(found) != 1:
        raise Refused("addresses", f"{len(found)} senders, not one")
    return found[0]


def _foreign(values: list[bytes], policy: Policy) -> tuple[str, ...]:
    own = frozenset(canonical(f"postmaster@{domain}").rpartition("@")[2] for domain in policy.own_domains)
    return _some(address for value in values for address in addresses(value) if domain_of(address) not in own)


def _some(found: Iterable[str]) -> tuple[str, ...]:
    recipients = tuple(dict.fromkeys(found))
    if not recipients:
        raise Refused("addresses", "no recipient")
    if len(recipients) > MAX_ADDRESSES:
        raise Refused("limit", f"{len(recipients)} recipients, at most {MAX_ADDRESSES} are taken")
    return recipients


def _options(content: mime.Entity, policy: Policy) -> frozenset[str]:
    asked = {
        word.strip().lower().decode("latin-1")
        for value in _values(content, policy.fields.options)
        for word in value.split(b",")
    } - {""}
    if unknown := asked - tunnel_fields.OPTIONS:
        log.warning("options unknown here, ignored: %s", ascii(sorted(unknown))[:200])
    return frozenset(asked & tunnel_fields.OPTIONS)


def _values(entity: mime.Entity, names: tuple[str, ...]) -> list[bytes]:
    if len(names) == 1:
        return entity.values(names[0])
    return [value for name in dict.fromkeys(name.lower() for name in names) for value in entity.values(name)]


def _kept_header(outer: mime.Entity) -> bytes:
    """The outer header block without what described the encryption."""
    kept: list[bytes] = []
    keep = False
    for line in bytes(outer.data[outer.start : outer.body]).splitlines():
        if line[:1] not in (b" ", b"\t"):
            keep = bool(line) and not line.lower().startswith(tuple(name.encode() for name in _STRUCTURAL))
        if keep:
            kept.append(line)
    return b"".join(line + b"\r\n" for line in kept)
