"""Files that leave the portal: saved, never opened by the browser as a page of ours."""

from io import BytesIO

from flask import Response, send_file

#: What a browser can only show, not run. Everything else is named bytes, so that nothing is guessed.
HARMLESS = frozenset({"application/pdf", "image/gif", "image/jpeg", "image/png", "image/webp"})
OTHER = "application/octet-stream"
POLICY = "default-src 'none'; sandbox"


def save_as(filename: str, content_type: str, content: bytes) -> Response:
    """Hand out *content* to be saved as *filename*, in whatever script that is (RFC 6266, RFC 8187)."""
    response = send_file(
        BytesIO(content),
        mimetype=content_type if content_type in HARMLESS else OTHER,
        as_attachment=True,
        download_name=filename,
    )
    del response.headers["Cache-Control"]  # for access.py to set
    response.headers["Content-Security-Policy"] = POLICY
    return response
