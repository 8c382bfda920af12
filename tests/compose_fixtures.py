"""Somebody who writes: the form as a browser fills it in and sends it, and what the mail system is handed."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from messenger.errors import MessengerError
from messenger.mailbox import Mailbox
from messenger.message import Message, read
from messenger.submission import SubmissionError
from messenger_reader.post import post_of

from .mail_pages_fixtures import logged_in, mailbox_at
from .reader_fixtures import ALICE, Portal, portal, settings_for

Files = Sequence[tuple[str, bytes]]


@dataclass
class System:
    """A mail system that takes mail, or raises what it is told to."""

    taken: list[tuple[bytes, str, tuple[str, ...]]] = field(default_factory=list)
    trouble: Exception | None = None

    def submit(self, raw: bytes, mail_from: str, rcpt_tos: Sequence[str]) -> None:
        if self.trouble:
            raise self.trouble
        self.taken.append((raw, mail_from, tuple(rcpt_tos)))


REFUSAL: MessengerError = SubmissionError("451 not now")


@dataclass
class Desk:
    site: Portal
    browser: FlaskClient
    system: System

    def get(self, path: str) -> TestResponse:
        return self.site.get(self.browser, path)

    def form(self, path: str) -> dict[str, Any]:
        """The form on a page, as a browser has it at first."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return form_on(answer.text)

    def post(self, form: dict[str, Any], files: Files = (), **changes: Any) -> TestResponse:
        data = {**form, **changes, "files": [(BytesIO(content), name) for name, content in files]}
        return self.browser.post(
            "/compose",
            base_url=self.site.base,
            headers=self.site.headers,
            data={name: value for name, value in data.items() if value is not None},
            content_type="multipart/form-data",
            environ_overrides={"wsgi.input_terminated": True},  # as gunicorn says
        )

    def send(self, path: str, files: Files = (), **changes: Any) -> TestResponse:
        """Fill in the form at *path*, and press Send."""
        return self.post(self.form(path), files, do="send", **changes)

    def save(self, path: str, files: Files = (), **changes: Any) -> str:
        """The same with Save draft; the draft's page."""
        answer = self.post(self.form(path), files, do="save", **changes)
        assert answer.status_code == 303, answer.text
        return answer.location.partition("?")[0]

    @property
    def mailbox(self) -> Mailbox:
        return mailbox_at(self.site)

    def folder(self, folder: str) -> list[tuple[str, str, Message]]:
        """Name, flags and content of what is in a folder."""
        return [(one.name, one.flags, read(self.mailbox.read(one.name, folder))) for one in self.mailbox.list(folder)]

    @property
    def sent(self) -> list[Message]:
        """What the mail system took."""
        return [read(raw) for raw, _, _ in self.system.taken]


class _Form(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, Any] = {}
        self._area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name, kind = given.get("name", ""), given.get("type", "")
        if tag == "textarea":
            self._area, self.fields[name] = name, ""
        elif tag == "input" and name and kind != "file" and (kind != "checkbox" or "checked" in given):
            self.fields[name] = given.get("value", "")

    def handle_data(self, data: str) -> None:
        if self._area:
            # The first line end in a textarea is none; a browser sends CRLF.
            self.fields[self._area] += data.removeprefix("\n").replace("\n", "\r\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = ""


def form_on(page: str) -> dict[str, Any]:
    parser = _Form()
    parser.feed(page.partition('enctype="multipart/form-data"')[2].partition("</form>")[0])
    return parser.fields


def desk(home: Path, *, address: str = ALICE, reply: str = "") -> Desk:
    """A portal with [reply] settings, and somebody logged in."""
    site = portal(home, reader=f"[reply]\n{reply}")
    system = System()
    own = site.app.extensions["messenger"]
    post = post_of(settings_for(home, reader=f"[reply]\n{reply}"), system.submit)
    site.app.extensions["messenger"] = replace(own, post=post)
    return Desk(site, logged_in(site, address), system)
