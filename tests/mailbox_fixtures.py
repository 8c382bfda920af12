"""A mail root in a temporary folder, one person's mailbox in it, and what tests look at there."""

import hashlib
from pathlib import Path

import pytest

from messenger.mailbox import mailbox_of

RAW = b"From: eva@example.org\r\n\r\nHello\r\n"
NAME = hashlib.sha256(RAW).hexdigest()
REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(name="root")
def root_fixture(tmp_path):
    root = tmp_path / "mail"
    root.mkdir()
    return root


@pytest.fixture(name="anna")
def anna_fixture(root):
    return mailbox_of(root, "anna@example.org")


def files(mailbox, folder=""):
    """All files below the Maildir or one folder of it, as paths from there."""
    base = mailbox.root / folder
    return sorted(str(path.relative_to(base)) for path in base.rglob("*") if not path.is_dir())


def names(entries):
    return sorted(entry.name for entry in entries)
