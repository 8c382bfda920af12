"""Test what the reader leans on before anybody logs in: each problem is a sentence that says how to mend it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from messenger import account_letter, letterhead, message, receipt
from messenger.errors import MessengerError
from messenger.letterhead import Site
from messenger.link import load_key
from messenger.totp import load_key as load_totp_key

from . import look, pdf_pages
from .post import post_of

if TYPE_CHECKING:
    from messenger.config import Config


#: An empty page.
TRIAL = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj "
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>endobj trailer<</Root 1 0 R>>"
)


def problems(config: Config) -> list[str]:
    """Everything wrong at once, so that mending takes one round. Changes nothing."""
    return [
        *_failure(lambda: load_key(config.notice.link_key)),
        *_failure(lambda: load_totp_key(config.accounts.totp_key)),
        *_failure(lambda: post_of(config, lambda *_: None)),
        *_mail_root(config.mail.root),
        *_database(config.accounts.database),
        *_cache(config.reader.cache),
        *_failure(lambda: account_letter.check_templates(site_of(config))),
        *_failure(lambda: receipt.check_templates(site_of(config))),
        *_failure(lambda: look.problems(config.site)),
    ]


def site_of(config: Config) -> Site:
    """What letters about accounts say about this site."""
    return letterhead.site_of(config.site, config.notice)


def sanitiser() -> Iterator[str]:
    """Start the process that sanitises mail. Not part of a start: a mail is shown as plain text without it."""
    shown = message.show(b"Content-Type: text/html\r\n\r\n<p>A trial")
    if shown.fallback:
        yield (
            f"the process that sanitises HTML mail gives no answer ({shown.fallback}), so mail would be shown as plain "
            "text: its reason is above; let the service start processes and have 1 GB of address space"
        )


def drawing() -> Iterator[str]:
    """Start the process that draws PDFs. Not part of a start: a PDF can be saved without it."""
    try:
        pdf_pages.draw(TRIAL, 0)
    except MessengerError as error:
        yield (
            f"the process that draws PDFs gives no picture ({error}), so PDFs could only be saved: let the service "
            "start processes and have 1 GB of address space, and see that pypdfium2 and Pillow are installed"
        )


def port(listen: str) -> Iterator[str]:
    """Say why nobody could listen on *listen*. Not part of a check: a reader that runs has the port."""
    host, _, number = listen.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(number), type=socket.SOCK_STREAM)
        with socket.socket(found[0][0], socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(found[0][4])
    except OSError as error:
        yield (
            f"cannot listen on {listen}: {error.strerror}; stop what listens there already, or choose another"
            " [reader] listen: a port from 1024 on, at an address of this machine"
        )


def _failure(check: Callable[[], object]) -> Iterator[str]:
    try:
        check()
    except MessengerError as error:
        yield str(error)


def _mail_root(root: Path) -> Iterator[str]:
    if not root.is_dir():
        yield f"the mail root {root} is missing: mount or make it, and give it to the group of messenger-reader"
    elif not os.access(root, os.R_OK | os.X_OK):
        yield f"cannot read the mail root {root}: give it to the group of messenger-reader, mode 2770"


def _database(path: Path) -> Iterator[str]:
    folder = path.parent
    if not folder.is_dir():
        yield f"the folder {folder}, for the accounts, is missing: make it, for messenger-reader alone, mode 700"
    elif not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield f"cannot write to the folder {folder}, for the accounts: give it to messenger-reader, mode 700"
    elif path.exists() and not (path.is_file() and os.access(path, os.R_OK | os.W_OK)):
        yield f"cannot write to the accounts database {path}: give it to messenger-reader, mode 600"


def _cache(folder: Path) -> Iterator[str]:
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        yield f"cannot write to the cache {folder}: make the folder, and give it to messenger-reader"
