"""Protect a mail of ours for the inside: an ordinary S/MIME message (RFC 8551) that any gateway or mail program opens.

Takes a MIME entity and certificates, gives the entity that stands in its place; the mail's other header fields are the
caller's. Nothing of the tunnel's own format is in it, and none of its keys are needed.
"""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509

from .encrypting import encrypt
from .keys import SenderKey, public_key, weakness
from .opening import canonical_line_ends
from .signing import WrapError, base64_lines, multipart_signed, sign


def seal(
    entity: bytes,
    *,
    recipients: Sequence[x509.Certificate],
    signer: SenderKey | None,
    date: datetime,
    seven_bit: bool = True,
) -> bytes:
    """Sign *entity*, if there is a *signer*, then encrypt it to all of *recipients*, if there are any.

    *entity* is header and body in the form that is signed (RFC 8551, 3.1): seven bits, lines that end in CRLF.
    With *seven_bit* false it may be any mail's content: encryption carries all bytes (RFC 8551, 3.1.2).
    AES-256-CBC and RSA PKCS#1 v1.5 or ECDH: what every gateway opens; it is the signature that shows a change.
    """
    if not seven_bit and recipients:
        entity = canonical_line_ends(entity)
    elif not entity.isascii() or entity.count(b"\n") != entity.count(b"\r\n"):
        raise WrapError("an entity of seven bits was expected, with lines that end in CRLF, found another")
    parts = [entity]
    if signer:
        parts = multipart_signed(secrets.token_hex(24), b"", entity, sign(hashlib.sha256(), entity, signer, date))
    if not recipients:
        return b"".join(parts)
    for recipient in recipients:
        if flaw := weakness(public_key(recipient)):
            raise WrapError(f"the key in the recipient's certificate {flaw}")
    kind, encrypted = encrypt(parts, recipients, modern=False)
    head = (
        f'Content-Type: application/pkcs7-mime; smime-type={kind};\r\n name="smime.p7m"\r\n'
        "Content-Transfer-Encoding: base64\r\n"
        'Content-Disposition: attachment; filename="smime.p7m"\r\n\r\n'
    )
    return b"".join((head.encode(), *base64_lines(encrypted)))
