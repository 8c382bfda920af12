"""A site whose accounts are a real database, and whose mail system is a small program that keeps what it is given."""

import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from messenger import config
from messenger.accounts import Accounts
from messenger.mailbox import Mailbox, mailbox_of

from .accounts_fixtures import HASHER, HOME, KEY, PASSWORD
from .cli_fixtures import Done

SENDMAIL = """#!/bin/sh
test -e "$0.refuses" && { echo "queue file write error" >&2; exit 75; }
echo "$@" >> "$0.words"
cat > "$0.$(date +%s%N)"
"""


@dataclass(frozen=True)
class Desk:
    """Where an administrator sits."""

    folder: Path
    run: Callable[..., Done]

    def account(self, *words: object, given: bytes = b"") -> Done:
        return self.run("account", *words, "--config", self.folder / "messenger.toml", given=given)

    def audit(self, *words: object) -> Done:
        return self.run("audit", *words, "--config", self.folder / "messenger.toml")

    def config(self) -> config.Config:
        return config.load(self.folder / "messenger.toml")

    def accounts(self) -> Accounts:
        return Accounts(self.config().accounts.database, totp_key=KEY, hasher=HASHER)

    def sign_up(self, address: str, now: int, **settled: str) -> int:
        return self.accounts().sign_up(address, PASSWORD, HOME, now, **settled).id

    def mailbox(self, address: str) -> Mailbox:
        return mailbox_of(self.config().mail.root, address)

    def letters(self) -> list[EmailMessage]:
        """What was handed to the mail system, in that order."""
        files = sorted(path for path in self.folder.glob("sendmail.*") if path.suffix[1:].isdigit())
        return [message_from_bytes(path.read_bytes(), policy=policy.default) for path in files]

    def break_mail(self) -> None:
        (self.folder / "sendmail.refuses").touch()

    def mend_mail(self) -> None:
        (self.folder / "sendmail.refuses").unlink()


def text_of(letter: EmailMessage) -> str:
    body = letter.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def furnish(folder: Path) -> None:
    """Give the site in *folder* its mail system, and its first, empty database."""
    program = folder / "sendmail"
    program.write_text(SENDMAIL)
    program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    settings = folder / "messenger.toml"
    text = settings.read_text()
    assert '["/usr/sbin/sendmail"]' in text
    text = text.replace('["/usr/sbin/sendmail"]', f'["{program}"]')
    # A copied site would go on with the mail of the one it was copied from.
    settings.write_text(re.sub(r"^root = .*$", f'root = "{folder}/mail"', text, flags=re.MULTILINE))
    Accounts(config.load(settings).accounts.database).close()


@pytest.fixture(name="desk")
def desk_fixture(site, messenger) -> Desk:
    furnish(site)
    return Desk(site, messenger)
