"""Files that leave the portal: saved, never opened by the browser as a page of ours."""

import re
import unicodedata
from io import BytesIO
from urllib.parse import quote

from flask import Response, send_file

#: What a browser can only show, not run. Everything else is named bytes, so that nothing is guessed.
HARMLESS = frozenset({"application/pdf", "image/gif", "image/jpeg", "image/png", "image/webp"})
OTHER = "application/octet-stream"
POLICY = "default-src 'none'; sandbox"
#: What an old program may make of a name is held to fewer characters than the name itself.
NOT_PLAIN = re.compile(r"[^A-Za-z0-9 ._()+=@,-]+")


def save_as(filename: str, content_type: str, content: bytes) -> Response:
    """Hand out *content* to be saved as *filename*, in whatever script that is (RFC 6266, RFC 8187)."""
    response = send_file(
        BytesIO(content),
        mimetype=content_type if content_type in HARMLESS else OTHER,
        as_attachment=True,
        download_name=filename,
    )
    if not filename.isascii():
        names = {"filename": _plain(filename), "filename*": f"UTF-8''{quote(filename, safe='')}"}
        response.headers.set("Content-Disposition", "attachment", **names)
    del response.headers["Cache-Control"]  # for access.py to set
    response.headers["Content-Security-Policy"] = POLICY
    return response


def _plain(filename: str) -> str:
    """*filename* in ASCII. Letters lose their accents; what would turn into a slash, or nothing, becomes "_"."""
    letters = (one for one in unicodedata.normalize("NFD", filename) if not unicodedata.combining(one))
    return NOT_PLAIN.sub("_", "".join(letters)).lstrip(".")
