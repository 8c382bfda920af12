"""Put a report together (RFC 6522): a text for people, and a part that programs read. In bytes.

Knows nothing of what is reported; who hands values over has cleaned them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from .notice_mail import encoded


def report(fields: Sequence[tuple[str, str]], kind: str, text: str, groups: Sequence[Sequence[str]]) -> bytes:
    """Return the whole mail: *fields* in their order, *text*, and a part ``message/<kind>``.

    That part has *groups* of lines, an empty line between them. With something beyond ASCII in them it is of the kind
    that RFC 6533 has for that, ``message/global-<kind>``.
    """
    body = encoded(text)
    content = "\r\n".join("".join(f"{line}\r\n" for line in group) for group in groups).encode()
    kind = kind if content.isascii() else f"global-{kind}"
    encoding = "" if content.isascii() else "Content-Transfer-Encoding: 8bit\r\n"
    # From the content, so that the same report is the same bytes.
    boundary = "=_" + hashlib.sha256(body + content).hexdigest()[:32]
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return (
        f"{head}MIME-Version: 1.0\r\n"
        f'Content-Type: multipart/report; report-type={kind};\r\n boundary="{boundary}"\r\n\r\n'
        f'--{boundary}\r\nContent-Type: text/plain; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    ).encode() + b"".join(
        (
            body,
            f"\r\n--{boundary}\r\nContent-Type: message/{kind}\r\n{encoding}\r\n".encode(),
            content,
            f"\r\n--{boundary}--\r\n".encode(),
        )
    )
