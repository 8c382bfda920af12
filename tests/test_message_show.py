"""The document for the frame, and when it is the plain text instead."""

from pathlib import Path

import pytest

from messenger import message
from messenger.child_process import ChildError, TimedOut
from messenger.message import FRAME_SANDBOX, policy, showing

MAILS = Path(__file__).parent / "mail"


def raw(name: str) -> bytes:
    return (MAILS / f"{name}.eml").read_bytes()


def html(body: str) -> bytes:
    return b"From: a@b.test\nContent-Type: text/html; charset=utf-8\n\n" + body.encode()


def test_a_text_mail_is_shown_escaped():
    shown = message.show(b"Subject: <i>\n\n<script>alert(1)</script>")

    assert "&lt;script&gt;alert(1)" in shown.html
    assert "<title>&lt;i&gt;</title>" in shown.html
    assert shown.fallback == ""


def test_the_picture_of_a_mail_is_in_the_document():
    shown = message.show(raw("alternative-in-related-in-mixed"))

    assert 'src="data:image/png;base64,iVBOR' in shown.html
    assert shown.remote_pictures == 0


def test_an_svg_that_says_it_is_a_png_is_not_in_the_document():
    assert "data:" not in message.show(raw("hostile-svg-picture")).html


def test_remote_pictures_wait_until_they_are_wanted():
    blocked, loaded = message.show(raw("newsletter")), message.show(raw("newsletter"), remote_pictures=True)

    assert (blocked.remote_pictures, loaded.remote_pictures) == (4, 0)
    assert "pics.example.org" not in blocked.html
    assert 'src="https://pics.example.org/hero.jpg"' in loaded.html


@pytest.mark.parametrize(
    ("body", "fallback"),
    [
        ("<p>x", ""),
        ("x" * 1_000_001, "too-big"),
        ("<b>x</b>" * 10_001, "too-complex"),
        ("<div>" * 513, "too-complex"),
        ("<div>" * 512, ""),
    ],
)
def test_too_much_is_shown_as_plain_text_with_the_reason(body, fallback):
    shown = message.show(html(body))

    assert shown.fallback == fallback
    assert ('class="text"' in shown.html) is bool(fallback)


@pytest.mark.parametrize(
    ("error", "fallback"),
    [(TimedOut("x"), "timeout"), (ChildError("x"), "too-complex"), (OSError("no process"), "too-complex")],
)
def test_trouble_in_the_sandbox_ends_in_plain_text(monkeypatch, error, fallback):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(showing._POOL, "run", fail)

    shown = message.show(html("<p>the words"))

    assert shown.fallback == fallback
    assert "the words" in shown.html


def test_the_frame_may_do_nothing_but_open_links_outside():
    assert policy(False) == (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; "
        "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
    )
    assert "img-src data: https:;" in policy(True)
    assert FRAME_SANDBOX in policy(True)
