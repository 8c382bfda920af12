"""messenger message show: what the reader would show, on a terminal."""

import json

from .cli_fixtures import MAIL, messenger_fixture  # noqa: F401

HTML = (
    b"From: x@example.com\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nMIME-Version: 1.0\nContent-Type: text/html\n\n"
    b"<p onclick=alert(1)>Hello<script>alert(1)</script><img src=https://tracker.example/x.png></p>"
)


def test_text_is_a_head_and_the_body(messenger, tmp_path):
    (tmp_path / "m.eml").write_bytes(MAIL)

    done = messenger("message", "show", tmp_path / "m.eml")

    assert done.status == 0
    assert done.out.startswith("From: Bob <bob@example.com>\nTo: anna@example.net\nDate: 2026-11-24T07:00:00+00:00\n")
    assert done.out.rstrip().endswith("\n\nHello")


def test_html_is_sanitised(messenger):
    done = messenger("message", "show", "-", "--format", "html", given=HTML)

    assert done.status == 0
    assert "Hello" in done.out
    assert "alert" not in done.out
    assert "tracker.example" not in done.out


def test_remote_pictures_load_when_asked_for(messenger):
    done = messenger("message", "show", "-", "--format", "html", "--remote-pictures", given=HTML)

    assert "https://tracker.example/x.png" in done.out


def test_json_holds_everything_a_script_may_want(messenger):
    found = json.loads(messenger("message", "show", "-", "--format", "json", given=HTML).out)

    assert found["subject"] == "Grüße"
    assert found["from"] == [{"name": "", "address": "x@example.com", "suspicious": False}]
    assert found["has_html"] is True
    assert found["date"] is None


def test_any_bytes_are_shown_somehow(messenger):
    for raw in (b"", b"\xff\x00\x1b[2J", b"From: \xff\nSubject: \xff\n\n\xff", b"Content-Type: multipart/mixed\n\n"):
        for form in ("text", "html", "json"):
            done = messenger("message", "show", "-", "--format", form, given=raw)

            assert done.status == 0
            assert "\x1b" not in done.out
