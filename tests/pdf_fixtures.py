"""Mails to make PDFs of, and a site to make them for."""

from __future__ import annotations

import io
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pikepdf
import pytest

from messenger import pdf_password
from messenger.letterhead import Site
from messenger.pdf_job import PdfJob
from messenger_pdfotp.renderer import Renderer

SITE = Site(name="Example Messages", portal_url="https://messages.example.com", notice_from="notices@example.com")
ADDRESS = "anna@partner.example"
PASSWORD = "6qku-dweu-9p2f"
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
#: "Hello, world" or thereabouts, by script.
SCRIPTS = {
    "Arabic": "الرجاء الدفع خلال يوم",
    "Hebrew": "שלום עולם",
    "Chinese": "你好，世界",
    "Japanese": "こんにちは世界",
    "Korean": "안녕하세요",
    "Thai": "สวัสดีชาวโลก",
    "Devanagari": "नमस्ते",
}


def mail(text: str = "Dear Anna,\nthe contract is ready.\n", html: str = "", **fields: str) -> bytes:
    message = EmailMessage(policy=SMTP)
    for name, value in {
        "From": "Bob Brown <bob@example.com>",
        "To": f"Anna <{ADDRESS}>",
        "Subject": "Contract",
    }.items():
        message[name] = fields.get(name, value)
    message["Date"] = NOW
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    return message.as_bytes()


def with_files(*files: tuple[str, bytes]) -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = "bob@example.com", ADDRESS, "Files"
    message.set_content("See the files.\n")
    for name, content in files:
        message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()


def job(raw: bytes, digest: str = "ab" * 32, **changes: object) -> PdfJob:
    pdf_id = pdf_password.id_of(digest, ADDRESS)
    page = f"https://messages.example.com/l/token/{pdf_id}"
    given = {
        "pdf_id": pdf_id,
        "address": ADDRESS,
        "digest": digest,
        "generation": 0,
        "created": int(NOW.timestamp()),
        "password_url": page,
        "reply_url": f"{page}/answer",
        "language": "",
        "time_zone": "",
        "phrase": "",
        "raw": raw,
    }
    return PdfJob(**{**given, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def renderer() -> Iterator[Renderer]:
    """One for all tests of a process: it takes seconds to start."""
    made = Renderer()
    yield made
    made.close()


def opened(content: bytes, password: str = PASSWORD) -> pikepdf.Pdf:
    return pikepdf.open(io.BytesIO(content), password=password)


def text_of(content: bytes, tmp_path: Path, password: str = PASSWORD) -> str:
    """The PDF's words, as pdftotext finds them."""
    path = tmp_path / "text.pdf"
    path.write_bytes(content)
    done = subprocess.run(["pdftotext", "-upw", password, path, "-"], capture_output=True, check=True)
    return re.sub(r"\s+", " ", done.stdout.decode())
