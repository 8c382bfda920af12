"""Tunnel mails: whatever goes in comes out; and tunnel mails altered as they stand, inside the encryption, and inside the signature.

The first byte says where: so that what is altered gets past the layers that would refuse it at once. What lies outside
of the signature must never change what comes out; what lies inside may, but nothing may break.
"""

# ruff: noqa: E501 (words of a format are read best side by side)

from __future__ import annotations

from pathlib import Path

from messenger import tunnel
from messenger.envelope import AddressError, normal
from messenger.tunnel.opening import canonical_line_ends
from tests import cms_makers as make
from tests.tunnel_fixtures import ORIGINAL, gateway, messenger, wrapped

from .finding import ROOT
from .target import PLACES, Broken, Feed, Target, text

_OUTSIDE, _ENCRYPTED, _SIGNED = range(3)
_RECIPIENTS = ("p256", "rsa2048")
_SENDER = "p256"


def start(_home: Path) -> Feed:
    keys = tunnel.TunnelKeys(tuple(messenger(kind).recipient for kind in _RECIPIENTS), (gateway(_SENDER).certificate,))
    honest = {tunnel.unwrap(_mail(seed), keys) for seed in seeds() if seed[0] != _SIGNED}

    def feed(data: bytes) -> None:
        if not data:
            return
        try:
            found = tunnel.unwrap(_mail(data), keys)
        except tunnel.Refused as refused:
            if refused.temporary:
                raise Broken(f"a hostile mail would be tried again: {refused}") from refused
            return
        if data[0] % 3 != _SIGNED and not _same(found, honest):
            raise Broken("accepted, and nobody signed it")

    return feed


def _same(found: tunnel.TunnelMail, honest: set[tunnel.TunnelMail]) -> bool:
    what = (found.raw, found.mail_from, found.rcpt_tos, found.options, found.signer)
    return what in {(one.raw, one.mail_from, one.rcpt_tos, one.options, one.signer) for one in honest}


def _mail(data: bytes) -> bytes:
    """The mail that an input stands for."""
    where, inside = data[0] % 3, data[1:]
    if where == _OUTSIDE:
        return inside
    if where == _SIGNED:
        inside = make.clear_signed(gateway(_SENDER), inside or b"\r\n")
    return make.mail(make.enveloped(inside, messenger("p256").certificate))


def seeds() -> list[bytes]:
    signer = gateway(_SENDER)
    outside = [
        *(wrapped(recipient=kind, sender=_SENDER) for kind in _RECIPIENTS),
        make.mail(make.enveloped(make.opaque_signed(signer), messenger("p256").certificate)),
        make.mail(make.enveloped(make.clear_signed(signer), messenger("p256").certificate, style=make.Style(200))),
        make.mail(make.auth_enveloped(make.clear_signed(signer), messenger("rsa2048").certificate)),
        make.mail(make.enveloped(make.clear_signed(signer), messenger("rsa2048").certificate), encoding="8bit"),
    ]
    inside = [make.clear_signed(signer), make.opaque_signed(signer), make.opaque_signed(signer, style=make.Style(100))]
    content = [make.entity(), make.entity(sender="", to=("bob@example.com", "eve@example.net"))]
    return [
        *(bytes((_OUTSIDE,)) + one for one in outside),
        *(bytes((_ENCRYPTED,)) + one for one in inside),
        *(bytes((_SIGNED,)) + one for one in content),
    ]


def _wrap(_home: Path) -> Feed:
    keys = tunnel.TunnelKeys((messenger(_SENDER).recipient,), (gateway(_SENDER).certificate,))

    def feed(data: bytes) -> None:
        envelope, _, raw = data.partition(b"\n")
        mail_from, *rcpt_tos = text(envelope).split(" ")
        try:
            made = wrapped(
                raw, recipient=_SENDER, sender=_SENDER, mail_from=mail_from, rcpt_tos=rcpt_tos, modern=len(raw) % 2
            )
        except (tunnel.WrapError, AddressError):
            return
        found = tunnel.unwrap(made, keys)
        if found.raw != canonical_line_ends(raw):
            raise Broken("another mail comes out of the tunnel than went in")
        if found.rcpt_tos != tuple(dict.fromkeys(map(normal, rcpt_tos))):
            raise Broken(f"other recipients come out of the tunnel than went in: {found.rcpt_tos}")
        if found.mail_from != (normal(mail_from) if mail_from else ""):
            raise Broken(f"another sender comes out of the tunnel than went in: {found.mail_from!r}")

    return feed


WRAP = Target(
    _wrap,
    lambda: [b"anna@example.org bob@example.com\n" + ORIGINAL, b" bob@example.com eve@x.example\n\r\n\r\nx", b'"a b"@x.y \xc3\xa4@b.c\nX: y\n\n'],
    (
        *(b"\r\n", b"\n", b"\r", b"\n\n", b"\x00", b" ", b"\t", b"--", b"--=_", b"\xff", b"A" * 998, b"A" * 2000, b".", b"\n."),
        *(b"Content-Type: multipart/signed; boundary=x\n", b"From x\n", b"X-Webmail-Recipient: <eve@x.example>\n", b"bob@example.com "),
        *(b'"', b"@", b"<", b">", b"\\", b"\xc2\x85", b"\xe2\x80\xa8", b"\x0b", b"\x0c", b"\x1a"),
    ),
    followed=2,
)  # fmt: skip
UNWRAP = Target(
    start,
    seeds,
    words=(
        *(
            bytes.fromhex(one)
            for one in ("3080", "a080", "2480", "0000", "0400", "0500", "0201", "30820100", "3084ffffffff")
        ),
        *(make.oid(name) for name in ("data", "signed_data", "enveloped_data", "2.16.840.1.101.3.4.1.42", "1.2.3.4")),
        *(b"\r\n", b"\n", b"\r\n\r\n", b"--=_b1", b"--", b"; boundary=", b'"', b"; smime-type=", b"Content-Type: "),
        *(b"multipart/signed", b"application/pkcs7-mime", b"application/pkcs7-signature", b"message/rfc822"),
        *(b"X-Webmail-Sender: ", b"X-Webmail-Recipient: ", b"X-Webmail-Options: ", b"<a@b.example>", b"<>", b"base64"),
        *(b"Content-Transfer-Encoding: ", b"quoted-printable", b"binary", b"AAAA", b"====", b"otp-pdf", b"\xc3\xa4@"),
    ),
    places=(*PLACES, str(ROOT / ".venv") + "/lib/python3.11/site-packages/asn1crypto"),
)
