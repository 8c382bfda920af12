"""Put a mail of two alternatives together: plain text and HTML, in bytes.

What email.message would write too, at a tenth of its cost: each tunnel mail waits for its notices. Values must be one
line each; who hands them over has cleaned them.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Sequence
from email.header import Header

LINE_OCTETS = 76
_SPECIALS = re.compile(r'[()<>@,;:\\".\[\]]|=\?')


def mail(fields: Sequence[tuple[str, str]], text: str, html: str) -> bytes:
    """Return the whole mail: *fields* in their order, then the two bodies."""
    bodies = [_body("plain", text), _body("html", html)]
    # From the content, so that the same notice is the same bytes; quoted-printable never writes "=_".
    boundary = "=_" + hashlib.sha256(b"".join(bodies)).hexdigest()[:32]
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    head += f'MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n\r\n'
    parts = "".join(f"--{boundary}\r\n{body.decode('ascii')}\r\n" for body in bodies)
    return f"{head}{parts}--{boundary}--\r\n".encode()


def mailbox(name: str, address: str) -> str:
    """Write a name and an address (RFC 5322, section 3.4); a name beyond ASCII as encoded words (RFC 2047)."""
    if not name:
        return address
    if not name.isascii():
        shown = unstructured(name)
    elif _SPECIALS.search(name):
        shown = '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
    else:
        shown = name
    separator = "\r\n " if len(shown.rpartition("\r\n")[2]) + len(address) > LINE_OCTETS - 10 else " "
    return f"{shown}{separator}<{address}>"


def unstructured(value: str) -> str:
    """Write a text for a field such as Subject, folded."""
    charset = "us-ascii" if value.isascii() else "utf-8"
    return Header(value, charset, maxlinelen=LINE_OCTETS, header_name="Subject").encode(linesep="\r\n")


def _body(subtype: str, text: str) -> bytes:
    lines = text.replace("\r\n", "\n").removesuffix("\n") + "\n"
    encoded = binascii.b2a_qp(lines.encode(), istext=True, header=False)
    head = f'Content-Type: text/{subtype}; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n'
    return head.encode() + encoded.replace(b"\n", b"\r\n")
