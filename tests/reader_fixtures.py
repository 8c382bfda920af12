"""A reader to ask: real accounts file, real mail root, a clock to turn, and cheap hashes."""

import re
import sqlite3
from dataclasses import dataclass, field, replace
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from messenger import config as settings
from messenger import link
from messenger.accounts import Account
from messenger.passwords import Cost, Hasher
from messenger_reader.app import create_app

PORTAL = "https://mail.example.org"
ALICE, BOB = "alice@example.net", "bob@example.net"
PASSWORD = "three plain blue doors"
KEY = bytes(range(32))
#: What a browser says of a form on our own page.
OURS = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
CHEAP = Cost(memory_kib=64, passes=1, lanes=1)


def settings_for(
    home: Path,
    *,
    portal: str = PORTAL,
    site: str = "",
    reader: str = "",
    accounts: str = "",
    mail: str = "",
    sendmail: str = "/bin/true",
) -> settings.Config:
    """Settings for a reader whose files are all below *home*."""
    for folder in ("accounts", "mail", "cache"):
        (home / folder).mkdir(exist_ok=True)
    for name in ("link.key", "totp.key"):
        (home / name).write_text(KEY.hex() + "\n")
    text = f"""
[site]
portal_url = "{portal}"
own_domains = ["example.org"]
{site}
[mail]
root = "mail"
{mail}
[tunnel]
webmail_sender = "sender@gateway.example.org"
webmail_recipient = "webmail@gateway.example.org"
[notice]
mail_from = "webmail@example.org"
sendmail = ["{sendmail}"]
link_key = "link.key"
[accounts]
database = "accounts/accounts.sqlite"
totp_key = "totp.key"
{accounts}
[reader]
cache = "cache"
{reader}
"""
    path = home / "messenger.toml"
    path.write_text(text)
    return settings.load(path)


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Letters:
    """Stands in for the queue of letters: remembers what would be sent, as kind, address and link."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []

    def send(self, kind: str, account: Account, link: str = "", phrase: str | None = None) -> None:
        self.sent.append((kind, account.address, link))


@dataclass
class Portal:
    """The app with its clock, and the steps every test takes."""

    app: Flask
    clock: Clock
    home: Path
    base: str = PORTAL
    headers: dict[str, str] = field(default_factory=lambda: dict(OURS))
    letters: list[tuple[str, str, str]] = field(default_factory=list)

    def browser(self) -> FlaskClient:
        return self.app.test_client()

    def get(self, browser: FlaskClient, path: str, **more: object) -> TestResponse:
        return browser.get(path, base_url=self.base, headers=self.headers, **more)

    def post(self, browser: FlaskClient, path: str, **form: str) -> TestResponse:
        return browser.post(path, base_url=self.base, headers=self.headers, data=form)

    def link(self, address: str) -> str:
        return "/l/" + self.token(address)

    def token(self, address: str) -> str:
        return link.token(KEY, address, int(self.clock.now))

    def sign_up(self, browser: FlaskClient, address: str = ALICE, password: str = PASSWORD) -> TestResponse:
        self.get(browser, self.link(address))
        page = self.get(browser, "/welcome").text
        token = re.search(r'name="token" value="([^"]+)"', page)
        assert token, page
        return self.post(browser, "/signup", token=token[1], password=password, again=password)

    def log_in(self, browser: FlaskClient, address: str = ALICE, password: str = PASSWORD) -> TestResponse:
        return self.post(browser, "/login", address=address, password=password)


def portal(home: Path, *, hasher: Hasher | None = None, **more: str) -> Portal:
    clock = Clock()
    app = create_app(settings_for(home, **more), clock=clock, hasher=hasher or Hasher(CHEAP))
    letters = Letters()
    app.extensions["messenger"] = replace(app.extensions["messenger"], letters=letters)
    return Portal(app, clock, home, base=more.get("portal", PORTAL), letters=letters.sent)


def everything(site: Portal) -> list[tuple[object, ...]]:
    """All rows of all tables: what a page may have changed."""
    database = sqlite3.connect(site.home / "accounts" / "accounts.sqlite")
    tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [row for table in tables for row in database.execute(f'SELECT * FROM "{table}"')]


def heading(page: str) -> str:
    found = re.search(r"<h1>(.*?)</h1>", page)
    return found[1] if found else ""
