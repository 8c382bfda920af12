"""Files that leave the portal: saved, or shown in a sandbox; never opened by the browser as a page of ours."""

import re
import unicodedata
from io import BytesIO
from urllib.parse import quote

from flask import Response, send_file

#: What a browser can only show, not run. Everything else is named bytes, so that nothing is guessed.
HARMLESS = frozenset({"application/pdf", "image/gif", "image/jpeg", "image/png", "image/webp"})
OTHER = "application/octet-stream"
POLICY = "default-src 'none'; sandbox"
#: What a frame of ours, and nobody else's, may show: pictures, and text that is no markup.
SHOWN = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp", "text/plain; charset=utf-8"})
SHOWN_POLICY = "default-src 'none'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'; sandbox"
#: What an old program may make of a name is held to fewer characters than the name itself.
NOT_PLAIN = re.compile(r"[^A-Za-z0-9 ._()+=@,-]+")


def save_as(filename: str, content_type: str, content: bytes) -> Response:
    """Hand out *content* to be saved as *filename*, in whatever script that is (RFC 6266, RFC 8187)."""
    response = _sent(content, content_type if content_type in HARMLESS else OTHER)
    response.headers["Content-Security-Policy"] = POLICY
    return named(response, "attachment", filename)


def show(filename: str, content_type: str, content: bytes) -> Response:
    """Hand out *content*, whose type is one of ``SHOWN``, for an <img> or a sandboxed frame."""
    if content_type not in SHOWN:
        raise ValueError(f"expected one of {sorted(SHOWN)}, found {content_type!r}")
    response = _sent(content, content_type)
    response.headers["Content-Security-Policy"] = SHOWN_POLICY
    return named(response, "inline", filename)


def named(response: Response, disposition: str, filename: str) -> Response:
    """Say how *response* is to be taken, and what to call it when it is saved."""
    names = {"filename": filename if filename.isascii() else _plain(filename)}
    if not filename.isascii():
        names["filename*"] = f"UTF-8''{quote(filename, safe='')}"
    response.headers.set("Content-Disposition", disposition, **names)
    return response


def _sent(content: bytes, content_type: str) -> Response:
    response = send_file(BytesIO(content), mimetype=content_type.partition(";")[0])
    response.headers["Content-Type"] = content_type
    del response.headers["Cache-Control"]  # for access.py to set
    return response


def _plain(filename: str) -> str:
    """*filename* in ASCII. Letters lose their accents; what would turn into a slash, or nothing, becomes "_"."""
    letters = (one for one in unicodedata.normalize("NFD", filename) if not unicodedata.combining(one))
    return NOT_PLAIN.sub("_", "".join(letters)).lstrip(".")
